use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream as StdStream};
use std::task::Waker;
use std::thread::{self, JoinHandle};

use super::*;
use crate::listen::Listener;
use crate::testing::{ip, listener, loopback, read, read_all, run, shutdown, write_all};

const BODY_BYTES: usize = 10 << 20;

/// Bytes in which every shift or swap shows.
fn body() -> Vec<u8> {
    (0..BODY_BYTES as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

async fn pair(listener: &Listener) -> (Stream, StdStream) {
    let client = StdStream::connect(ip(listener.address())).expect("connected");
    (listener.accept().await.expect("accepted").0.into_stream().expect("registered"), client)
}

/// A pair of connected Unix streams.
fn unix_pair() -> (Stream, Stream) {
    let (left, right) = UnixStream::pair().expect("a pair");
    (Stream::Unix(left), Stream::Unix(right))
}

#[test]
fn readiness_consumes_nothing() {
    run(async {
        let listener = listener(&loopback());
        let (mut stream, mut client) = pair(&listener).await;
        let mut cx = Context::from_waker(Waker::noop());
        let mut nothing = [0];
        assert!(stream.poll_read(&mut cx, &mut nothing).is_pending());
        assert!(stream.poll_read_ready(&mut cx).is_pending());
        client.write_all(b"hello").expect("written");
        for _ in 0..2 {
            poll_fn(|cx| stream.poll_read_ready(cx)).await.expect("ready");
        }
        let mut buf = [0; 16];
        assert_eq!(read(&mut stream, &mut buf).await.expect("read"), 5);
        client.shutdown(Shutdown::Write).expect("shut down");
        assert_eq!(read(&mut stream, &mut buf).await.expect("end"), 0);
    });
}

#[test]
fn what_was_read_short_of_the_buffer_was_all() {
    run(async {
        let listener = listener(&loopback());
        let (mut stream, mut client) = pair(&listener).await;
        client.write_all(b"hello").expect("written");
        let mut buf = [0; 4];
        assert_eq!(read(&mut stream, &mut buf).await.expect("read"), 4);
        assert!(stream.is_readable(), "the buffer was full: there may be more");
        assert_eq!(read(&mut stream, &mut buf).await.expect("read"), 1);
        assert!(!stream.is_readable(), "the buffer was not full: there is no more");
        // What comes then is noticed all the same, and so is the end.
        let late = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            client.write_all(b" and more").expect("written");
        });
        let mut told = read(&mut stream, &mut buf).await.expect("read");
        loop {
            match read(&mut stream, &mut buf).await.expect("read") {
                0 => break,
                len => told += len,
            }
        }
        assert_eq!(told, 9);
        late.join().expect("written");
    });
}

#[test]
fn who_always_finds_something_to_read_lets_others_have_their_turn() {
    run(async {
        let (mut left, mut right) = unix_pair();
        write_all(&mut right, &[7; 4096]).await.expect("written");
        poll_fn(|cx| left.poll_read_ready(cx)).await.expect("ready");
        // Within one turn of a task: the bytes are there, and still it has to wait once.
        let reads = poll_fn(|cx| {
            let mut reads = 0;
            while reads < 4096 && left.poll_read(cx, &mut [0]).is_ready() {
                reads += 1;
            }
            Poll::Ready(reads)
        })
        .await;
        assert!((1..4096).contains(&reads), "{reads}");
    });
}

#[test]
fn writes_many_buffers_at_once() {
    run(async {
        let (mut left, mut right) = unix_pair();
        let bufs = [io::IoSlice::new(b"one "), io::IoSlice::new(b""), io::IoSlice::new(b"two")];
        assert_eq!(poll_fn(|cx| left.poll_write_vectored(cx, &bufs)).await.expect("written"), 7);
        shutdown(&mut left).await.expect("shut down");
        assert_eq!(read_all(&mut right).await.expect("read"), b"one two");
        write_all(&mut right, b"still open").await.expect("the other direction");
    });
}

#[test]
fn an_abort_resets_and_a_drop_does_not() {
    run(async {
        let listener = listener(&loopback());
        for abort in [false, true] {
            let (mut stream, mut client) = pair(&listener).await;
            if abort {
                stream.abort();
            }
            drop(stream);
            match client.read(&mut [0; 8]) {
                Ok(0) => assert!(!abort, "ended as if complete"),
                Err(error) => assert!(abort && error.kind() == io::ErrorKind::ConnectionReset, "{error}"),
                Ok(_) => panic!("nothing was sent"),
            }
        }
    });
}

/// Moves everything from one stream to the other, as the wire drivers do.
async fn relay(from: &mut Stream, to: &mut Stream) -> io::Result<usize> {
    let (mut pipe, mut ended, mut total) = (Pipe::take()?, false, 0);
    poll_fn(|cx| {
        loop {
            let mut stuck = true;
            if !ended
                && !pipe.is_full()
                && let Poll::Ready(moved) = from.poll_splice_in(cx, &mut pipe, 1 << 20)?
            {
                ended = moved == 0;
                total += moved;
                stuck = false;
            }
            if !pipe.is_empty() && to.poll_splice_out(cx, &mut pipe, usize::MAX, !ended)?.is_ready() {
                stuck = false;
            }
            if ended && pipe.is_empty() {
                return to.poll_shutdown(cx).map_ok(|()| total);
            }
            if stuck {
                return Poll::Pending;
            }
        }
    })
    .await
}

/// Reads to the end in small pieces from a small receive buffer, then answers.
fn slow_reader(mut socket: StdStream) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let (mut all, mut buf) = (Vec::with_capacity(BODY_BYTES), [0; 3000]);
        loop {
            match socket.read(&mut buf).expect("read") {
                0 => break,
                n => all.extend_from_slice(&buf[..n]),
            }
            thread::yield_now();
        }
        socket.write_all(b"got it").expect("the other direction is open");
        all
    })
}

#[test]
fn splices_a_large_body_to_a_slow_reader_and_its_answer_back() {
    run(async {
        let listener = listener(&loopback());
        let (mut downstream, mut client) = pair(&listener).await;
        let (mut upstream, server) = pair(&listener).await;
        SockRef::from(&server).set_recv_buffer_size(16 * 1024).expect("an option");
        let reader = slow_reader(server);
        let writer = thread::spawn(move || {
            client.write_all(&body()).expect("written");
            client.shutdown(Shutdown::Write).expect("shut down");
            let mut answer = String::new();
            client.read_to_string(&mut answer).expect("read");
            answer
        });
        assert!(downstream.can_splice());
        assert_eq!(relay(&mut downstream, &mut upstream).await.expect("there"), BODY_BYTES);
        assert_eq!(relay(&mut upstream, &mut downstream).await.expect("back"), 6);
        assert!(reader.join().expect("a reader") == body(), "the body arrived changed");
        assert_eq!(writer.join().expect("a writer"), "got it");
    });
}

#[test]
fn splices_between_unix_and_tcp() {
    run(async {
        let listener = listener(&loopback());
        let (mut downstream, mut client) = pair(&listener).await;
        let (mut local, mut upstream) = unix_pair();
        client.write_all(b"through a pipe").expect("written");
        client.shutdown(Shutdown::Write).expect("shut down");
        assert_eq!(relay(&mut downstream, &mut upstream).await.expect("moved"), 14);
        assert_eq!(read_all(&mut local).await.expect("read"), b"through a pipe");
    });
}

#[test]
fn a_full_pipe_waits_for_room_and_an_empty_socket_for_data() {
    run(async {
        let (mut left, mut right) = unix_pair();
        let (mut sink, _source) = unix_pair();
        let mut pipe = Pipe::take().expect("a pipe");
        let pieces = pipe.capacity() / 4096 + 1;
        for _ in 0..pieces {
            write_all(&mut left, b"x").await.expect("written");
        }
        while pipe.len() + 1 < pieces {
            assert_eq!(poll_fn(|cx| right.poll_splice_in(cx, &mut pipe, 1)).await.expect("moved"), 1);
        }
        // So that it is not the runtime that lets others have a turn.
        tokio::task::yield_now().await;
        let pending = poll_fn(|cx| Poll::Ready(right.poll_splice_in(cx, &mut pipe, 1).is_pending())).await;
        assert!(pending && pipe.is_full());
        poll_fn(|cx| sink.poll_splice_out(cx, &mut pipe, usize::MAX, false)).await.expect("moved");
        assert_eq!(poll_fn(|cx| right.poll_splice_in(cx, &mut pipe, 1)).await.expect("moved"), 1);

        // The pipe still holds a byte and has room: only the socket can be what is waited for.
        let (moved, written) =
            tokio::join!(poll_fn(|cx| right.poll_splice_in(cx, &mut pipe, 9)), write_all(&mut left, b"yy"));
        written.expect("written");
        assert_eq!((moved.expect("woken"), pipe.len()), (2, 3));
    });
}

#[test]
fn refuses_to_splice_nothing_in() {
    run(async {
        let (mut left, _right) = unix_pair();
        let mut pipe = Pipe::take().expect("a pipe");
        let error = poll_fn(|cx| left.poll_splice_in(cx, &mut pipe, 0)).await.expect_err("not an end");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(poll_fn(|cx| left.poll_splice_out(cx, &mut pipe, 9, false)).await.expect("empty"), 0);
    });
}
