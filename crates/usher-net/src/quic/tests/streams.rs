//! Data, ends and resets.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;

use super::super::options::TIGHT_WINDOWS;
use super::super::state::ahead;
use super::{
    Pair, QuicOptions, RecvStream, SendStream, StreamError, Tls, accept, ask, closed, echo, once, open,
    options, pattern, read, run, send, settle, write,
};
use crate::shortage;
use crate::testing::alone;

#[test]
fn big_bodies_go_both_ways() {
    run(async {
        let (client, server) = Pair::new().connect().await;
        echo(server);
        let body = pattern(5 << 20);
        assert!(ask(&client, &body).await.expect("an answer") == body);
    });
}

#[test]
fn bodies_pass_windows_smaller_than_they_are() {
    run(async {
        let small = QuicOptions { stream_window: 10_000, connection_window: 15_000, ..options() };
        let (client, server) = Pair::with(&small, Tls::new()).connect().await;
        echo(server);
        let body = pattern(300_000);
        assert!(ask(&client, &body).await.expect("an answer") == body);
    });
}

#[test]
fn more_streams_than_allowed_at_a_time_wait_their_turn() {
    run(async {
        let few = QuicOptions { max_streams: 7, ..options() };
        let (client, server) = Pair::with(&few, Tls::new()).connect().await;
        echo(server);
        let client = Rc::new(client);
        // One waker waits for a stream, so one task opens them all.
        let mut tasks = Vec::new();
        for number in 0..200_usize {
            let (mut to, mut from) = open(&client).await;
            tasks.push(tokio::task::spawn_local(async move {
                let body = pattern(number * 100);
                send(&mut to, &body).await.expect("sent");
                assert!(read(&mut from).await.expect("an answer") == body);
            }));
        }
        for task in tasks {
            task.await.expect("the task");
        }
    });
}

#[test]
fn no_more_streams_than_allowed_are_open() {
    run(async {
        let few = QuicOptions { max_streams: 3, ..options() };
        let (client, _server) = Pair::with(&few, Tls::new()).connect().await;
        let held: Vec<_> = std::iter::from_fn(|| client.open_bi()).take(10).collect();
        assert_eq!(held.len(), 3);
    });
}

#[test]
fn reset_reaches_the_reader_and_whoever_only_watches() {
    run(async {
        let (client, server) = Pair::new().connect().await;
        for watches in [false, true] {
            let (mut to, _from) = open(&client).await;
            write(&mut to, b"some").await.expect("written");
            let (_to, mut from) = accept(&server).await;
            settle().await;
            to.reset(0x10c);
            let error = if watches {
                std::future::poll_fn(|cx| from.poll_reset(cx)).await
            } else {
                // What was sent before may be seen or not.
                let mut buf = [0; 100];
                loop {
                    match std::future::poll_fn(|cx| from.poll_read(cx, &mut buf)).await {
                        Ok(len) => assert_ne!(len, 0, "no orderly end"),
                        Err(error) => break error,
                    }
                }
            };
            assert_eq!(error, StreamError::Reset(0x10c));
            assert_eq!(read(&mut from).await, Err(StreamError::Reset(0x10c)), "never taken for an end");
        }
    });
}

#[test]
fn watching_for_a_reset_reads_nothing() {
    run(async {
        let (client, server) = Pair::new().connect().await;
        let (mut to, _from) = open(&client).await;
        write(&mut to, b"data").await.expect("written");
        let (_to, mut from) = accept(&server).await;
        assert!(once(|cx| from.poll_reset(cx)).await.is_pending());
        to.finish().expect("finished");
        assert_eq!(read(&mut from).await.expect("data"), b"data");
        assert!(once(|cx| from.poll_reset(cx)).await.is_pending(), "an orderly end is no reset");
    });
}

#[test]
fn stop_reaches_the_writer_and_whoever_only_watches() {
    run(async {
        let (client, server) = Pair::new().connect().await;
        let (mut to, _from) = open(&client).await;
        write(&mut to, b"some").await.expect("written");
        let (_to, mut from) = accept(&server).await;
        from.stop(0x10b);
        assert_eq!(std::future::poll_fn(|cx| to.poll_stopped(cx)).await, StreamError::Stopped(0x10b));
        assert_eq!(write(&mut to, b"more").await, Err(StreamError::Stopped(0x10b)));
    });
}

#[test]
fn drop_of_a_stream_tells_the_peer() {
    run(async {
        let (client, server) = Pair::new().connect().await;
        let (mut to, from) = open(&client).await;
        write(&mut to, b"some").await.expect("written");
        let (answer, request) = accept(&server).await;
        drop(from);
        assert_eq!(std::future::poll_fn(|cx| answer.poll_stopped(cx)).await, StreamError::Stopped(0));
        drop(to);
        let mut request = request;
        assert_eq!(std::future::poll_fn(|cx| request.poll_reset(cx)).await, StreamError::Reset(0));
    });
}

#[test]
fn peer_that_reads_nothing_holds_a_bounded_amount() {
    run(async {
        let bounded = QuicOptions { stream_window: 20_000, ..options() };
        let (client, server) = Pair::with(&bounded, Tls::new()).connect().await;
        let (mut to, _from) = open(&client).await;
        write(&mut to, b"x").await.expect("written");
        let _streams = accept(&server).await;
        let mut chunk = bytes::Bytes::from(vec![0; 100_000]);
        settle().await;
        let written = once(|cx| to.poll_write(cx, &mut chunk)).await;
        assert!(matches!(written, Poll::Pending));
        assert_eq!(chunk.len(), 100_000 - 20_000 + 1);
    });
}

/// Makes the process have so much of its ceiling (thousandths).
fn fill(share: u64) {
    let have = shortage::look().used;
    shortage::set_ceiling(None);
    shortage::set_ceiling(Some(have * 1000 / share));
}

/// Writes without end, as the peer allows it; how much that was.
fn pour(mut to: SendStream) -> Rc<Cell<u64>> {
    let poured = Rc::new(Cell::new(0));
    let count = poured.clone();
    tokio::task::spawn_local(async move {
        loop {
            let mut chunk = Bytes::from_static(&[7; 4096]);
            let written = poll_fn(|cx| {
                let before = chunk.len();
                let polled = to.poll_write(cx, &mut chunk);
                count.set(count.get() + (before - chunk.len()) as u64);
                polled
            });
            if written.await.is_err() {
                return;
            }
        }
    });
    poured
}

async fn read_exactly(from: &mut RecvStream, mut len: u64) {
    let mut buf = vec![0; 16 << 10];
    while len > 0 {
        let most = buf.len().min(len as usize);
        let read = poll_fn(|cx| from.poll_read(cx, &mut buf[..most])).await.expect("more");
        assert!(read > 0);
        len -= read as u64;
    }
}

async fn until(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("in time");
}

async fn a_client_sends_less_ahead_while_memory_is_short() {
    const USUAL: u64 = 1 << 20;
    let tight = u64::from(TIGHT_WINDOWS.1);
    let wide = QuicOptions { stream_window: 4 << 20, connection_window: USUAL as u32, ..options() };
    let pair = Pair::with(&wide, Tls::new());
    let (client, server) = pair.connect().await;
    let poured = pour(open(&client).await.0);
    let (_answer, mut request) = accept(&server).await;
    until(|| poured.get() == USUAL).await;
    fill(750);
    // Something happens to the connection.
    server.set_alarm(None);
    settle().await;
    let mut read = 0;
    for round in 0..8 {
        let sent = poured.get();
        read_exactly(&mut request, sent - read).await;
        read = sent;
        // Of what is read, the peer is told in steps.
        until(|| poured.get() >= read + tight * 3 / 4).await;
        settle().await;
        assert!(poured.get() <= read + tight, "{} in round {round}", poured.get() - read);
    }
    let (newcomer, newcomers) = pair.connect().await;
    let (mut to, _from) = open(&newcomer).await;
    write(&mut to, b"x").await.expect("written");
    let _streams = accept(&newcomers).await;
    let mut chunk = Bytes::from(vec![0; 200_000]);
    let written = once(|cx| to.poll_write(cx, &mut chunk)).await;
    assert!(matches!(written, Poll::Pending));
    assert_eq!(chunk.len(), 200_000 - TIGHT_WINDOWS.0 as usize + 1);
    // With enough of it again, as before.
    shortage::set_ceiling(None);
    read_exactly(&mut request, tight / 2).await;
    read += tight / 2;
    until(|| poured.get() >= read + USUAL * 3 / 4).await;
    settle().await;
    assert!(poured.get() <= read + USUAL);
}

#[test]
fn windows_of_clients_are_small_while_memory_is_short() {
    let test = (module_path!(), "windows_of_clients_are_small_while_memory_is_short");
    alone(test, || run(a_client_sends_less_ahead_while_memory_is_short()));
}

#[test]
fn what_may_be_sent_ahead_grows_back_as_it_is_made_up_for() {
    const USUAL: u32 = 1 << 20;
    let tight = TIGHT_WINDOWS.1;
    let mut at = ahead((USUAL, 0), USUAL, true);
    assert_eq!(at, (tight, u64::from(USUAL - tight)));
    assert_eq!(ahead(at, USUAL, true), at, "the same shortage asks once");
    let mut sizes = Vec::new();
    while at != (USUAL, 0) {
        let read = u64::from(USUAL / 10);
        at = ahead((at.0, at.1.saturating_sub(read)), USUAL, false);
        assert!(u64::from(at.0) + at.1 <= u64::from(USUAL), "{at:?}: together never more than usual");
        sizes.push(at.0);
    }
    assert!(sizes.is_sorted() && sizes.len() > 5, "by parts: {sizes:?}");
    let again = ahead((USUAL / 2, u64::from(USUAL / 2)), USUAL, true);
    assert_eq!(again, (tight, u64::from(USUAL - tight)), "a shortage before all was made up for");
}

#[test]
fn streams_of_a_closed_connection_fail_but_give_what_had_arrived() {
    run(async {
        let (client, server) = Pair::new().connect().await;
        let (mut to, mut from) = open(&client).await;
        write(&mut to, b"request").await.expect("written");
        let (mut answer, _request) = accept(&server).await;
        send(&mut answer, b"answer").await.expect("sent");
        settle().await;
        tokio::task::yield_now().await;
        assert_eq!(read(&mut from).await.expect("the answer"), b"answer");
        server.close(0x107, b"");
        closed(&client).await;
        assert!(matches!(write(&mut to, b"more").await, Err(StreamError::Connection(_))));
    });
}
