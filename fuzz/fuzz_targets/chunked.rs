//! A chunked body and its trailers: any split gives the same payload or the same error; what was decoded, encoded
//! again, decodes to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_fuzz::{Pairs, cuts, pairs};
use usher_http::Fields;
use usher_http::chunk::{ChunkDecoder, Step, encode_size};
use usher_http::parse::{HeadLimits, HeadParser};

/// Payload, trailers, and how many bytes are behind the body; none if the body is not complete.
type Body = Result<Option<(Vec<u8>, Pairs, usize)>, String>;

/// Decodes with reads that end at `ends`, as a connection does.
fn decode(data: &[u8], ends: impl Iterator<Item = usize>) -> Body {
    let mut decoder = ChunkDecoder::new();
    let mut payload = Vec::new();
    let mut at = 0;
    let mut trailers = (HeadParser::default(), Fields::default());
    for end in ends.chain([data.len()]) {
        while at < end && !decoder.is_done() {
            match decoder.step(&data[at..end]).map_err(|error| error.to_string())? {
                Step::NeedMore { consumed } => {
                    assert_eq!(at + consumed, end);
                    at = end;
                }
                Step::Data { skip, len } => {
                    assert!(len > 0);
                    payload.extend_from_slice(&data[at + skip..at + skip + len]);
                    at += skip + len;
                }
                Step::Last { consumed } => at += consumed,
            }
        }
        if decoder.is_done() {
            let limits = HeadLimits { line: 0, head: 8 << 10, fields: 32 };
            let (parser, fields) = &mut trailers;
            let read = parser
                .trailers(&data[at..end], &limits, fields)
                .map_err(|error| error.as_str().to_owned())?;
            if let Some(len) = read {
                return Ok(Some((payload, pairs(fields), data.len() - at - len)));
            }
        }
    }
    Ok(None)
}

fuzz_target!(|data: &[u8]| {
    let whole = decode(data, std::iter::empty());
    assert_eq!(decode(data, cuts(data)), whole);
    assert_eq!(decode(data, 0..data.len()), whole);
    let Ok(Some((payload, ..))) = whole else { return };
    let mut wire = Vec::new();
    for part in payload.chunks(data.len() % 40 + 1) {
        wire.extend_from_slice(encode_size(part.len(), &mut [0; 18]));
        wire.extend_from_slice(part);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"0\r\n\r\nnext");
    assert_eq!(decode(&wire, cuts(&wire)), Ok(Some((payload, Vec::new(), 4))));
});
