//! Windows, turns, and how bodies become frames.

use std::task::Poll;

use super::super::frame::Code;
use super::stage::{Stage, begin, data_on, pull, push};
use super::*;
use crate::body::Sink;
use crate::testing::once;

fn post(stream: u32) -> Vec<u8> {
    headers(stream, false, &asked("POST", "/", &[]))
}

fn updates(frames: &[Frame], stream: u32) -> u32 {
    frames.iter().filter(|frame| frame.is(kind::WINDOW_UPDATE, stream)).map(|frame| frame.number(0)).sum()
}

/// Small windows: 70,000 bytes for a stream, 100,000 for the connection.
fn narrow() -> Limits {
    Limits { stream_window: 70_000, connection_window: 100_000, ..limits() }
}

#[test]
fn windows_open_when_the_reader_has_taken_half() {
    let mut stage = Stage::new(narrow());
    let mut stream = stage.request(&post(1));
    stage.frames();
    (0..6).for_each(|_| _ = stage.write(&data(1, false, &[0; 10_000])));
    stage.turn();
    assert_eq!(updates(&stage.frames(), 1), 0, "nothing was read");
    assert_eq!(pull(&mut stream, 34_000), 34_000);
    stage.turn();
    let frames = stage.frames();
    assert_eq!((updates(&frames, 1), updates(&frames, 0)), (0, 0), "less than half");
    assert_eq!(pull(&mut stream, usize::MAX), 26_000);
    stage.turn();
    let frames = stage.frames();
    assert_eq!((updates(&frames, 1), updates(&frames, 0)), (60_000, 60_000));
}

#[test]
fn more_than_a_window_is_an_error() {
    let mut stage = Stage::new(narrow());
    let mut stream = stage.request(&post(1));
    (0..7).for_each(|_| _ = stage.write(&data(1, false, &[0; 10_000])));
    stage.turn();
    assert!(stage.frames().iter().all(|frame| frame.kind != kind::RST_STREAM), "all that was allowed");
    stage.write(&data(1, false, &[0]));
    stage.turn();
    let reset = stage.frames().into_iter().find(|frame| frame.is(kind::RST_STREAM, 1)).expect("a reset");
    assert_eq!(reset.number(0), Code::FlowControl as u32);
    assert!(matches!(once(|cx| stream.poll_fill(cx)), Poll::Ready(Err(WireError::Protocol(_)))));
    // What nobody will read was given back to the connection.
    let _other = stage.request(&post(3));
    (0..7).for_each(|_| _ = stage.write(&data(3, false, &[0; 10_000])));
    stage.turn();
    assert_eq!(stage.goaway(), None);
}

#[test]
fn more_than_the_window_of_the_connection_is_an_error() {
    let mut stage = Stage::new(narrow());
    let _streams = [stage.request(&post(1)), stage.request(&post(3))];
    (0..5).for_each(|_| {
        _ = stage.write(&[data(1, false, &[0; 10_000]), data(3, false, &[0; 10_000])].concat())
    });
    stage.turn();
    assert_eq!(stage.goaway(), None);
    stage.write(&data(3, false, &[0]));
    assert!(stage.try_turn().is_err());
    assert_eq!(stage.goaway().map(|(code, _)| code), Some(Code::FlowControl as u32));
}

/// DATA for streams that are gone would use up the window of the connection otherwise.
#[test]
fn what_nobody_reads_is_given_back() {
    let mut stage = Stage::new(narrow());
    for number in 0..20 {
        let id = 2 * number + 1;
        let stream = stage.request(&post(id));
        stage.write(&data(id, false, &[0; 10_000]));
        stage.turn();
        drop(stream);
        stage.write(&data(id, true, &[0; 10_000]));
        stage.turn();
    }
    let frames = stage.frames();
    assert!(updates(&frames, 0) >= 300_000, "{}", updates(&frames, 0));
    assert!(frames.iter().all(|frame| frame.kind != kind::GOAWAY));
}

/// RFC 9113 section 6.9.2: a window may become negative, and opens when it is positive again.
#[test]
fn a_setting_changes_the_windows_of_open_streams() {
    let mut stage = Stage::new(limits());
    let initial = |size: u32| one(kind::SETTINGS, 0, 0, &[&[0, 4][..], &size.to_be_bytes()].concat());
    stage.write(&initial(100));
    let mut stream = stage.request(&get(1, "/"));
    begin(&mut stream);
    assert_eq!(push(&mut stream, &[0; 1000]), 100);
    stage.write(&initial(40));
    stage.turn();
    for (more, room) in [(60u32, 0), (1, 1)] {
        stage.write(&one(kind::WINDOW_UPDATE, 0, 1, &more.to_be_bytes()));
        stage.turn();
        assert_eq!(push(&mut stream, &[0; 1000]), room);
    }
    stage.write(&initial(50));
    stage.turn();
    assert_eq!(push(&mut stream, &[0; 1000]), 10);
}

#[test]
fn a_small_response_is_two_frames() {
    let mut stage = Stage::new(limits());
    let mut stream = stage.request(&get(1, "/"));
    stage.frames();
    begin(&mut stream);
    assert_eq!(push(&mut stream, b"ok"), 2);
    assert!(matches!(once(|cx| stream.poll_finish(cx, None)), Poll::Ready(Ok(()))));
    drop(stream);
    stage.turn();
    let frames: Vec<(u8, u8)> = stage.frames().iter().map(|frame| (frame.kind, frame.flags)).collect();
    assert_eq!(frames, [(kind::HEADERS, flag::END_HEADERS), (kind::DATA, flag::END_STREAM)]);
}

/// The last frame of a body that has left already cannot end the stream: an empty one does.
#[test]
fn an_end_that_comes_later_is_a_frame() {
    let mut stage = Stage::new(limits());
    let mut stream = stage.request(&get(1, "/"));
    begin(&mut stream);
    push(&mut stream, b"ok");
    stage.turn();
    stage.frames();
    assert!(matches!(once(|cx| stream.poll_finish(cx, None)), Poll::Ready(Ok(()))));
    stage.turn();
    let frames = stage.frames();
    assert_eq!(frames.len(), 1);
    assert_eq!((frames[0].kind, frames[0].flags, frames[0].payload.len()), (kind::DATA, flag::END_STREAM, 0));
}

#[test]
fn a_response_without_a_body_is_one_frame() {
    let trailers = all_trailers();
    for framing in [Framing::None, Framing::Length(0)] {
        let mut stage = Stage::new(limits());
        let mut stream = stage.request(&get(1, "/"));
        stage.frames();
        stream.begin_response(&response(200, &[]), framing, reply(&trailers));
        assert!(matches!(once(|cx| stream.poll_finish(cx, None)), Poll::Ready(Ok(()))));
        drop(stream);
        stage.turn();
        let frames: Vec<(u8, u8)> = stage.frames().iter().map(|frame| (frame.kind, frame.flags)).collect();
        assert_eq!(frames, [(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM)]);
    }
}

#[test]
fn a_body_is_as_long_as_announced() {
    let trailers = all_trailers();
    let mut stage = Stage::new(limits());
    let mut stream = stage.request(&get(1, "/"));
    stream.begin_response(&response(200, &[]), Framing::Length(3), reply(&trailers));
    assert_eq!(push(&mut stream, b"abc--"), 3, "no more than that");
    assert!(matches!(once(|cx| stream.poll_send(cx, b"--")), Poll::Ready(Err(WireError::Truncated))));
    assert!(matches!(once(|cx| stream.poll_finish(cx, None)), Poll::Ready(Ok(()))));
    let mut stream = stage.request(&get(3, "/"));
    stream.begin_response(&response(200, &[]), Framing::Length(3), reply(&trailers));
    push(&mut stream, b"ab");
    assert!(matches!(once(|cx| stream.poll_finish(cx, None)), Poll::Ready(Err(WireError::Truncated))));
    drop(stream);
    stage.turn();
    let reset = stage.frames().into_iter().find(|frame| frame.is(kind::RST_STREAM, 3));
    assert_eq!(reset.map(|frame| frame.number(0)), Some(Code::Cancel as u32));
}

#[test]
fn heads_larger_than_a_frame_are_continued() {
    let mut stage = Stage::new(limits());
    let mut stream = stage.request(&get(1, "/"));
    stage.frames();
    let value = "x".repeat(20_000);
    let large = response(200, &[("x-one", &value), ("x-two", &value)]);
    stream.begin_response(&large, Framing::None, reply(&all_trailers()));
    stage.turn();
    let frames = stage.frames();
    let seen: Vec<(u8, u8)> = frames.iter().map(|frame| (frame.kind, frame.flags)).collect();
    let more = kind::CONTINUATION;
    assert_eq!(seen, [(kind::HEADERS, flag::END_STREAM), (more, 0), (more, flag::END_HEADERS)]);
    let block: Vec<u8> = frames.into_iter().flat_map(|frame| frame.payload).collect();
    let mut lengths = Vec::new();
    let mut decoder = crate::hpack::Decoder::new(4096);
    decoder.decode(&block, |_, value| lengths.push(value.len())).expect("a block");
    assert_eq!(lengths, [3, 20_000, 20_000, 29]);
}

/// Streams that have more to send than there is room get it in turns.
#[test]
fn streams_take_turns() {
    let mut stage = Stage::with_capacity(limits(), 50_000);
    let wide = [&[0, 4][..], &0x7fff_ffffu32.to_be_bytes()].concat();
    stage.write(&one(kind::SETTINGS, 0, 0, &wide));
    stage.write(&one(kind::WINDOW_UPDATE, 0, 0, &0x7fff_0000u32.to_be_bytes()));
    let mut streams: Vec<ServerStream> =
        (0..20).map(|number| stage.request(&get(2 * number + 1, "/"))).collect();
    streams.iter_mut().for_each(begin);
    let mut sent = [0; 20];
    for _ in 0..400 {
        for (stream, sent) in streams.iter_mut().zip(&mut sent) {
            // A greedy one takes all it can at once.
            while let len @ 1.. = push(stream, &[0; 40_000]) {
                *sent += len;
            }
        }
        stage.turn();
        stage.frames();
    }
    let (least, most) = (sent.iter().min().expect("some"), sent.iter().max().expect("some"));
    // All are asked in the same order here, whosever turn it is: that gives the first a little more.
    assert!(most < &(2 * least), "{sent:?}");
}

/// Whoever waits for the window of the connection is not asked again before it opens; whoever waits for room in the output
/// is.
#[test]
fn a_shut_connection_wakes_nobody_for_nothing() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    struct Count(AtomicUsize);
    impl std::task::Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let mut stage = Stage::new(limits());
    let wide = [&[0, 4][..], &0x7fff_ffffu32.to_be_bytes()].concat();
    stage.write(&one(kind::SETTINGS, 0, 0, &wide));
    let mut stream = stage.request(&get(1, "/"));
    begin(&mut stream);
    while push(&mut stream, &[0; 16_384]) > 0 {}
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = std::task::Waker::from(count.clone());
    assert!(stream.poll_send(&mut std::task::Context::from_waker(&waker), b"x").is_pending());
    for _ in 0..10 {
        stage.write(&one(kind::PING, 0, 0, &[0; 8]));
        stage.turn();
    }
    assert_eq!(count.0.load(Ordering::Relaxed), 0);
    stage.write(&one(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]));
    stage.turn();
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert_eq!(push(&mut stream, b"xy"), 1);
}

#[test]
fn urgent_streams_go_first() {
    let mut stage = Stage::with_capacity(limits(), 20_000);
    let wide = [&[0, 4][..], &0x7fff_ffffu32.to_be_bytes()].concat();
    stage.write(&one(kind::SETTINGS, 0, 0, &wide));
    stage.write(&one(kind::WINDOW_UPDATE, 0, 0, &0x7fff_0000u32.to_be_bytes()));
    let mut streams = Vec::new();
    for number in 0..20u32 {
        let priority = if number == 19 { "u=0, i" } else { "u=5" };
        let ask = headers(2 * number + 1, true, &asked("GET", "/", &[("priority", priority)]));
        streams.push(stage.request(&ask));
    }
    // One whose client changes its mind.
    stage.write(&one(kind::PRIORITY_UPDATE, 0, 0, b"\0\0\0\x25u=1"));
    streams.iter_mut().for_each(begin);
    let mut sent = [0; 20];
    for _ in 0..200 {
        for (stream, sent) in streams.iter_mut().zip(&mut sent) {
            *sent += push(stream, &[0; 16_384]);
        }
        stage.turn();
        stage.frames();
    }
    let most = *sent[..18].iter().max().expect("some");
    assert!(sent.iter().all(|sent| *sent > 0), "nobody starves: {sent:?}");
    assert!(sent[18] > 2 * most && sent[19] > 2 * most, "{sent:?}");
}

/// Early data of a body may be with the reader while its window is still told of.
#[test]
fn a_reset_takes_back_what_was_not_read() {
    let mut stage = Stage::new(limits());
    let mut stream = stage.request(&post(1));
    stage.write(&[data(1, false, b"abc"), one(kind::RST_STREAM, 0, 1, &8u32.to_be_bytes())].concat());
    stage.turn();
    assert!(matches!(once(|cx| stream.poll_fill(cx)), Poll::Ready(Err(WireError::Reset(8)))));
    assert!(matches!(once(|cx| stream.poll_send(cx, b"x")), Poll::Ready(Err(WireError::Reset(8)))));
    assert_eq!(data_on(&stage.frames(), 1), 0);
}

/// A window becomes wider, within bounds, if nearly all of it arrives while a PING goes there and back.
#[test]
fn windows_grow_as_the_path_needs() {
    let limits = Limits { stream_window: 70_000, connection_window: 600_000, ..limits() };
    for (delay, want) in [(40, 280_000), (1, 70_000)] {
        let mut stage = Stage::new(limits);
        let mut stream = stage.request(&post(1));
        stage.frames();
        let (mut allowed, mut sent, mut pings) = (70_000, 0, Vec::new());
        for round in 1..200 {
            stage.write(&data(1, false, &[0; 10_000]));
            sent += 10_000;
            stage.turn();
            pull(&mut stream, usize::MAX);
            stage.turn();
            let frames = stage.frames();
            allowed += updates(&frames, 1) as usize;
            let asked = frames.into_iter().filter(|frame| frame.kind == kind::PING);
            pings.extend(asked.map(|ping| (round + delay, ping.payload)));
            for (_, payload) in pings.extract_if(.., |(due, _)| *due <= round) {
                stage.write(&one(kind::PING, flag::ACK, 0, &payload));
            }
        }
        assert!((want / 2..=want).contains(&(allowed - sent)), "{} of {want}", allowed - sent);
    }
}

/// What a connection without streams takes beside its tables.
#[test]
fn an_idle_connection_is_small() {
    assert!(size_of::<super::super::core::Core>() < 1200, "{}", size_of::<super::super::core::Core>());
    assert!(size_of::<Server<MemoryStream>>() < 300, "{}", size_of::<Server<MemoryStream>>());
}
