//! Peers that cost more than they give: each has its limit, and its phrase for the log.

use std::task::Poll;

use super::super::frame::Code;
use super::super::output::{FULL, PAUSE};
use super::stage::{Stage, begin, push};
use super::*;
use crate::body::Sink;
use crate::testing::once;

/// Sends a round of frames again and again, with all streams that come of it given up at once.
fn flood(what: &str, phrase: &str, mut round: impl FnMut(u32) -> Vec<u8>) {
    let mut stage = Stage::new(limits());
    // Enough for every allowance, even if time gives some back.
    for number in 0..20_000 {
        stage.write(&round(number));
        let outcome = stage.try_turn();
        if let Err(error) = outcome {
            assert_eq!(error.as_str(), phrase, "{what}");
            assert_eq!(stage.goaway(), Some((Code::EnhanceYourCalm as u32, phrase.to_owned())), "{what}");
            return;
        }
    }
    panic!("{what} is not stopped");
}

/// The frames of a round, by its number or stream.
type Way = fn(u32) -> Vec<u8>;

fn reset(stream: u32) -> Vec<u8> {
    one(kind::RST_STREAM, 0, stream, &8u32.to_be_bytes())
}

/// CVE-2023-44487.
#[test]
fn rapid_reset() {
    flood("reset", "flood of reset streams", |number| {
        [get(2 * number + 1, "/hold"), reset(2 * number + 1)].concat()
    });
}

#[test]
fn reset_of_streams_that_have_ended() {
    flood("reset", "flood of reset streams", |number| if number == 0 { get(1, "/") } else { reset(1) });
}

#[test]
fn streams_beyond_the_number_allowed() {
    let held = std::cell::RefCell::new(Vec::new());
    let mut stage = Stage::new(Limits { max_streams: 2, ..limits() });
    for number in 0..20_000 {
        stage.write(&get(2 * number + 1, "/hold"));
        match stage.try_turn() {
            Ok(streams) => held.borrow_mut().extend(streams),
            Err(error) => {
                assert_eq!(error.as_str(), "flood of reset streams");
                assert_eq!(held.borrow().len(), 2);
                return;
            }
        }
        if number < 100 {
            let frames = stage.frames();
            let refused = frames.iter().filter(|frame| frame.kind == kind::RST_STREAM);
            assert!(refused.into_iter().all(|frame| frame.number(0) == Code::RefusedStream as u32));
        }
    }
    panic!("not stopped");
}

/// CVE-2025-8671: the server is made to reset streams, in each of the ways that there are.
#[test]
fn made_you_reset() {
    let ways: [(&str, Way); 6] = [
        ("window of nothing", |id| [get(id, "/hold"), one(kind::WINDOW_UPDATE, 0, id, &[0; 4])].concat()),
        ("window that overflows", |id| {
            [get(id, "/hold"), one(kind::WINDOW_UPDATE, 0, id, &[0x7f, 0xff, 0xff, 0xff])].concat()
        }),
        ("DATA behind the end", |id| [get(id, "/hold"), data(id, true, b"x")].concat()),
        ("PRIORITY of a wrong length", |id| [get(id, "/hold"), one(kind::PRIORITY, 0, id, &[0; 4])].concat()),
        ("malformed head", |id| headers(id, true, &block(&[("a", "b")]))),
        ("head that is too large", |id| headers(id, true, &asked("GET", &"/".repeat(1001), &[]))),
    ];
    for (what, way) in ways {
        flood(what, "flood of malformed streams", |number| way(2 * number + 1));
    }
}

/// CVE-2024-27316 and the like.
#[test]
fn continuation() {
    flood("many", "flood of CONTINUATION", |number| match number {
        0 => one(kind::HEADERS, 0, 1, &block(&GET)),
        _ => one(kind::CONTINUATION, 0, 1, &[]),
    });
    flood("long", "block of fields without end", |number| match number {
        0 => one(kind::HEADERS, 0, 1, &block(&GET)),
        _ => one(kind::CONTINUATION, 0, 1, &[0; 1000]),
    });
}

#[test]
fn frames_that_are_answered_or_looked_at() {
    let cases: [(&str, Way); 7] = [
        ("flood of SETTINGS", |_| one(kind::SETTINGS, 0, 0, &[])),
        ("flood of SETTINGS", |_| one(kind::SETTINGS, flag::ACK, 0, &[])),
        ("flood of PING", |_| one(kind::PING, 0, 0, &[0; 8])),
        ("flood of PRIORITY", |number| one(kind::PRIORITY, 0, 2 * number + 1, &[0, 0, 0, 0, 1])),
        ("flood of PRIORITY", |_| one(kind::PRIORITY_UPDATE, 0, 0, b"\0\0\0\x01u=1")),
        ("flood of WINDOW_UPDATE", |_| one(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ("flood of unknown frames", |_| one(0x77, 0, 0, b"")),
    ];
    for (phrase, frame) in cases {
        flood(phrase, phrase, frame);
    }
}

/// Few frames of many settings each cost as much as many frames.
#[test]
fn settings_by_the_thousand() {
    let many = [0u8, 4, 0, 0, 0xff, 0xff].repeat(2000);
    let mut stage = Stage::new(limits());
    let taken = (0..10).take_while(|_| {
        stage.write(&one(kind::SETTINGS, 0, 0, &many));
        stage.try_turn().is_ok()
    });
    assert!(taken.count() < 3);
    assert_eq!(stage.goaway(), Some((Code::EnhanceYourCalm as u32, "flood of SETTINGS".to_owned())));
}

/// CVE-2019-9511: a window that opens by a byte at a time, for a frame of each.
#[test]
fn data_dribble() {
    let mut stage = Stage::new(limits());
    stage.write(&one(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]));
    let mut stream = stage.request(&get(1, "/"));
    begin(&mut stream);
    for _ in 0..20_000 {
        stage.write(&one(kind::WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]));
        if let Err(error) = stage.try_turn() {
            assert_eq!(error.as_str(), "flood of WINDOW_UPDATE");
            return;
        }
        assert_eq!(push(&mut stream, &[7; 1000]), 1);
    }
    panic!("not stopped");
}

/// Small messages are no dribble, however often their receiver says that it took them.
#[test]
fn small_messages_are_no_attack() {
    let mut stage = Stage::new(limits());
    let mut stream = stage.request(&get(1, "/"));
    begin(&mut stream);
    for _ in 0..5000 {
        assert_eq!(push(&mut stream, b"tick"), 4);
        let window = |stream| one(kind::WINDOW_UPDATE, 0, stream, &[0, 0, 0, 4]);
        stage.write(&[window(0), window(1)].concat());
        stage.turn();
        stage.frames();
    }
}

/// Frames of a body that hold nothing of it, whether or not they are padded.
#[test]
fn empty_frames() {
    let begin = || headers(1, false, &asked("POST", "/", &[]));
    let cases: [(&str, Vec<u8>); 2] =
        [("nothing", data(1, false, b"")), ("padding", one(kind::DATA, flag::PADDED, 1, &[255; 256]))];
    for (what, frame) in cases {
        flood(what, "flood of empty frames", |number| if number == 0 { begin() } else { frame.clone() });
    }
}

/// A few bytes that name a large entry of the table again and again.
#[test]
fn hpack_bomb() {
    let mut stage = Stage::new(limits());
    let mut bomb = block(&GET);
    bomb.extend_from_slice(&[0x40, 1, b'a', 0x7f, 0x80, 0x1e]);
    let value = vec![b'x'; 127 + 0xf00];
    bomb.extend_from_slice(&value);
    bomb.extend_from_slice(&[0xbe; 4000]);
    let mut stream = stage.request(&headers(1, true, &bomb));
    assert_eq!(stream.refused().map(|error| error.status()), Some(431));
    stream.begin_response(&response(431, &[]), Framing::None, reply(&all_trailers()));
    stage.turn();
    let frames = stage.frames();
    let answer = frames.iter().find(|frame| frame.is(kind::HEADERS, 1)).expect("an answer");
    assert!(answer.payload.windows(3).any(|window| window == b"431"), "{answer:?}");
    // The connection goes on.
    assert_eq!(stage.request(&get(3, "/")).refused(), None);
}

/// A browser that leaves a page, and comes to others.
#[test]
fn leaving_a_page_is_no_attack() {
    let mut stage = Stage::new(limits());
    for page in 0..4 {
        let ids: Vec<u32> = (page * 100..page * 100 + 100).map(|number| 2 * number + 1).collect();
        stage.write(&ids.iter().flat_map(|id| get(*id, "/hold")).collect::<Vec<u8>>());
        let streams = stage.turn();
        assert_eq!(streams.len(), 100);
        stage.write(&ids.iter().flat_map(|id| reset(*id)).collect::<Vec<u8>>());
        assert!(stage.turn().is_empty());
        drop(streams);
    }
    assert!(stage.frames().iter().all(|frame| frame.kind != kind::GOAWAY && frame.kind != kind::RST_STREAM));
}

/// Whoever resets streams gets no others before the work on those has stopped; then it goes on as if nothing were.
#[test]
fn streams_that_were_reset_keep_their_place() {
    let mut stage = Stage::new(Limits { max_streams: 3, ..limits() });
    stage.write(&[get(1, "/"), get(3, "/"), get(5, "/")].concat());
    let mut streams = stage.turn();
    assert_eq!(streams.len(), 3);
    stage.write(&[reset(1), reset(3), get(7, "/"), get(9, "/"), one(kind::PING, 0, 0, b"are you?")].concat());
    assert!(stage.turn().is_empty(), "no place yet");
    assert!(matches!(once(|cx| streams[0].poll_gone(cx)), Poll::Ready(WireError::Reset(8))));
    streams.remove(0);
    assert_eq!(stage.turn().len(), 1, "one place, and it was given up at once");
    assert_eq!(stage.server.streams(), 2);
    drop(streams);
    assert_eq!(stage.turn().len(), 1);
    let pong = stage.frames().into_iter().any(|frame| frame.payload == b"are you?");
    assert!(pong, "what came behind was not forgotten");
}

/// Trailers of a stream that is open are not kept waiting by others that were reset: they may be what is waited for.
#[test]
fn trailers_do_not_wait_for_a_place() {
    let mut stage = Stage::new(Limits { max_streams: 2, ..limits() });
    stage.write(&[get(1, "/"), headers(3, false, &asked("POST", "/", &[]))].concat());
    let mut streams = stage.turn();
    stage.write(&[reset(1), headers(3, true, &block(&[("a", "b")]))].concat());
    stage.turn();
    assert!(matches!(once(|cx| streams[1].poll_fill(cx)), Poll::Ready(Ok(0))));
}

/// A client that breaks the protocol and takes nothing is known at once; it is told when it takes something.
#[test]
fn what_is_wrong_is_known_before_it_is_told() {
    let mut stage = Stage::with_capacity(limits(), 40);
    stage.turn();
    stage.write(&one(kind::PING, 0, 1, &[0; 8]));
    assert!(matches!(stage.try_turn(), Err(WireError::Protocol("PING on a stream"))));
    let mut told = Vec::new();
    for _ in 0..10 {
        let _ = once(|cx| stage.server.poll_last_words(cx));
        told.extend(stage.frames());
    }
    assert_eq!(told.iter().find(|frame| frame.kind == kind::GOAWAY).expect("told").number(4), 1);
}

/// A peer that asks and takes no answers: nothing more is read when enough waits.
#[test]
fn nothing_is_read_while_nothing_is_taken() {
    let mut stage = Stage::new(limits());
    let (near, far) = MemoryStream::pair(1000);
    // What the server sends has little room; what it is sent has much.
    let mut ahead = greeting();
    let count = 5000;
    ahead.extend((0..count).flat_map(|number| get(2 * number + 1, "/")));
    stage.server = Server::new(far, &ahead, limits());
    let large = response(200, &[("x-large", &"x".repeat(2000))]);
    let trailers = all_trailers();
    let mut answered = 0;
    let mut request = Request::default();
    while let Poll::Ready(came) = once(|cx| stage.server.poll_request(cx, &mut request)) {
        let mut stream = came.expect("the connection lives").expect("a request");
        stream.begin_response(&large, Framing::None, reply(&trailers));
        answered += 1;
        assert!(stage.server.queued() < PAUSE + 100 * 3000, "{}", stage.server.queued());
    }
    assert!(answered > 10 && answered < count / 10, "{answered}");
    drop(near);
}

/// A peer that opens no window: nothing is kept for it.
#[test]
fn nothing_is_kept_without_a_window() {
    let mut stage = Stage::new(limits());
    stage.write(&one(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]));
    let mut stream = stage.request(&get(1, "/"));
    begin(&mut stream);
    assert_eq!(push(&mut stream, &[7; 100_000]), 0);
    stage.turn();
    assert_eq!(stage.server.queued(), 0);
    stage.write(&one(kind::WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]));
    stage.turn();
    assert_eq!(push(&mut stream, &[7; 100_000]), 1);
}

/// A peer that takes nothing from its socket: what streams may add is bounded, for all of them together.
#[test]
fn output_is_bounded() {
    let mut stage = Stage::with_capacity(limits(), 4000);
    let wide = [&[0, 4][..], &0x7fff_ffffu32.to_be_bytes()].concat();
    stage.write(&one(kind::SETTINGS, 0, 0, &wide));
    stage.write(&one(kind::WINDOW_UPDATE, 0, 0, &0x7fff_0000u32.to_be_bytes()));
    let mut streams: Vec<ServerStream> =
        (0..20).map(|number| stage.request(&get(2 * number + 1, "/"))).collect();
    for stream in &mut streams {
        begin(stream);
        while push(stream, &[7; 50_000]) > 0 {}
        assert!(once(|cx| stream.poll_finish(cx, None)).is_pending(), "no end without room");
    }
    stage.turn();
    assert!(stage.server.queued() <= FULL + 20 * 100, "{}", stage.server.queued());
}
