//! How connections end in order, on both sides.

use std::task::Poll;

use tokio::task::spawn_local;

use super::super::frame::{Code, MAX_31};
use super::stage::{Stage, begin};
use super::*;
use crate::body::Sink;
use crate::testing::once;

fn pong(frames: &[Frame]) -> Vec<u8> {
    let ping = frames.iter().find(|frame| frame.kind == kind::PING).expect("a ping");
    one(kind::PING, flag::ACK, 0, &ping.payload)
}

fn goaways(frames: &[Frame]) -> Vec<(u32, u32)> {
    let goaways = frames.iter().filter(|frame| frame.kind == kind::GOAWAY);
    goaways.map(|frame| (frame.number(0), frame.number(4))).collect()
}

fn done(stream: &mut ServerStream) {
    assert!(matches!(once(|cx| stream.poll_finish(cx, None)), Poll::Ready(Ok(()))));
}

#[test]
fn a_server_announces_that_it_leaves() {
    let mut stage = Stage::new(limits());
    let mut first = stage.request(&get(1, "/"));
    stage.frames();
    stage.server.shut_down();
    assert!(stage.server.is_ending());
    stage.turn();
    let frames = stage.frames();
    assert_eq!(goaways(&frames), [(MAX_31, 0)]);
    let mut second = stage.request(&get(3, "/"));
    stage.write(&[pong(&frames), get(5, "/")].concat());
    assert!(stage.turn().is_empty(), "it came after the client could know");
    assert_eq!(goaways(&stage.frames()), [(3, 0)]);
    begin(&mut first);
    done(&mut first);
    drop(first);
    assert!(stage.turn().is_empty());
    begin(&mut second);
    done(&mut second);
    drop(second);
    assert!(matches!(stage.try_turn(), Err(WireError::Closed)), "ended in order");
    assert!(stage.frames().iter().any(|frame| frame.is(kind::DATA, 3)));
}

#[test]
fn a_second_call_does_not_wait() {
    let mut stage = Stage::new(limits());
    stage.turn();
    stage.server.shut_down();
    stage.server.shut_down();
    stage.server.shut_down();
    assert!(matches!(stage.try_turn(), Err(WireError::Closed)));
    assert_eq!(goaways(&stage.frames()), [(MAX_31, 0), (0, 0)]);
}

/// What a client had sent before it knew is ignored to its end, and nobody else suffers.
#[test]
fn what_comes_after_the_end_is_ignored() {
    let mut stage = Stage::new(limits());
    let mut stream = stage.request(&get(1, "/"));
    stage.server.shut_down();
    stage.server.shut_down();
    let late = [
        headers(3, false, &asked("POST", "/", &[])),
        data(3, false, b"more"),
        one(kind::WINDOW_UPDATE, 0, 3, &[0, 0, 0, 1]),
        headers(3, true, &block(&[("a", "b")])),
        one(kind::RST_STREAM, 0, 3, &[0; 4]),
    ];
    stage.write(&late.concat());
    assert!(stage.turn().is_empty());
    begin(&mut stream);
    done(&mut stream);
    stage.write(&one(kind::PING, 0, 1, &[0; 8]));
    assert!(stage.try_turn().is_err());
    let frames = stage.frames();
    assert!(frames.iter().any(|frame| frame.is(kind::DATA, 1)));
    // The last one that was taken stays the same, whatever happens.
    assert_eq!(goaways(&frames), [(MAX_31, 0), (1, 0), (1, 1)]);
}

#[test]
fn a_client_that_leaves_gets_what_it_asked_for() {
    let mut stage = Stage::new(limits());
    let mut stream = stage.request(&get(1, "/"));
    stage.write(&one(kind::GOAWAY, 0, 0, &[0; 8]));
    assert!(stage.turn().is_empty());
    begin(&mut stream);
    done(&mut stream);
    drop(stream);
    assert!(matches!(stage.try_turn(), Err(WireError::Closed)));
}

#[test]
fn pings_tell_who_is_there() {
    let mut stage = Stage::new(limits());
    stage.turn();
    stage.server.ping();
    stage.turn();
    assert!(!stage.server.take_pong());
    let frames = stage.frames();
    stage.write(&pong(&frames));
    stage.turn();
    assert!(stage.server.take_pong());
    assert!(!stage.server.take_pong(), "once");
}

#[test]
fn what_is_given_up_is_reset() {
    // What of the request came and whether the response was finished, and the code of the reset.
    let cases = [
        ("nothing was answered", true, 0, Some(Code::Cancel)),
        ("half was answered", true, 1, Some(Code::Cancel)),
        ("all was answered", true, 2, None),
        ("all was answered, not all was asked", false, 2, Some(Code::NoError)),
        ("aborted", true, 3, Some(Code::Internal)),
    ];
    for (what, whole, answered, code) in cases {
        let mut stage = Stage::new(limits());
        let mut stream = stage.request(&headers(1, whole, &asked("POST", "/", &[])));
        match answered {
            1 => begin(&mut stream),
            2 => {
                begin(&mut stream);
                done(&mut stream);
            }
            3 => stream.abort(),
            _ => {}
        }
        drop(stream);
        stage.turn();
        let reset = stage.frames().into_iter().find(|frame| frame.kind == kind::RST_STREAM);
        assert_eq!(reset.map(|frame| frame.number(0)), code.map(|code| code as u32), "{what}");
        assert_eq!(stage.server.streams(), 0);
    }
}

/// A connection that breaks, or whose server is dropped, tells its streams.
#[test]
fn streams_learn_of_the_end() {
    let mut stage = Stage::new(limits());
    let mut streams =
        [stage.request(&get(1, "/")), stage.request(&headers(3, false, &asked("POST", "/", &[])))];
    assert!(once(|cx| streams[0].poll_gone(cx)).is_pending());
    let Stage { server, .. } = stage;
    drop(server);
    for stream in &mut streams {
        assert!(matches!(once(|cx| stream.poll_gone(cx)), Poll::Ready(WireError::Closed)));
        assert!(matches!(once(|cx| stream.poll_send(cx, b"x")), Poll::Ready(Err(_))));
    }
    assert!(matches!(once(|cx| streams[0].poll_fill(cx)), Poll::Ready(Ok(0))), "all of it had come");
    assert!(matches!(once(|cx| streams[1].poll_fill(cx)), Poll::Ready(Err(WireError::Truncated))));
}

#[test]
fn a_client_without_users_ends_its_connection() {
    local(async {
        let (near, far) = MemoryStream::pair(CAPACITY);
        let served = spawn_local(serve(Server::new(far, &[], limits())));
        let (client, driver) = Client::new(near, limits());
        let driven = spawn_local(driver);
        let stream = client.open().expect("a stream");
        drop(client);
        tokio::task::yield_now().await;
        assert!(!driven.is_finished(), "a stream is open");
        drop(stream);
        assert!(driven.await.expect("no panic").is_ok());
        assert!(served.await.expect("no panic").is_ok());
    });
}

#[test]
fn a_client_that_is_closed_finishes_what_it_began() {
    local(async {
        let (near, far) = MemoryStream::pair(CAPACITY);
        spawn_local(serve(Server::new(far, &[], limits())));
        let (client, driver) = Client::new(near, limits());
        let driven = spawn_local(driver);
        let stream = client.open().expect("a stream");
        client.close();
        assert!(client.open().is_none() && !client.is_open());
        drop(stream);
        assert!(driven.await.expect("no panic").is_ok());
    });
}
