use std::future::poll_fn;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use usher_net::{MemoryStream, Stream};

use super::*;

fn run<F: Future>(scene: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(scene)
}

/// A connection: the end of ours, and that of somebody else.
fn connection() -> (Stream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    ours.set_nonblocking(true).unwrap();
    (Stream::Tcp(tokio::net::TcpStream::from_std(ours).unwrap()), theirs)
}

fn reset(stream: TcpStream) {
    stream.set_nonblocking(true).unwrap();
    Stream::Tcp(tokio::net::TcpStream::from_std(stream).unwrap()).abort();
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 251) as u8).collect()
}

/// Moves until the sink was given so many bytes; whether a pipe was used on the way.
async fn until_moved(way: &mut Direction, source: &mut Stream, sink: &mut Stream, bytes: u64) -> bool {
    let mut spliced = false;
    poll_fn(|cx| {
        let polled = way.poll(cx, source, sink);
        spliced |= way.pipe.is_some();
        match polled {
            Poll::Ready(ended) => panic!("{ended:?} after {} bytes", way.moved()),
            Poll::Pending if way.moved() >= bytes => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        }
    })
    .await;
    spliced
}

#[test]
fn many_bytes_are_spliced_and_the_pipe_is_given_back_at_rest() {
    run(async {
        let ((mut source, mut sender), (mut sink, mut receiver)) = (connection(), connection());
        let bytes = pattern(8 << 20);
        let sent = bytes.clone();
        let sending = thread::spawn(move || {
            sender.write_all(&sent).unwrap();
            sender
        });
        let receiving = thread::spawn(move || {
            let mut got = Vec::new();
            receiver.read_to_end(&mut got).unwrap();
            got
        });
        let mut way = Direction::beginning_with(b"ahead");
        let all = bytes.len() as u64 + 5;
        assert!(until_moved(&mut way, &mut source, &mut sink, all).await, "nothing was spliced");
        way.rest();
        assert!(way.pipe.is_none() && PIPES.get() == 0);
        let mut sender = sending.join().unwrap();
        sender.write_all(b"the end").unwrap();
        drop(sender);
        poll_fn(|cx| way.poll(cx, &mut source, &mut sink)).await.unwrap();
        assert_eq!(way.moved(), all + 7);
        let got = receiving.join().unwrap();
        assert!(got.starts_with(b"ahead") && got.ends_with(b"the end") && got[5..got.len() - 7] == bytes);
    });
}

#[test]
fn few_bytes_are_copied_and_hold_no_memory_between() {
    run(async {
        let ((mut source, mut sender), (mut sink, mut receiver)) = (connection(), connection());
        let mut way = Direction::default();
        for round in 1..=100u64 {
            sender.write_all(&[7; 100]).unwrap();
            let spliced = until_moved(&mut way, &mut source, &mut sink, round * 100).await;
            assert!(!spliced && way.buffer.is_empty());
            receiver.read_exact(&mut [0; 100]).unwrap();
        }
    });
}

/// Counts reads that found nothing.
struct Asked {
    inner: Stream,
    in_vain: u32,
}

impl Transport for Asked {
    fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_read_ready(cx)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let polled = self.inner.poll_read(cx, buf);
        self.in_vain += u32::from(polled.is_pending());
        polled
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.inner.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_write_vectored(cx, bufs)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_shutdown(cx)
    }
}

#[test]
fn nothing_is_read_before_it_is_there() {
    run(async {
        let ((source, mut sender), (mut sink, mut receiver)) = (connection(), connection());
        let mut source = Asked { inner: source, in_vain: 0 };
        let mut way = Direction::default();
        for round in 1..=20u64 {
            sender.write_all(&[7; 100]).unwrap();
            poll_fn(|cx| match way.poll(cx, &mut source, &mut sink) {
                Poll::Ready(ended) => panic!("{ended:?}"),
                Poll::Pending if way.moved() >= round * 100 => Poll::Ready(()),
                Poll::Pending => Poll::Pending,
            })
            .await;
            receiver.read_exact(&mut [0; 100]).unwrap();
        }
        // The first one may: nobody knows then whether something has come along with the connection.
        assert!(source.in_vain <= 1, "{}", source.in_vain);
    });
}

#[test]
fn says_which_side_broke_off() {
    run(async {
        let ((mut source, sender), (mut sink, receiver)) = (connection(), connection());
        reset(sender);
        let mut way = Direction::default();
        let broken = poll_fn(|cx| way.poll(cx, &mut source, &mut sink)).await;
        assert!(matches!(broken, Err(Broken::Source(_))), "{broken:?}");
        drop(receiver);
        let ((mut source, mut sender), (mut sink, receiver)) = (connection(), connection());
        reset(receiver);
        sender.write_all(b"nobody reads this").unwrap();
        let mut way = Direction::default();
        let broken = poll_fn(|cx| way.poll(cx, &mut source, &mut sink)).await;
        assert!(matches!(broken, Err(Broken::Sink(_))), "{broken:?}");
    });
}

#[test]
fn whatever_the_sizes_all_bytes_come_in_order_and_then_the_end() {
    for (capacity, len) in [(1, 300), (100, 100_000), (1 << 20, 1_000_000)] {
        run(async {
            let ((mut sender, mut source), (mut sink, mut receiver)) =
                (MemoryStream::pair(capacity), MemoryStream::pair(capacity));
            let bytes = pattern(len);
            let sending = async {
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let written = poll_fn(|cx| sender.poll_write(cx, rest)).await.unwrap();
                    rest = &rest[written..];
                }
                poll_fn(|cx| sender.poll_shutdown(cx)).await.unwrap();
            };
            let receiving = async {
                let (mut got, mut part) = (Vec::new(), [0; 777]);
                loop {
                    match poll_fn(|cx| receiver.poll_read(cx, &mut part)).await.unwrap() {
                        0 => return got,
                        read => got.extend_from_slice(&part[..read]),
                    }
                }
            };
            let mut way = Direction::beginning_with(b"ahead");
            let moving = poll_fn(|cx| way.poll(cx, &mut source, &mut sink));
            let ((), got, moved) = tokio::join!(sending, receiving, moving);
            moved.unwrap();
            assert!(got[..5] == *b"ahead" && got[5..] == bytes, "{capacity}, {len}");
        });
    }
}
