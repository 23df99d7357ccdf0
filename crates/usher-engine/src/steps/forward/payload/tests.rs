use std::task::Waker;

use usher_http::Method;
use usher_wire::Held;

use super::*;

const BODY: &[u8] = b"0123456789abcdefghij";

fn policy(buffer: usize) -> RetryPolicy {
    RetryPolicy { buffer, ..RetryPolicy::default() }
}

fn payload(method: Method, framing: Framing, policy: &RetryPolicy) -> Payload {
    let mut exchange = Exchange::default();
    exchange.request.method = method;
    Payload::new(&mut exchange, framing, policy)
}

/// Takes so many bytes, in pieces of 3.
fn take(payload: &mut Payload, source: &mut Held<'_>, mut count: usize) -> Vec<u8> {
    let mut taken = Vec::new();
    let mut cx = Context::from_waker(Waker::noop());
    let mut body = payload.of(source);
    while count > 0 {
        let Poll::Ready(Ok(len @ 1..)) = body.poll_fill(&mut cx) else { break };
        assert_eq!(len, body.chunk().len());
        let piece = len.min(3).min(count);
        taken.extend_from_slice(&body.chunk()[..piece]);
        body.consume(piece);
        count -= piece;
    }
    taken
}

#[test]
fn what_was_taken_is_sent_again_and_then_what_follows() {
    let policy = policy(BODY.len());
    let mut payload = payload(Method::Put, Framing::Chunked, &policy);
    let mut source = Held::new(BODY);
    for count in [7, 4, 13, 0, 20] {
        assert!(payload.is_whole());
        payload.rewind();
        assert_eq!(take(&mut payload, &mut source, count), BODY[..count], "{count}");
    }
    assert!(payload.of(&mut source).is_done());
}

#[test]
fn what_does_not_fit_is_not_kept() {
    for (limit, taken, whole) in [(10, 10, true), (10, 11, false), (0, 1, false), (0, 0, true)] {
        let policy = policy(limit);
        let mut payload = payload(Method::Put, Framing::Chunked, &policy);
        let mut source = Held::new(BODY);
        assert_eq!(take(&mut payload, &mut source, taken), BODY[..taken]);
        assert_eq!(payload.is_whole(), whole, "{limit} {taken}");
        assert_eq!(payload.is_begun(), taken > 0);
        if !whole {
            assert_eq!(
                payload.memory().map_or(0, |memory| memory.bytes.capacity()),
                0,
                "the memory is given back"
            );
            assert_eq!(take(&mut payload, &mut source, 99), BODY[taken..], "and the rest goes on");
        }
    }
}

#[test]
fn only_what_may_be_sent_again_is_kept() {
    let any = RetryPolicy { non_idempotent: true, ..policy(100) };
    let once = RetryPolicy { tries: 1, ..policy(100) };
    let connecting = RetryPolicy { refused_stream: false, reset: false, ..policy(100) };
    for (method, framing, policy, kept) in [
        (Method::Put, Framing::Length(100), policy(100), 100),
        (Method::Put, Framing::Length(101), policy(100), 0),
        (Method::Put, Framing::Chunked, policy(100), 100),
        (Method::Post, Framing::Chunked, policy(100), 0),
        (Method::Post, Framing::Chunked, any, 100),
        (Method::Put, Framing::Chunked, once, 0),
        (Method::Put, Framing::Chunked, connecting, 0),
        (Method::Get, Framing::None, policy(100), 0),
    ] {
        assert_eq!(
            payload(method, framing, &policy).memory().map_or(0, |memory| memory.limit),
            kept,
            "{framing:?} {policy:?}"
        );
    }
}

#[test]
fn after_a_response_the_rest_goes_on_and_nothing_is_kept() {
    let policy = policy(100);
    for replayed in [0, 5, 12] {
        let mut payload = payload(Method::Put, Framing::Chunked, &policy);
        let mut source = Held::new(BODY);
        take(&mut payload, &mut source, 12);
        payload.rewind();
        take(&mut payload, &mut source, replayed);
        payload.answered();
        assert!(!payload.is_whole());
        assert_eq!(take(&mut payload, &mut source, 99), BODY[replayed..], "{replayed}");
        assert_eq!(payload.memory().map_or(0, |memory| memory.bytes.capacity()), 0);
    }
}

/// What a copy gets now.
fn copied(feed: &mut Feed) -> Vec<u8> {
    let mut cx = Context::from_waker(Waker::noop());
    match feed.poll_fill(&mut cx) {
        Poll::Ready(Ok(len)) => {
            let taken = feed.chunk().to_vec();
            assert_eq!(taken.len(), len);
            feed.consume(len);
            taken
        }
        Poll::Ready(Err(_)) => b"broken".to_vec(),
        Poll::Pending => b"pending".to_vec(),
    }
}

#[test]
fn a_copy_gets_once_what_is_sent_again() {
    let policy = policy(BODY.len());
    let mut payload = payload(Method::Put, Framing::Chunked, &policy);
    let mut source = Held::new(BODY);
    let (mut one, mut other) = (payload.feed(100), payload.feed(100));
    assert_eq!(take(&mut payload, &mut source, 7), BODY[..7]);
    payload.rewind();
    assert_eq!(take(&mut payload, &mut source, 99), BODY);
    for feed in [&mut one, &mut other] {
        assert_eq!(copied(feed), BODY);
        assert_eq!(copied(feed), b"", "that was all");
        assert!(feed.is_done());
    }
}

#[test]
fn a_copy_of_half_a_request_is_broken_off() {
    let mut payload = payload(Method::Post, Framing::Length(20), &policy(0));
    let mut source = Held::new(BODY);
    let mut feed = payload.feed(100);
    assert_eq!(copied(&mut feed), b"pending");
    assert_eq!(take(&mut payload, &mut source, 7), BODY[..7]);
    drop(payload);
    assert_eq!(copied(&mut feed), BODY[..7]);
    assert_eq!(copied(&mut feed), b"broken");
}

#[test]
fn a_copy_has_a_turn_now_and_then_and_nobody_waits_for_it() {
    let mut payload = payload(Method::Post, Framing::Length(20), &policy(0));
    let mut source = Held::new(BODY);
    let mut feed = payload.feed(12);
    let mut taken = Vec::new();
    let mut pauses = 0;
    while taken.len() < BODY.len() {
        let more = take(&mut payload, &mut source, 4);
        pauses += u32::from(more.is_empty());
        taken.extend(more);
    }
    assert_eq!(taken, BODY);
    assert_eq!(pauses, 3, "after 4 bytes each, until the buffer is full");
    assert!(feed.is_given_up());
    assert_eq!(copied(&mut feed), b"broken");
}
