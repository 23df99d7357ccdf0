//! Any frames at all: nothing panics, nothing grows beyond its bound, and the server answers or ends.

use std::task::Poll;

use proptest::prelude::*;

use super::super::output::PAUSE;
use super::stage::{Stage, pull, push};
use super::*;
use crate::body::Sink;
use crate::testing::once;

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 0..40),
        2 => Just(asked("POST", "/", &[])),
        1 => Just(asked("GET", "/", &[("content-length", "3")])),
        1 => Just(block(&[("a", "b")])),
        1 => Just(vec![0, 0, 0, 1]),
        1 => Just(vec![0; 8]),
        1 => Just(vec![7; 16_384]),
    ]
}

fn frames() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let kinds = prop_oneof![8 => 0u8..=9, 1 => Just(16), 1 => any::<u8>()];
    let flags = prop_oneof![2 => Just(4u8), 2 => Just(5), 1 => any::<u8>(), 1 => Just(0)];
    let frame = (kinds, flags, 0u32..12, payload());
    let frame = frame.prop_map(|(kind, flags, stream, payload)| one(kind, flags, stream, &payload));
    prop::collection::vec(frame, 0..60)
}

proptest! {
    #[test]
    fn the_server_bears_any_frames(frames in frames(), actions in prop::collection::vec(0u8..8, 60)) {
        let mut stage = Stage::new(Limits { max_streams: 4, stream_window: 40_000, connection_window: 70_000, ..limits() });
        let mut streams: Vec<ServerStream> = Vec::new();
        let trailers = all_trailers();
        for (frame, action) in frames.iter().zip(&actions) {
            stage.write(frame);
            match stage.try_turn() {
                Ok(came) => streams.extend(came),
                Err(_) => break,
            }
            prop_assert!(stage.server.streams() <= 4);
            prop_assert!(stage.server.queued() < PAUSE);
            let Some(stream) = streams.first_mut() else { continue };
            match action {
                0 => _ = stream.begin_response(&response(200, &[]), Framing::Chunked, reply(&trailers)),
                1 => _ = pull(stream, 10_000),
                2 if once(|cx| stream.poll_gone(cx)).is_pending() => _ = once(|cx| stream.poll_send(cx, &[1; 5000])),
                3 => _ = once(|cx| stream.poll_finish(cx, None)),
                4 => drop(streams.remove(0)),
                5 => streams.rotate_left(1),
                6 => stream.abort(),
                _ => {}
            }
        }
        stage.frames();
    }

    /// However bytes are cut, the outcome is the same; but that who leaves may be left before it has said everything.
    #[test]
    fn cuts_change_nothing(frames in frames(), cuts in prop::collection::vec(1usize..50, 1..20)) {
        let stays = |frame: &&Vec<u8>| frame[3] != kind::GOAWAY;
        let bytes: Vec<u8> = frames.iter().filter(stays).flatten().copied().collect();
        let whole = outcome(&bytes, &[usize::MAX]);
        prop_assert_eq!(outcome(&bytes, &cuts), whole);
    }

    #[test]
    fn the_client_bears_any_frames(frames in frames()) {
        use crate::upstream::Upstream;
        let (near, far) = MemoryStream::pair(CAPACITY * 4);
        let (client, mut driver) = Client::new(near, limits());
        let mut wire = Wire::new(far);
        let mut streams: Vec<ClientStream> = (0..3).filter_map(|_| client.open()).collect();
        for stream in &mut streams {
            let mut request = Request::default();
            request.path.push('/');
            stream.begin_request(&request, b"h", Framing::Chunked, crate::h1::RequestContext::default());
        }
        let mut bytes = one(kind::SETTINGS, 0, 0, &[]);
        bytes.extend(frames.concat());
        prop_assert!(matches!(once(|cx| usher_net::Transport::poll_write(&mut wire.stream, cx, &bytes)), Poll::Ready(Ok(_))));
        for _ in 0..20 {
            let _ = once(|cx| std::pin::Pin::new(&mut driver).poll(cx));
            for stream in &mut streams {
                let _ = once(|cx| stream.poll_response(cx, &HeadLimits::default(), &mut Response::default()));
                if let Poll::Ready(Ok(len)) = once(|cx| stream.poll_fill(cx)) {
                    stream.consume(len);
                }
                let _ = once(|cx| stream.poll_send(cx, b"some"));
            }
            streams.pop();
        }
    }
}

/// Kind, flags, stream and length of frames, and the error behind them.
type Outcome = (Vec<(u8, u8, u32, usize)>, Option<&'static str>);

/// The frames that the server sends for some bytes that come in pieces, and how it ends; none of its streams is used.
fn outcome(bytes: &[u8], cuts: &[usize]) -> Outcome {
    let mut stage = Stage::new(limits());
    let mut streams = Vec::new();
    let (mut at, mut ended, mut sent) = (0usize, None, Vec::new());
    for cut in cuts.iter().cycle() {
        let end = at.saturating_add(*cut).min(bytes.len());
        stage.write(&bytes[at..end]);
        at = end;
        match stage.try_turn() {
            Ok(came) => streams.extend(came),
            Err(error) => ended = Some(error.as_str()),
        }
        let frames = stage.frames().into_iter();
        sent.extend(frames.map(|frame| (frame.kind, frame.flags, frame.stream, frame.payload.len())));
        if ended.is_some() || at == bytes.len() {
            return (sent, ended);
        }
    }
    unreachable!("cycles")
}

#[test]
fn pushing_to_nobody_is_an_error() {
    let mut stage = Stage::new(limits());
    let mut stream = stage.request(&get(1, "/"));
    stream.abort();
    assert!(matches!(once(|cx| stream.poll_send(cx, b"x")), Poll::Ready(Err(WireError::Truncated))));
    let mut other = stage.request(&get(3, "/"));
    super::stage::begin(&mut other);
    assert_eq!(push(&mut other, b"x"), 1);
}
