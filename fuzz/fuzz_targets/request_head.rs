//! A request head: any split gives the same answer; what is understood and forwarded means the same to the next reader
//! and has one framing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_fuzz::{limits, pairs, split};
use usher_http::parse::{HeadLimits, HeadParser};
use usher_http::sanitize::{Facts, Scratch, sanitize};
use usher_http::trust::{ClientText, append, client_address, replace};
use usher_http::{FieldId, Framing, Request};

fuzz_target!(|data: &[u8]| {
    let (limits, data) = limits(data);
    let mut request = Request::default();
    let whole = HeadParser::default().request(data, &limits, &mut request);
    let summary = |len: Option<usize>, request: &Request| {
        len.map(|len| (len, request.method.clone(), request.raw_target().to_vec(), pairs(&request.fields)))
    };
    let expected = whole.map(|len| summary(len, &request));
    let (mut parser, mut pieces) = (HeadParser::default(), Request::default());
    split(data, &expected, |part| {
        let len = parser.request(part, &limits, &mut pieces)?;
        Ok(summary(len, &pieces))
    });
    if let Ok(Some(_)) = whole {
        forward(request, data.len() % 2 == 0);
    }
});

/// Sanitizes, writes and reads again.
fn forward(mut request: Request, trusted: bool) {
    let (mut scratch, mut upgrade) = (Scratch::default(), Vec::new());
    let Ok(facts) = sanitize(&mut request, &mut scratch, &mut upgrade) else { return };
    let peer = [192, 0, 2, 7].into();
    let client = ClientText::new(Some(peer), Some(([192, 0, 2, 1], 80).into()));
    let protocol = request.version.via();
    if trusted {
        let real = client_address(&request, Some(peer), |_| true);
        append(&mut request, &client, real, protocol);
    } else {
        replace(&mut request, &client, protocol);
    }
    let out = written(&request, facts);
    let limits = HeadLimits { line: 1 << 20, head: 1 << 20, fields: 1000 };
    let mut again = Request::default();
    let read = HeadParser::default().request(&out, &limits, &mut again);
    assert_eq!(read, Ok(Some(out.len())), "{}", out.escape_ascii());
    assert_eq!(again.fields.all(FieldId::Host).count(), 1);
    let framings = [FieldId::ContentLength, FieldId::TransferEncoding];
    assert!(
        framings.iter().map(|&id| again.fields.all(id).count()).sum::<usize>() <= 1,
        "{}",
        out.escape_ascii()
    );
    if request.host.is_empty() {
        return;
    }
    let facts_again = sanitize(&mut again, &mut scratch, &mut upgrade);
    assert_eq!(facts_again.map(|facts| facts.framing), Ok(facts.framing), "{}", out.escape_ascii());
    assert_eq!(
        (&again.method, &again.host, &again.authority, &again.path, &again.query, pairs(&again.fields)),
        (
            &request.method,
            &request.host,
            &request.authority,
            &request.path,
            &request.query,
            pairs(&request.fields)
        ),
    );
    assert!(usher_http::path::is_normal(again.path.as_bytes()) || again.path == "*");
}

/// The head as the driver writes it.
fn written(request: &Request, facts: Facts) -> Vec<u8> {
    let mut out = Vec::new();
    request.encode(request.authority.as_bytes(), &mut out);
    if facts.framing == Framing::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
}
