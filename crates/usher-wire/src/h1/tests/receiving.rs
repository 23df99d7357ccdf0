//! Receiving bodies: every framing, in any pieces, with the next message behind it or the end in the middle of it.

use std::future::poll_fn;

use usher_http::{Framing, Request};

use super::*;
use crate::body::Source;
use crate::error::WireError;
use crate::testing::{pattern, receive};

async fn body(
    connection: &mut Connection<MemoryStream>,
    framing: Framing,
    piece: usize,
) -> Result<Vec<u8>, WireError> {
    let mut request = Request::default();
    poll_fn(|cx| connection.poll_request(cx, &limits(), &mut request)).await?;
    connection.begin_receive(framing);
    receive(connection, piece).await
}

fn message(body: &[u8]) -> Vec<u8> {
    [b"POST / HTTP/1.1\r\n\r\n", body].concat()
}

#[test]
fn bodies_of_every_framing() {
    let next = b"GET /next HTTP/1.1\r\n\r\n";
    let large = pattern(200_000);
    let large_chunk = [b"30d40\r\n", large.as_slice(), b"\r\n0\r\n\r\n"].concat();
    for (framing, wire, payload) in [
        (Framing::None, &b""[..], &b""[..]),
        (Framing::Length(0), b"", b""),
        (Framing::Length(5), b"hello", b"hello"),
        (Framing::Length(200_000), &large, &large),
        (Framing::Chunked, b"0\r\n\r\n", b""),
        (Framing::Chunked, b"5\r\nhello\r\n1;x=\"y\"\r\n!\r\n0\r\n\r\n", b"hello!"),
        (Framing::Chunked, b"5\r\nhello\r\n0\r\nX: y\r\nZ:\r\n\r\n", b"hello"),
        (Framing::Chunked, &large_chunk, &large),
    ] {
        let bytes = [message(wire).as_slice(), next].concat();
        let capacities = if wire.len() > 1000 { &CAPACITIES[4..] } else { &CAPACITIES[..] };
        for &capacity in capacities {
            for piece in [1, 3, usize::MAX] {
                with_bytes(&bytes, capacity, async |connection| {
                    let got = body(connection, framing, piece).await.unwrap();
                    assert!(got == payload, "{framing:?} {capacity} {piece}");
                    assert!(connection.is_done());
                    // What is behind the body is the next message, to the byte.
                    assert!(body(connection, Framing::None, 1).await.is_ok());
                    assert!(!connection.has_input() && connection.chunk().is_empty());
                });
            }
        }
    }
}

#[test]
fn a_body_up_to_the_end_of_the_stream() {
    for payload in [&b""[..], b"hello", &pattern(200_000)] {
        for capacity in [7, 100_000] {
            with_bytes(&message(payload), capacity, async |connection| {
                assert!(body(connection, Framing::Close, usize::MAX).await.unwrap() == payload);
                assert!(connection.is_done() && connection.is_ended());
            });
        }
    }
}

#[test]
fn trailers_are_kept_for_one_message() {
    let bytes = [message(b"0\r\nX: y\r\n\r\n"), message(b"a"), message(b"0\r\n\r\n")].concat();
    for capacity in CAPACITIES {
        with_bytes(&bytes, capacity, async |connection| {
            assert!(connection.received_trailers().is_none());
            body(connection, Framing::Chunked, 1).await.unwrap();
            assert_eq!(
                connection.received_trailers().and_then(|fields| fields.get_named(b"x")),
                Some(&b"y"[..])
            );
            for framing in [Framing::Length(1), Framing::Chunked] {
                body(connection, framing, 1).await.unwrap();
                assert!(Source::trailers(connection).is_none(), "{framing:?}");
            }
        });
    }
}

#[test]
fn a_body_that_ends_early_is_truncated() {
    let chunked = b"5\r\nhello\r\n0\r\nX: y\r\n\r\n";
    for (framing, wire) in [(Framing::Length(6), &b"hello!"[..]), (Framing::Chunked, chunked)] {
        for cut in 0..wire.len() {
            for capacity in [1, 100] {
                let got = with_bytes(&message(&wire[..cut]), capacity, async |connection| {
                    body(connection, framing, usize::MAX).await
                });
                assert!(matches!(got, Err(WireError::Truncated)), "{framing:?} {cut}: {got:?}");
            }
        }
    }
}

#[test]
fn malformed_chunks_and_trailers_are_refused() {
    let much = format!("0\r\nA: {}\r\n\r\n", "a".repeat(9000));
    let many = format!("0\r\n{}\r\n", "A: b\r\n".repeat(33));
    for wire in [
        "5 \r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "ffffffffffffffff\r\nhello",
        "0\r\n x\r\n\r\n",
        "0\r\nA : b\r\n\r\n",
        "0\r\nA: b\n\r\n",
        "0\r\nA: \0\r\n\r\n",
        "0\r\n\n",
        &much,
        &many,
    ] {
        for capacity in [1, 100, 100_000] {
            let got = with_bytes(&message(wire.as_bytes()), capacity, async |connection| {
                body(connection, Framing::Chunked, usize::MAX).await
            });
            assert!(got.as_ref().is_err_and(WireError::is_malformed), "{wire:?} {capacity}: {got:?}");
        }
    }
}

#[test]
fn memory_for_a_body_is_bounded() {
    run(async {
        let (mut peer, stream) = MemoryStream::pair(1 << 20);
        let mut connection = Connection::new(stream);
        crate::testing::write_all(&mut peer, &pattern(1 << 20)).await;
        connection.begin_receive(Framing::Length(1 << 20));
        for _ in 0..100 {
            let len = poll_fn(|cx| connection.poll_fill(cx)).await.unwrap();
            assert!(len <= crate::buffer::LARGE, "nothing is read while something is at hand");
        }
        assert!(connection.take_received() <= crate::buffer::LARGE as u64);
    });
}
