//! The rules for what clients send, section by section of RFC 9113; each case is sent behind a greeting.

use super::super::frame::Code;
use super::*;

/// What the server does about it.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// It goes on as if nothing were wrong.
    Goes,
    /// It resets this stream with this code and goes on.
    Resets(u32, Code),
    /// It ends the connection with this code.
    Ends(Code),
}

use Then::{Ends, Goes, Resets};

fn setting(id: u16, value: u32) -> Vec<u8> {
    let mut payload = id.to_be_bytes().to_vec();
    payload.extend_from_slice(&value.to_be_bytes());
    one(kind::SETTINGS, 0, 0, &payload)
}

fn window(stream: u32, more: u32) -> Vec<u8> {
    one(kind::WINDOW_UPDATE, 0, stream, &more.to_be_bytes())
}

fn reset(stream: u32) -> Vec<u8> {
    one(kind::RST_STREAM, 0, stream, &8u32.to_be_bytes())
}

fn post(stream: u32, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    headers(stream, false, &asked("POST", path, more))
}

/// Sends the bytes to a fresh server and compares what it does.
fn check(what: &str, bytes: &[u8], then: Then) {
    local(async {
        let (mut wire, served) = serving(limits());
        wire.write(&greeting()).await;
        wire.write(bytes).await;
        let frames = wire.settled().await;
        let resets: Vec<(u32, u32)> = frames
            .iter()
            .filter(|frame| frame.kind == kind::RST_STREAM)
            .map(|frame| (frame.stream, frame.number(0)))
            .collect();
        let goaway = frames.iter().find(|frame| frame.kind == kind::GOAWAY).map(|frame| frame.number(4));
        match then {
            Goes => assert_eq!((resets, goaway), (vec![], None), "{what}"),
            Resets(stream, code) => {
                assert_eq!((resets, goaway), (vec![(stream, code as u32)], None), "{what}");
            }
            Ends(code) => {
                assert_eq!(goaway, Some(code as u32), "{what}");
                drop(wire);
                let ended = served.await.expect("no panic");
                assert!(matches!(ended, Err(WireError::Protocol(_))), "{what}: {ended:?}");
            }
        }
    });
}

fn check_all(cases: Vec<(&str, Vec<Vec<u8>>, Then)>) {
    for (what, frames, then) in cases {
        check(what, &frames.concat(), then);
    }
}

#[test]
fn section_4_frames() {
    check_all(vec![
        ("unknown kinds are ignored", vec![one(0x77, 0xff, 0, b"what"), one(0x78, 0, 9, b"")], Goes),
        ("the reserved bit is ignored", vec![one(kind::PING, 0, 1 << 31, &[0; 8])], Goes),
        ("undefined flags are ignored", vec![one(kind::PING, 0x16, 0, &[0; 8])], Goes),
        ("4.2 the largest DATA", vec![post(1, "/", &[]), data(1, true, &[0; 16384])], Goes),
        (
            "4.2 DATA that is larger",
            vec![post(1, "/", &[]), data(1, true, &[0; 16385])],
            Ends(Code::FrameSize),
        ),
        ("4.2 HEADERS that are larger", vec![headers(1, true, &[0; 16385])], Ends(Code::FrameSize)),
        ("4.3 a block that cannot be decoded", vec![headers(1, true, &[0x7f])], Ends(Code::Compression)),
        (
            "4.3 a block that is interrupted",
            vec![one(kind::HEADERS, 0, 1, &block(&GET)), one(kind::PING, 0, 0, &[0; 8])],
            Ends(Code::Protocol),
        ),
        (
            "4.3 a block that is interrupted by an unknown frame",
            vec![one(kind::HEADERS, 0, 1, &block(&GET)), one(0x77, 0, 0, &[0; 8])],
            Ends(Code::Protocol),
        ),
        (
            "4.3 a block that is interrupted by another",
            vec![one(kind::HEADERS, 0, 1, &block(&GET)), get(3, "/")],
            Ends(Code::Protocol),
        ),
    ]);
}

/// RFC 7541: what a block says that cannot be, at the end of a good one.
#[test]
fn compressed_heads() {
    let literal = |text: &[u8]| [&[0x40, 1, b'a', 0x80 | text.len() as u8], text].concat();
    let cases: [(&str, Vec<u8>); 9] = [
        ("2.3.3 an index that is in no table", vec![0x80 | 70]),
        ("2.3.3 a name that is in no table", vec![0x40 | 62, 1, b'x']),
        ("4.2 a size behind a field", vec![0x20]),
        ("5.1 an integer without end", vec![0xff; 12]),
        ("5.2 more padding than seven bits", literal(&[0x1f, 0xff])),
        ("5.2 padding of zeros", literal(&[0x18])),
        ("5.2 the end of a string within it", literal(&[0xff, 0xff, 0xff, 0xff])),
        ("6.1 index 0", vec![0x80]),
        ("6.2 a string that is cut", vec![0x40, 1, b'a', 5, b'x']),
    ];
    for (what, end) in cases {
        check(what, &headers(1, true, &[block(&GET), end].concat()), Ends(Code::Compression));
    }
    let larger = [&[0x3f, 0xe2, 0x1f][..], &block(&GET)].concat();
    check("6.3 a table larger than agreed", &headers(1, true, &larger), Ends(Code::Compression));
    let smaller = [&[0x20, 0x3f, 0xe1, 0x1f][..], &block(&GET)].concat();
    check("6.3 a table that shrinks and grows", &headers(1, true, &smaller), Goes);
}

#[test]
fn section_5_1_states() {
    check_all(vec![
        ("idle: DATA", vec![data(1, true, b"x")], Ends(Code::Protocol)),
        ("idle: RST_STREAM", vec![reset(1)], Ends(Code::Protocol)),
        ("idle: WINDOW_UPDATE", vec![window(1, 100)], Ends(Code::Protocol)),
        ("idle: CONTINUATION", vec![one(kind::CONTINUATION, 4, 1, &block(&GET))], Ends(Code::Protocol)),
        ("idle: PRIORITY", vec![one(kind::PRIORITY, 0, 5, &[0, 0, 0, 1, 10])], Goes),
        ("half-closed: DATA", vec![get(1, "/hold"), data(1, true, b"x")], Resets(1, Code::StreamClosed)),
        ("half-closed: HEADERS", vec![get(1, "/hold"), get(1, "/hold")], Resets(1, Code::StreamClosed)),
        (
            "half-closed: CONTINUATION",
            vec![get(1, "/hold"), one(kind::CONTINUATION, 4, 1, &block(&GET))],
            Ends(Code::Protocol),
        ),
        ("half-closed: WINDOW_UPDATE", vec![get(1, "/hold"), window(1, 100)], Goes),
        ("half-closed: PRIORITY", vec![get(1, "/hold"), one(kind::PRIORITY, 0, 1, &[0, 0, 0, 0, 1])], Goes),
        ("half-closed: RST_STREAM", vec![get(1, "/hold"), reset(1)], Goes),
        (
            "reset by the client: DATA",
            vec![post(1, "/", &[]), reset(1), data(1, true, b"x")],
            Resets(1, Code::StreamClosed),
        ),
        (
            "reset by the client: HEADERS",
            vec![post(1, "/", &[]), reset(1), get(1, "/")],
            Resets(1, Code::StreamClosed),
        ),
        ("reset by the client: WINDOW_UPDATE", vec![get(1, "/hold"), reset(1), window(1, 1)], Goes),
        ("reset by the client: RST_STREAM", vec![get(1, "/hold"), reset(1), reset(1)], Goes),
        (
            "reset by the server: DATA, HEADERS, WINDOW_UPDATE and RST_STREAM on their way",
            vec![
                headers(1, false, &asked("POST", "bad", &[])),
                data(1, false, b"x"),
                window(1, 1),
                headers(1, true, &block(&[("a", "b")])),
                reset(1),
            ],
            Resets(1, Code::Protocol),
        ),
    ]);
}

/// A stream that has ended in both directions.
#[test]
fn section_5_1_closed() {
    let cases: [(&str, Vec<u8>, Then); 5] = [
        ("DATA", data(1, true, b"x"), Ends(Code::StreamClosed)),
        ("HEADERS", get(1, "/"), Ends(Code::StreamClosed)),
        ("WINDOW_UPDATE", window(1, 1), Goes),
        ("RST_STREAM", reset(1), Goes),
        ("PRIORITY", one(kind::PRIORITY, 0, 1, &[0, 0, 0, 0, 1]), Goes),
    ];
    for (what, bytes, then) in cases {
        local(async {
            let (mut wire, _served) = serving(limits());
            wire.write(&greeting()).await;
            wire.write(&get(1, "/")).await;
            while !wire.until(kind::DATA, 1).await.flags & flag::END_STREAM != 0 {}
            wire.write(&bytes).await;
            let frames = wire.settled().await;
            let goaway = frames.iter().find(|frame| frame.kind == kind::GOAWAY).map(|frame| frame.number(4));
            match then {
                Ends(code) => assert_eq!(goaway, Some(code as u32), "{what}"),
                _ => assert!(
                    frames.iter().all(|frame| frame.kind != kind::RST_STREAM) && goaway.is_none(),
                    "{what}"
                ),
            }
        });
    }
}

#[test]
fn section_5_1_1_numbers() {
    check_all(vec![
        ("even", vec![get(2, "/")], Ends(Code::Protocol)),
        ("smaller than before", vec![get(5, "/hold"), get(3, "/")], Ends(Code::Protocol)),
        ("the first that was left out", vec![get(5, "/hold"), get(1, "/")], Ends(Code::Protocol)),
        ("left out later", vec![get(1, "/hold"), get(7, "/hold"), get(3, "/")], Ends(Code::Protocol)),
        ("gaps are allowed", vec![get(1, "/"), get(101, "/")], Goes),
        ("HEADERS on 0", vec![get(0, "/")], Ends(Code::Protocol)),
        ("the last there is", vec![get(0x7fff_ffff, "/")], Goes),
    ]);
}

#[test]
fn section_5_3_priorities_are_checked_and_ignored() {
    let priority = |stream: u32, payload: &[u8]| one(kind::PRIORITY, 0, stream, payload);
    let with = |dependency: [u8; 4]| {
        let payload = [&dependency[..], &[16], &block(&GET)].concat();
        one(kind::HEADERS, flag::END_STREAM | flag::END_HEADERS | flag::PRIORITY, 1, &payload)
    };
    check_all(vec![
        ("HEADERS with a priority", vec![with([0x80, 0, 0, 0])], Goes),
        ("HEADERS that depend on their own stream", vec![with([0, 0, 0, 1])], Resets(1, Code::Protocol)),
        (
            "PRIORITY that depends on its own stream",
            vec![get(1, "/hold"), priority(1, &[0, 0, 0, 1, 1])],
            Resets(1, Code::Protocol),
        ),
        ("the same on a stream that never began", vec![priority(3, &[0, 0, 0, 3, 1])], Ends(Code::Protocol)),
        ("PRIORITY of 4 bytes", vec![get(1, "/hold"), priority(1, &[0; 4])], Resets(1, Code::FrameSize)),
        ("PRIORITY on 0", vec![priority(0, &[0; 5])], Ends(Code::Protocol)),
        ("PRIORITY_UPDATE", vec![get(1, "/hold"), one(16, 0, 0, b"\0\0\0\x01u=1, i")], Goes),
        ("PRIORITY_UPDATE for a stream to come", vec![one(16, 0, 0, b"\0\0\0\x09u=1")], Goes),
        (
            "PRIORITY_UPDATE on a stream",
            vec![get(1, "/hold"), one(16, 0, 1, b"\0\0\0\x01u=1")],
            Ends(Code::Protocol),
        ),
        ("PRIORITY_UPDATE for stream 0", vec![one(16, 0, 0, b"\0\0\0\0u=1")], Ends(Code::Protocol)),
        ("PRIORITY_UPDATE without a value", vec![one(16, 0, 0, b"\0\0\0\x01")], Goes),
        ("PRIORITY_UPDATE of 3 bytes", vec![one(16, 0, 0, b"\0\0\0")], Ends(Code::FrameSize)),
    ]);
}

#[test]
fn section_6_1_data() {
    let padded =
        |stream: u32, payload: &[u8]| one(kind::DATA, flag::PADDED | flag::END_STREAM, stream, payload);
    check_all(vec![
        ("on 0", vec![data(0, true, b"x")], Ends(Code::Protocol)),
        ("padded", vec![post(1, "/", &[]), padded(1, &[2, b'x', 0, 0])], Goes),
        ("nothing but padding", vec![post(1, "/", &[]), padded(1, &[2, 0, 0])], Goes),
        (
            "padding as long as the payload",
            vec![post(1, "/", &[]), padded(1, &[3, 0, 0])],
            Ends(Code::Protocol),
        ),
        ("padded without a length", vec![post(1, "/", &[]), padded(1, &[])], Ends(Code::FrameSize)),
    ]);
}

#[test]
fn section_6_2_headers() {
    let padded = |padding: u8, end: usize| {
        let payload = [&[padding][..], &block(&GET), &vec![0; end]].concat();
        one(kind::HEADERS, flag::END_STREAM | flag::END_HEADERS | flag::PADDED, 1, &payload)
    };
    check_all(vec![
        ("padded", vec![padded(7, 7)], Goes),
        ("more padding than payload", vec![padded(255, 0)], Ends(Code::Protocol)),
        (
            "too short for a priority",
            vec![one(kind::HEADERS, flag::END_STREAM | flag::END_HEADERS | flag::PRIORITY, 1, &[0; 4])],
            Ends(Code::FrameSize),
        ),
    ]);
}

#[test]
fn section_6_4_reset() {
    check_all(vec![
        ("on 0", vec![reset(0)], Ends(Code::Protocol)),
        ("of 3 bytes", vec![get(1, "/hold"), one(kind::RST_STREAM, 0, 1, &[0; 3])], Ends(Code::FrameSize)),
        ("of 5 bytes", vec![get(1, "/hold"), one(kind::RST_STREAM, 0, 1, &[0; 5])], Ends(Code::FrameSize)),
        (
            "with a code that is not known",
            vec![get(1, "/hold"), one(kind::RST_STREAM, 0, 1, &[0x77; 4])],
            Goes,
        ),
    ]);
}

#[test]
fn section_6_5_settings() {
    check_all(vec![
        ("acknowledged", vec![one(kind::SETTINGS, flag::ACK, 0, &[])], Goes),
        ("acknowledged with a payload", vec![one(kind::SETTINGS, flag::ACK, 0, &[0])], Ends(Code::FrameSize)),
        ("on a stream", vec![one(kind::SETTINGS, 0, 1, &[])], Ends(Code::Protocol)),
        ("of 5 bytes", vec![one(kind::SETTINGS, 0, 0, &[0; 5])], Ends(Code::FrameSize)),
        ("unknown ones", vec![setting(0x77, 1), setting(0, 0)], Goes),
        ("ENABLE_PUSH 1", vec![setting(2, 1)], Goes),
        ("ENABLE_PUSH 2", vec![setting(2, 2)], Ends(Code::Protocol)),
        ("INITIAL_WINDOW_SIZE 2^31", vec![setting(4, 1 << 31)], Ends(Code::FlowControl)),
        ("INITIAL_WINDOW_SIZE 2^31-1", vec![setting(4, 0x7fff_ffff)], Goes),
        ("MAX_FRAME_SIZE 16383", vec![setting(5, 16383)], Ends(Code::Protocol)),
        ("MAX_FRAME_SIZE 2^24", vec![setting(5, 1 << 24)], Ends(Code::Protocol)),
        ("MAX_FRAME_SIZE 2^24-1", vec![setting(5, 0xff_ffff)], Goes),
        ("ENABLE_CONNECT_PROTOCOL 2", vec![setting(8, 2)], Ends(Code::Protocol)),
        ("ENABLE_CONNECT_PROTOCOL taken back", vec![setting(8, 1), setting(8, 0)], Ends(Code::Protocol)),
        ("NO_RFC7540_PRIORITIES 2", vec![setting(9, 2)], Ends(Code::Protocol)),
        ("HEADER_TABLE_SIZE 0 and 2^32-1", vec![setting(1, 0), setting(1, u32::MAX), get(1, "/")], Goes),
    ]);
}

#[test]
fn section_6_6_to_6_8() {
    let goaway = |stream: u32, payload: &[u8]| one(kind::GOAWAY, 0, stream, payload);
    check_all(vec![
        (
            "PUSH_PROMISE",
            vec![get(1, "/hold"), one(kind::PUSH_PROMISE, 4, 1, &[0, 0, 0, 2])],
            Ends(Code::Protocol),
        ),
        ("PING on a stream", vec![one(kind::PING, 0, 1, &[0; 8])], Ends(Code::Protocol)),
        ("PING of 6 bytes", vec![one(kind::PING, 0, 0, &[0; 6])], Ends(Code::FrameSize)),
        ("PING that answers nothing", vec![one(kind::PING, flag::ACK, 0, &[7; 8])], Goes),
        ("GOAWAY", vec![get(1, "/hold"), goaway(0, &[0; 8])], Goes),
        ("GOAWAY on a stream", vec![get(1, "/hold"), goaway(1, &[0; 8])], Ends(Code::Protocol)),
        ("GOAWAY of 7 bytes", vec![goaway(0, &[0; 7])], Ends(Code::FrameSize)),
    ]);
}

#[test]
fn section_6_9_windows() {
    let most = 0x7fff_ffff;
    check_all(vec![
        ("of nothing, for the connection", vec![window(0, 0)], Ends(Code::Protocol)),
        ("of nothing, for a stream", vec![get(1, "/hold"), window(1, 0)], Resets(1, Code::Protocol)),
        ("of 3 bytes", vec![one(kind::WINDOW_UPDATE, 0, 0, &[0; 3])], Ends(Code::FrameSize)),
        ("overflow of the connection", vec![window(0, most), window(0, most)], Ends(Code::FlowControl)),
        (
            "overflow of a stream",
            vec![get(1, "/hold"), window(1, most), window(1, most)],
            Resets(1, Code::FlowControl),
        ),
        (
            "overflow of a stream by a setting",
            vec![get(1, "/hold"), window(1, most - 65_535), setting(4, 65_536)],
            Ends(Code::FlowControl),
        ),
        (
            "up to the largest",
            vec![get(1, "/hold"), window(1, most - 65_535), window(0, most - 65_535)],
            Goes,
        ),
    ]);
}

#[test]
fn section_6_10_continuation() {
    let (first, rest) = (block(&GET[..2]), block(&GET[2..]));
    let begin = |stream: u32| one(kind::HEADERS, flag::END_STREAM, stream, &first);
    let more = |flags: u8, stream: u32, payload: &[u8]| one(kind::CONTINUATION, flags, stream, payload);
    check_all(vec![
        ("one", vec![begin(1), more(4, 1, &rest)], Goes),
        (
            "several, empty ones too",
            vec![begin(1), more(0, 1, &rest[..3]), more(0, 1, &[]), more(4, 1, &rest[3..])],
            Goes,
        ),
        ("on another stream", vec![begin(1), more(4, 3, &rest)], Ends(Code::Protocol)),
        ("on 0", vec![begin(1), more(4, 0, &rest)], Ends(Code::Protocol)),
        ("behind a whole block", vec![get(1, "/hold"), more(4, 1, &rest)], Ends(Code::Protocol)),
        (
            "behind DATA",
            vec![post(1, "/", &[]), data(1, false, b"x"), more(4, 1, &rest)],
            Ends(Code::Protocol),
        ),
    ]);
}

#[test]
fn section_8_messages() {
    let malformed = Resets(1, Code::Protocol);
    let trailers = |fields: &[(&str, &str)], ends: bool| headers(1, ends, &block(fields));
    check_all(vec![
        ("trailers", vec![post(1, "/", &[]), data(1, false, b"x"), trailers(&[("a", "b")], true)], Goes),
        ("trailers without a body", vec![post(1, "/", &[]), trailers(&[("a", "b")], true)], Goes),
        ("trailers that do not end", vec![post(1, "/", &[]), trailers(&[("a", "b")], false)], malformed),
        (
            "trailers with a pseudo-field",
            vec![post(1, "/", &[]), trailers(&[(":method", "GET")], true)],
            malformed,
        ),
        (
            "trailers with a name in upper case",
            vec![post(1, "/", &[]), trailers(&[("A", "b")], true)],
            malformed,
        ),
        (
            "content-length that fits",
            vec![post(1, "/", &[("content-length", "3")]), data(1, true, b"abc")],
            Goes,
        ),
        (
            "content-length that fits over several frames",
            vec![
                post(1, "/", &[("content-length", "3")]),
                data(1, false, b"ab"),
                data(1, false, b"c"),
                data(1, true, b""),
            ],
            Goes,
        ),
        ("body too short", vec![post(1, "/", &[("content-length", "4")]), data(1, true, b"abc")], malformed),
        ("body too long", vec![post(1, "/", &[("content-length", "2")]), data(1, false, b"abc")], malformed),
        (
            "body too long in the second frame",
            vec![post(1, "/", &[("content-length", "2")]), data(1, false, b"ab"), data(1, true, b"c")],
            malformed,
        ),
        ("body missing", vec![headers(1, true, &asked("POST", "/", &[("content-length", "1")]))], malformed),
        (
            "body too short before trailers",
            vec![
                post(1, "/", &[("content-length", "2")]),
                data(1, false, b"a"),
                trailers(&[("a", "b")], true),
            ],
            malformed,
        ),
        ("content-length that is no number", vec![post(1, "/", &[("content-length", "+1")])], malformed),
        (
            "content-length twice",
            vec![post(1, "/", &[("content-length", "1"), ("content-length", "1")])],
            malformed,
        ),
        ("no fields at all", vec![headers(1, true, &[])], malformed),
        (
            "a field that only HTTP/1 has",
            vec![headers(1, true, &asked("GET", "/", &[("connection", "x")]))],
            malformed,
        ),
        ("a name in upper case", vec![headers(1, true, &asked("GET", "/", &[("Accept", "x")]))], malformed),
        ("te: trailers", vec![headers(1, true, &asked("GET", "/", &[("te", "trailers")]))], Goes),
        ("te: gzip", vec![headers(1, true, &asked("GET", "/", &[("te", "trailers, gzip")]))], malformed),
    ]);
}
