//! Reading heads: in any pieces, within limits, up to the end of the stream.

use std::future::poll_fn;
use std::task::Poll;

use usher_http::Request;
use usher_http::parse::ParseError;

use super::*;
use crate::buffer::LARGE;
use crate::error::WireError;
use crate::testing::{once, write_all};

async fn head(connection: &mut Connection<MemoryStream>, limits: &HeadLimits) -> Result<String, WireError> {
    let mut request = Request::default();
    poll_fn(|cx| connection.poll_request(cx, limits, &mut request)).await?;
    Ok(String::from_utf8_lossy(request.raw_target()).into_owned())
}

#[test]
fn pipelined_heads_are_read_one_by_one() {
    let bytes = b"GET /1 HTTP/1.1\r\n\r\n\r\nGET /2 HTTP/1.1\r\nA: b\r\n\r\nGET /3 HTTP/1.0\r\n\r\n";
    for capacity in CAPACITIES {
        with_bytes(bytes, capacity, async |connection| {
            for want in ["/1", "/2", "/3"] {
                assert_eq!(head(connection, &limits()).await.unwrap(), want, "{capacity}");
            }
            assert!(matches!(head(connection, &limits()).await, Err(WireError::Closed)));
            assert!(connection.is_ended());
            assert_eq!(connection.take_received(), bytes.len() as u64);
        });
    }
}

#[test]
fn an_end_within_a_head_is_told_from_one_between_heads() {
    let bytes = b"GET / HTTP/1.1\r\nA: b\r\n\r\n";
    for cut in 0..bytes.len() {
        with_bytes(&bytes[..cut], 7, async |connection| {
            let error = head(connection, &limits()).await.unwrap_err();
            let want = if cut == 0 { "connection closed" } else { "connection closed within a message" };
            assert_eq!(error.as_str(), want, "{cut}");
        });
    }
}

#[test]
fn an_oversize_head_is_refused_and_never_waited_for() {
    let line = |len: usize| format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(len)).into_bytes();
    let field = |len: usize| format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(len)).into_bytes();
    let many = |len: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(len)).into_bytes();
    let unended = |start: &str, len: usize| [start.as_bytes(), &vec![b'a'; len]].concat();
    let tight = HeadLimits { line: 20, head: 30, fields: 2 };
    let inverted = HeadLimits { line: 40_000, head: 1000, fields: 9 };
    let huge = HeadLimits { line: 100_000, head: 200_000, fields: 9 };
    for (name, limits, bytes, want) in [
        ("line", limits(), line(9000), ParseError::LineTooLong),
        ("line", limits(), line(500_000), ParseError::LineTooLong),
        ("line without end", limits(), unended("GET /", 9000), ParseError::LineTooLong),
        ("behind an empty line", limits(), unended("\r\nGET /", 9000), ParseError::LineTooLong),
        ("field", limits(), field(40_000), ParseError::HeadTooLarge),
        ("field without end", limits(), unended("GET / HTTP/1.1\r\nA: ", 33_000), ParseError::HeadTooLarge),
        ("name without end", limits(), unended("GET / HTTP/1.1\r\n", 2000), ParseError::FieldName),
        ("fields", limits(), many(101), ParseError::TooManyFields),
        ("fields", limits(), many(50_000), ParseError::TooManyFields),
        ("tight line", tight, line(30), ParseError::LineTooLong),
        ("tight head", tight, field(20), ParseError::HeadTooLarge),
        ("line over head", inverted, line(2000), ParseError::HeadTooLarge),
        ("line over head without end", inverted, unended("GET /", 41_000), ParseError::LineTooLong),
        ("huge line", huge, line(100_001), ParseError::LineTooLong),
        ("huge head", huge, field(200_000), ParseError::HeadTooLarge),
    ] {
        for capacity in [50, 1000, 1_000_000] {
            // No end of the stream: what is not refused would wait for ever.
            run(async {
                let (mut peer, stream) = MemoryStream::pair(capacity);
                let mut connection = Connection::new(stream);
                let reading = async {
                    let got = head(&mut connection, &limits).await;
                    assert!(
                        matches!(got, Err(WireError::Parse(error)) if error == want),
                        "{name} {capacity}: {got:?}"
                    );
                    assert!(connection.input.len() <= (limits.head + limits.line).max(LARGE) + 4);
                };
                tokio::select! {
                    biased;
                    () = reading => {}
                    () = async {
                        write_all(&mut peer, &bytes).await;
                        for _ in 0..100 {
                            tokio::task::yield_now().await;
                        }
                    } => panic!("{name} {capacity}: not refused"),
                }
            });
        }
    }
}

#[test]
fn a_head_of_just_the_limit_passes() {
    let limits = HeadLimits { line: 100_000, head: 200_000, fields: 9 };
    let frame = "\r\nA: \r\n\r\n".len();
    let line = format!("GET /{} HTTP/1.1", "a".repeat(100_000 - 14));
    let bytes = format!("\r\n{line}\r\nA: {}\r\n\r\n", "b".repeat(200_000 - line.len() - frame));
    for capacity in [1000, 1_000_000] {
        with_bytes(bytes.as_bytes(), capacity, async |connection| {
            assert_eq!(head(connection, &limits).await.unwrap().len(), 100_000 - 13);
            assert!(!connection.has_input());
        });
    }
}

#[test]
fn bytes_read_before_come_first() {
    for size in [0, 1, 40_000, 200_000] {
        let ahead = [b"GET /ahead HTTP/1.1\r\n\r\n".as_slice(), &vec![b'x'; size]].concat();
        run(async {
            let (_peer, stream) = MemoryStream::pair(10);
            let mut connection = Connection::with_input(stream, &ahead);
            assert_eq!(head(&mut connection, &limits()).await.unwrap(), "/ahead");
            assert_eq!(connection.into_parts().1.len(), size);
        });
    }
}

#[test]
fn an_idle_connection_holds_little_memory() {
    run(async {
        let (mut peer, stream) = MemoryStream::pair(10_000);
        let mut connection = Connection::new(stream);
        write_all(&mut peer, b"GET / HTTP/1.1\r\n\r\n").await;
        assert!(head(&mut connection, &limits()).await.is_ok());
        for (size, kept) in [(100, true), (5000, false)] {
            connection.output().resize(size, b'x');
            assert!(poll_fn(|cx| connection.poll_output(cx)).await.is_ok());
            connection.release();
            assert_eq!(connection.output.capacity() > 0, kept, "{size} bytes");
        }
        assert!(once(|cx| connection.poll_readable(cx)).is_pending());
        assert_eq!(format!("{:?}", connection.input), format!("{:?}", crate::Buffer::default()));
    });
}

#[test]
fn a_client_that_leaves_is_noticed_while_an_endpoint_works() {
    run(async {
        let (mut peer, stream) = MemoryStream::pair(100_000);
        let mut connection = Connection::new(stream);
        assert!(once(|cx| connection.poll_gone(cx)).is_pending());
        // Pipelined requests are read ahead, up to a bound.
        let pipelined = b"GET /2 HTTP/1.1\r\n\r\n".repeat(5000);
        write_all(&mut peer, &pipelined).await;
        for _ in 0..10 {
            assert!(once(|cx| connection.poll_gone(cx)).is_pending());
        }
        assert!(connection.has_input() && connection.input.len() <= LARGE);
        for _ in 0..5000 {
            assert_eq!(head(&mut connection, &limits()).await.unwrap(), "/2");
        }
        // A half-closed client still gets its response.
        drop(peer);
        assert!(once(|cx| connection.poll_gone(cx)).is_pending());
        assert!(connection.is_ended());
        let mut request = Request::default();
        let end = once(|cx| connection.poll_request(cx, &limits(), &mut request));
        assert!(matches!(end, Poll::Ready(Err(WireError::Closed))));
    });
}
