//! Sending bodies: what is sent is what is received, and never another length than was announced.

use std::future::poll_fn;
use std::task::Poll;

use proptest::prelude::*;
use usher_http::{Fields, Framing};
use usher_net::Transport;

use super::*;
use crate::body::Sink;
use crate::error::WireError;
use crate::h1::NotTrailers;
use crate::testing::{finish, once, pattern, read_all, receive, send};

/// Sends `pieces` as one body and returns the bytes on the wire.
fn wire(
    framing: Framing,
    pieces: &[&[u8]],
    trailers: Option<&Fields>,
    capacity: usize,
) -> Result<Vec<u8>, WireError> {
    wire_with(framing, pieces, (trailers, Some(["X-Own".into()].into())), capacity)
}

/// As [`wire`], with the names that are not passed on as trailers; none passes no trailers at all.
fn wire_with(
    framing: Framing,
    pieces: &[&[u8]],
    (trailers, passed): (Option<&Fields>, Option<NotTrailers>),
    capacity: usize,
) -> Result<Vec<u8>, WireError> {
    run(async {
        let (mut peer, stream) = MemoryStream::pair(capacity);
        let mut connection = Connection::new(stream);
        let sending = async move {
            connection.output().extend_from_slice(b"head ");
            connection.begin_send(framing);
            connection.pass_trailers(passed.as_ref());
            for piece in pieces {
                send(&mut connection, piece).await?;
            }
            finish(&mut connection, trailers).await?;
            assert!(connection.is_send_done() && connection.is_flushed());
            let sent = connection.take_sent();
            poll_fn(|cx| connection.poll_end(cx)).await?;
            Ok::<_, WireError>(sent)
        };
        let (sent, bytes) = tokio::join!(sending, read_all(&mut peer, 11));
        assert_eq!(sent?, bytes.len() as u64);
        Ok(bytes)
    })
}

#[test]
fn bodies_of_every_framing() {
    for (framing, pieces, want) in [
        (Framing::None, &[][..], "head "),
        (Framing::Length(0), &[], "head "),
        (Framing::Length(6), &[&b"hello"[..], b"!"], "head hello!"),
        (Framing::Close, &[b"hello", b"!"], "head hello!"),
        (Framing::Chunked, &[], "head 0\r\n\r\n"),
        (Framing::Chunked, &[b"hello", b"!"], "head 5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"),
        (Framing::Chunked, &[b"0123456789abcdef0"], "head 11\r\n0123456789abcdef0\r\n0\r\n\r\n"),
    ] {
        for capacity in CAPACITIES {
            let got = wire(framing, pieces, None, capacity).unwrap();
            assert_eq!(String::from_utf8_lossy(&got), want, "{framing:?} {capacity}");
        }
    }
}

#[test]
fn trailers_that_decide_something_are_not_sent() {
    let mut trailers = Fields::default();
    for name in [
        "X-Checksum",
        "Content-Length",
        "Transfer-Encoding",
        "Host",
        "Connection",
        "Set-Cookie",
        "Proxy",
        "x-own",
        "X_Under",
        "X-More",
    ] {
        trailers.add(name.as_bytes(), b"1").unwrap();
    }
    let got = wire(Framing::Chunked, &[b"a"], Some(&trailers), 100).unwrap();
    assert_eq!(String::from_utf8_lossy(&got), "head 1\r\na\r\n0\r\nX-Checksum: 1\r\nX-More: 1\r\n\r\n");
    assert_eq!(wire(Framing::Length(1), &[b"a"], Some(&trailers), 100).unwrap(), b"head a");
    let none = wire_with(Framing::Chunked, &[b"a"], (Some(&trailers), None), 100).unwrap();
    assert_eq!(String::from_utf8_lossy(&none), "head 1\r\na\r\n0\r\n\r\n");
}

#[test]
fn less_than_was_announced_is_an_error() {
    assert!(matches!(wire(Framing::Length(6), &[b"hello"], None, 100), Err(WireError::Truncated)));
    assert!(matches!(wire(Framing::Length(1), &[], None, 100), Err(WireError::Truncated)));
}

#[test]
fn more_than_was_announced_is_an_error_and_not_sent() {
    run(async {
        let (mut peer, stream) = MemoryStream::pair(100);
        let mut connection = Connection::new(stream);
        connection.begin_send(Framing::Length(5));
        assert!(matches!(once(|cx| connection.poll_send(cx, b"hello!")), Poll::Ready(Ok(5))));
        assert!(matches!(once(|cx| connection.poll_send(cx, b"!")), Poll::Ready(Err(WireError::Truncated))));
        poll_fn(|cx| connection.poll_end(cx)).await.unwrap();
        assert_eq!(read_all(&mut peer, 10).await, b"hello");
    });
    let nothing = wire(Framing::None, &[b"x"], None, 100);
    assert!(matches!(nothing, Err(WireError::Truncated)));
}

#[test]
fn a_chunk_is_never_ended_early_or_empty() {
    run(async {
        let (_peer, stream) = MemoryStream::pair(100);
        let mut connection = Connection::new(stream);
        connection.begin_send(Framing::Chunked);
        assert!(matches!(once(|cx| connection.poll_send(cx, b"")), Poll::Ready(Ok(0))));
        assert!(connection.output().is_empty(), "a chunk of size 0 would end the body");
        // More than is copied, and more than the stream takes: part of the chunk is due.
        let data = pattern(50_000);
        while let Poll::Ready(taken) = once(|cx| connection.poll_send(cx, &data)) {
            assert!(taken.unwrap() < data.len());
        }
        assert!(matches!(
            once(|cx| connection.poll_finish(cx, None)),
            Poll::Ready(Err(WireError::Truncated))
        ));
    });
}

#[test]
fn small_pieces_leave_with_the_head_in_one_write() {
    run(async {
        let (mut peer, stream) = MemoryStream::pair(1000);
        let mut connection = Connection::new(stream);
        connection.output().extend_from_slice(b"head ");
        connection.begin_send(Framing::Length(5));
        send(&mut connection, b"hello").await.unwrap();
        let mut buf = [0; 100];
        assert!(once(|cx| peer.poll_read(cx, &mut buf)).is_pending(), "nothing is sent before it must");
        finish(&mut connection, None).await.unwrap();
        assert!(matches!(once(|cx| peer.poll_read(cx, &mut buf)), Poll::Ready(Ok(10))));
    });
}

#[test]
fn a_slow_reader_does_not_make_the_output_grow() {
    for framing in [Framing::Length(u64::MAX), Framing::Close, Framing::Chunked] {
        run(async {
            let (mut peer, stream) = MemoryStream::pair(64);
            let mut connection = Connection::new(stream);
            connection.begin_send(framing);
            let mut buf = [0; 20];
            let mut most = 0;
            for _ in 0..20_000 {
                let _ = once(|cx| connection.poll_send(cx, b"0123456789abcdefghijklmnopqrstuvwxyz"));
                let _ = once(|cx| peer.poll_read(cx, &mut buf));
                most = most.max(connection.output.len());
                // The runtime lets a task do only so much in a row.
                tokio::task::yield_now().await;
            }
            assert!(most <= 32 << 10, "{framing:?}: {most}");
        });
    }
}

#[test]
fn a_reader_that_is_gone_is_an_error() {
    run(async {
        let (peer, stream) = MemoryStream::pair(64);
        drop(peer);
        let mut connection = Connection::new(stream);
        connection.begin_send(Framing::Close);
        let sent = send(&mut connection, &pattern(100_000)).await;
        assert!(matches!(sent, Err(WireError::Io(_))), "{sent:?}");
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// What one connection sends, another receives: whatever the pieces and the stream between them.
    #[test]
    fn received_is_what_was_sent(
        sizes in prop::collection::vec(prop_oneof![1..20_usize, 8000..9000_usize, 60_000..70_000_usize], 0..6),
        capacity in prop_oneof![10..100_usize, 1000..100_000_usize],
        piece in prop_oneof![1..10_usize, Just(usize::MAX)],
    ) {
        let payload = pattern(sizes.iter().sum());
        for framing in [Framing::Length(payload.len() as u64), Framing::Chunked, Framing::Close] {
            let received = run(async {
                let (near, far) = MemoryStream::pair(capacity);
                let (mut near, mut far) = (Connection::new(near), Connection::new(far));
                let sending = async {
                    near.begin_send(framing);
                    let mut rest = payload.as_slice();
                    for &size in &sizes {
                        let (part, after) = rest.split_at(size);
                        send(&mut near, part).await?;
                        rest = after;
                    }
                    finish(&mut near, None).await?;
                    poll_fn(|cx| near.poll_end(cx)).await
                };
                far.begin_receive(framing);
                let (sent, received) = tokio::join!(sending, receive(&mut far, piece));
                sent.unwrap();
                received.unwrap()
            });
            prop_assert!(received == payload, "{:?}", framing);
        }
    }
}
