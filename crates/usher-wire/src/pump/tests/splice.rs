//! Bodies through a pipe of the kernel, over real sockets.

use std::cell::RefCell;
use std::rc::Rc;

use tokio::net::{TcpListener, TcpStream};
use usher_net::{Stream, Transport};

use super::*;

/// Two connected sockets.
async fn pair() -> (Stream, Stream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    (Stream::Tcp(near.expect("connected")), Stream::Tcp(far.expect("accepted").0))
}

const SIZE: usize = 1 << 20;

/// Moves a body from socket to socket; the receiver takes `piece` bytes at a time and yields in between. Returns
/// what was received, how the pump ended, and whether it went through a pipe.
async fn moved(
    framings: (Framing, Framing),
    sent: &[u8],
    piece: usize,
    mut pump: Pump,
) -> (Vec<u8>, Result<(), PumpError>, bool) {
    let (mut sender, source) = pair().await;
    let (sink, mut receiver) = pair().await;
    let (mut source, mut sink) = (Connection::new(source), Connection::new(sink));
    source.begin_receive(framings.0);
    sink.output().extend_from_slice(b"head ");
    sink.begin_send(framings.1);
    let pumping = async {
        let ended = poll_fn(|cx| pump.poll(cx, &mut source, &mut sink)).await;
        if ended.is_ok() {
            poll_fn(|cx| sink.poll_end(cx)).await.unwrap();
        }
        // Its other end sees the end of the stream, and the sender that nobody listens.
        drop((source, sink));
        ended
    };
    let (got, ended, ()) =
        tokio::join!(read_all(&mut receiver, piece), pumping, write_and_end(&mut sender, sent));
    (got, ended, pump.pipe.is_some())
}

#[test]
fn large_plain_bodies_go_through_a_pipe() {
    let payload = pattern(SIZE);
    let length = Framing::Length(SIZE as u64);
    for (from, to, spliced) in [
        (length, length, true),
        (length, Framing::Close, true),
        (Framing::Close, Framing::Close, true),
        (Framing::Close, length, true),
        (length, Framing::Chunked, false),
        (Framing::Close, Framing::Chunked, false),
    ] {
        for piece in [1 << 16, 999] {
            run(async {
                let (got, ended, piped) = moved((from, to), &payload, piece, Pump::default()).await;
                assert!(ended.is_ok(), "{ended:?}");
                assert_eq!(piped, spliced, "{from:?} into {to:?}");
                let body = got.strip_prefix(b"head ").expect("the head comes first");
                let same = if to == Framing::Chunked { body.len() > SIZE } else { body == payload };
                assert!(same, "{from:?} into {to:?}, {} bytes", body.len());
            });
        }
    }
}

#[test]
fn small_bodies_and_seen_bodies_do_not() {
    let payload = pattern(SIZE);
    run(async {
        let length = Framing::Length(60_000);
        let (got, ended, piped) = moved((length, length), &payload[..60_000], 9999, Pump::default()).await;
        assert!(ended.is_ok() && !piped && got.len() == 60_005);
        let length = Framing::Length(SIZE as u64);
        let (got, ended, piped) = moved((length, length), &payload, 9999, Pump::without_splice()).await;
        assert!(ended.is_ok() && !piped && got[5..] == payload);
    });
}

#[test]
fn what_follows_the_body_stays_with_the_source() {
    run(async {
        let (mut sender, source) = pair().await;
        let (sink, mut receiver) = pair().await;
        let (mut source, mut sink) = (Connection::new(source), Connection::new(sink));
        source.begin_receive(Framing::Length(SIZE as u64));
        sink.begin_send(Framing::Length(SIZE as u64));
        let bytes = [pattern(SIZE), b"next".to_vec()].concat();
        let mut pump = Pump::default();
        let pumping = async {
            poll_fn(|cx| pump.poll(cx, &mut source, &mut sink)).await.unwrap();
            poll_fn(|cx| sink.poll_end(cx)).await.unwrap();
            source.begin_receive(Framing::Close);
            receive(&mut source, usize::MAX).await.unwrap()
        };
        let (got, rest, ()) =
            tokio::join!(read_all(&mut receiver, 5000), pumping, write_and_end(&mut sender, &bytes));
        assert!(got == bytes[..SIZE] && rest == b"next");
        assert_eq!(source.take_received(), bytes.len() as u64);
        assert_eq!(sink.take_sent(), SIZE as u64);
    });
}

#[test]
fn a_spliced_body_that_ends_early_is_truncated() {
    run(async {
        let length = Framing::Length(SIZE as u64);
        let (got, ended, piped) = moved((length, length), &pattern(SIZE - 1), 9999, Pump::default()).await;
        assert!(matches!(ended, Err(PumpError::Source(WireError::Truncated))), "{ended:?}");
        assert!(piped && got.len() < SIZE + 5);
    });
}

#[test]
fn more_than_the_sink_announced_is_never_spliced() {
    run(async {
        let (got, ended, _) =
            moved((Framing::Close, Framing::Length(100_000)), &pattern(SIZE), 9999, Pump::default()).await;
        assert!(matches!(ended, Err(PumpError::Sink(WireError::Truncated))), "{ended:?}");
        assert!(got.len() <= 100_005, "{}", got.len());
    });
}

#[test]
fn a_limit_holds_for_spliced_bodies() {
    run(async {
        let (_, ended, _) = moved(
            (Framing::Close, Framing::Close),
            &pattern(SIZE),
            9999,
            Pump::limited(Some(SIZE as u64 - 1)),
        )
        .await;
        assert!(matches!(ended, Err(PumpError::Source(WireError::TooLarge))), "{ended:?}");
        let (got, ended, _) =
            moved((Framing::Close, Framing::Close), &pattern(SIZE), 9999, Pump::limited(Some(SIZE as u64)))
                .await;
        assert!(ended.is_ok() && got.len() == SIZE + 5);
    });
}

/// Sends parts of a body to whoever takes no more than `reach` in advance, each when the last one has arrived. Returns what
/// went out of the pipe at a time.
async fn watched(parts: &[usize], reach: usize) -> Vec<(usize, bool)> {
    let size: usize = parts.iter().sum();
    let (mut sender, source) = pair().await;
    let (sink, mut receiver) = pair().await;
    let moved: Rc<RefCell<Vec<_>>> = Rc::default();
    let sink = Watched { stream: sink, reach, moved: moved.clone(), looks: Rc::default() };
    let (mut source, mut sink) = (Connection::new(source), Connection::new(sink));
    source.begin_receive(Framing::Length(size as u64));
    sink.begin_send(Framing::Length(size as u64));
    let mut pump = Pump::default();
    let pumping = poll_fn(|cx| pump.poll(cx, &mut source, &mut sink));
    let sending = async {
        for part in parts {
            let mut bytes = &vec![7; *part][..];
            let mut left = *part;
            let mut room = [0; 1 << 16];
            while left > 0 {
                poll_fn(|cx| {
                    while let (false, Poll::Ready(sent)) = (bytes.is_empty(), sender.poll_write(cx, bytes)) {
                        bytes = &bytes[sent.unwrap()..];
                    }
                    receiver.poll_read(cx, &mut room).map(|got| left -= got.unwrap())
                })
                .await;
            }
        }
    };
    let (ended, ()) = tokio::join!(pumping, sending);
    ended.unwrap();
    moved.take()
}

/// What the kernel holds back for more to come, it holds for 200 ms if nothing comes.
#[test]
fn more_is_not_promised_when_nothing_is_there() {
    run(async {
        let moved = watched(&[1000, 1000, 1 << 18], usize::MAX).await;
        assert!(moved.len() >= 3 && moved[..2].iter().all(|(len, more)| *len <= 1000 && !more), "{moved:?}");
        assert!(!moved.last().unwrap().1, "{moved:?}");
    });
}

#[test]
fn little_waits_in_the_pipe_for_who_is_not_quick() {
    run(async {
        let reach = 100 << 10;
        let moved = watched(&[SIZE], reach).await;
        assert!(moved.iter().all(|(len, _)| *len <= reach), "{moved:?}");
        assert_eq!(moved.iter().map(|(len, _)| len).sum::<usize>(), SIZE);
    });
}
