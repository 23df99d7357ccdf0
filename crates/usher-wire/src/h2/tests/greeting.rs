//! How a connection begins (RFC 9113 section 3.4), and requests that are answered without anybody's help.

use super::super::frame::Code;
use super::*;

#[test]
fn section_3_4_preface() {
    let wrong: [Vec<u8>; 4] = [
        b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r".to_vec(),
        [PREFACE.as_slice(), &one(kind::PING, 0, 0, &[0; 8])].concat(),
        [PREFACE.as_slice(), &one(kind::SETTINGS, flag::ACK, 0, &[])].concat(),
    ];
    for bytes in wrong {
        local(async {
            let (mut wire, served) = serving(limits());
            wire.write(&bytes).await;
            let goaway = wire.until(kind::GOAWAY, 0).await;
            assert_eq!(goaway.number(4), Code::Protocol as u32, "{bytes:?}");
            drop(wire);
            assert!(matches!(served.await.expect("no panic"), Err(WireError::Protocol(_))));
        });
    }
}

#[test]
fn a_preface_may_come_byte_by_byte_or_be_read_already() {
    local(async {
        let (mut wire, _served) = serving(limits());
        for byte in [greeting(), get(1, "/")].concat() {
            wire.write(&[byte]).await;
            tokio::task::yield_now().await;
        }
        wire.until(kind::DATA, 1).await;
        let (near, far) = MemoryStream::pair(CAPACITY);
        let ahead = [greeting(), get(1, "/")[..20].to_vec()].concat();
        tokio::task::spawn_local(serve(Server::new(far, &ahead, limits())));
        let mut wire = Wire::new(near);
        wire.write(&get(1, "/")[20..]).await;
        wire.until(kind::DATA, 1).await;
    });
}

#[test]
fn what_the_server_says_first() {
    local(async {
        let (mut wire, _served) = serving(limits());
        wire.write(&greeting()).await;
        let settings = wire.frame().await.expect("a frame");
        assert_eq!((settings.kind, settings.flags, settings.stream), (kind::SETTINGS, 0, 0));
        let pairs: Vec<(u16, u32)> = settings
            .payload
            .chunks(6)
            .map(|pair| {
                (u16::from_be_bytes([pair[0], pair[1]]), frame::number(&pair[2..]).expect("four bytes"))
            })
            .collect();
        assert_eq!(pairs, [(3, 100), (8, 1), (9, 1), (4, 256 << 10), (6, 4000)]);
        let window = wire.frame().await.expect("a frame");
        assert_eq!((window.kind, window.number(0)), (kind::WINDOW_UPDATE, (1 << 20) - 65_535));
        assert_eq!(
            wire.frame().await.map(|frame| (frame.kind, frame.flags)),
            Some((kind::SETTINGS, flag::ACK))
        );
    });
}

#[test]
fn requests_over_the_limits_are_answered() {
    let long = "x".repeat(5000);
    let path = format!("/{}", "x".repeat(1000));
    let many: Vec<(String, &str)> = (0..21).map(|number| (format!("a{number}"), "b")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let cases: [(&[u8], &[u8], bool); 4] = [
        (&asked("GET", "/", &[("a", &long)]), b"431", true),
        (&asked("GET", "/", &many), b"431", true),
        (&asked("GET", &path, &[]), b"414", true),
        (&asked("POST", &path, &[]), b"414", false),
    ];
    for (block, status, ends) in cases {
        local(async {
            let (mut wire, _served) = serving(limits());
            wire.write(&greeting()).await;
            wire.write(&headers(1, ends, block)).await;
            let head = wire.until(kind::HEADERS, 1).await;
            let frames = wire.settled().await;
            assert_eq!(head.flags, flag::END_HEADERS | flag::END_STREAM);
            assert!(head.payload.windows(3).any(|window| window == status), "{head:?}");
            let reset = frames.iter().find(|frame| frame.kind == kind::RST_STREAM);
            assert_eq!(reset.map(|frame| frame.number(0)), (!ends).then_some(Code::NoError as u32));
            // The tables of both sides still agree.
            wire.write(&[data(1, true, b"late"), get(3, "/")].concat()[if ends { 13 } else { 0 }..]).await;
            wire.until(kind::DATA, 3).await;
        });
    }
}
