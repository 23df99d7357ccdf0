//! A response head: any split gives the same answer; what is passed on is read the same by the client.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_fuzz::{limits, pairs, split};
use usher_http::framing::{self, Framing};
use usher_http::parse::{HeadLimits, HeadParser};
use usher_http::{FieldId, Method, Response};

fuzz_target!(|data: &[u8]| {
    let (limits, data) = limits(data);
    let mut response = Response::default();
    let whole = HeadParser::default().response(data, &limits, &mut response);
    let summary = |len: Option<usize>, response: &Response| {
        len.map(|len| (len, response.status, response.reason().to_vec(), pairs(&response.fields)))
    };
    let expected = whole.map(|len| summary(len, &response));
    let (mut parser, mut pieces) = (HeadParser::default(), Response::default());
    split(data, &expected, |part| {
        let len = parser.response(part, &limits, &mut pieces)?;
        Ok(summary(len, &pieces))
    });
    if let Ok(Some(_)) = whole {
        pass_on(response, if data.len() % 4 == 0 { Method::Head } else { Method::Get });
    }
});

fn pass_on(mut response: Response, method: Method) {
    let Ok(framing) = framing::of_response(&mut response, &method) else { return };
    let options = framing::connection_options(&response.fields);
    framing::strip_hop_by_hop(&mut response.fields, options);
    let mut out = Vec::new();
    response.encode(&mut out);
    if matches!(framing, Framing::Chunked | Framing::Close) {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    out.extend_from_slice(b"\r\n");
    let limits = HeadLimits { line: 1 << 20, head: 1 << 20, fields: 1000 };
    let mut again = Response::default();
    let read = HeadParser::default().response(&out, &limits, &mut again);
    assert_eq!(read, Ok(Some(out.len())), "{}", out.escape_ascii());
    assert_eq!(again.status, response.status);
    if matches!(response.status, 100..=199 | 204) {
        assert_eq!(again.fields.all(FieldId::ContentLength).count(), 0);
    }
    let expected = if framing == Framing::Close { Framing::Chunked } else { framing };
    assert_eq!(framing::of_response(&mut again, &method), Ok(expected), "{}", out.escape_ascii());
}
