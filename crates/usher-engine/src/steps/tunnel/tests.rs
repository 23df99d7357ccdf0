use std::task::Waker;

use usher_http::Fields;
use usher_wire::websocket::{CloseFrame, Frames};
use usher_wire::{Held, Plain, WireError};

use super::*;
use crate::steps::tunnel::plan::{Plan, Receiver, Talk};
use crate::steps::tunnel::way::Way;
use crate::worker::Drain;

fn plan(random: u64, succeeded: bool) -> Plan {
    Plan::for_drain((1000, Drain { patience: Duration::from_secs(30), succeeded }), random)
}

fn talk(spoke: u64, between: bool) -> Talk {
    Talk { spoke: Some(spoke), pause: 1000, between }
}

#[test]
fn moments_are_spread_over_the_first_half() {
    let silent = Talk { spoke: None, pause: 0, between: true };
    for (random, at) in [(0, 1000), (u64::MAX / 2, 8500), (u64::MAX, 16_000)] {
        let plan = plan(random, false);
        assert_eq!(plan.first(at - 2, silent, silent), None, "{random}");
        assert_eq!(plan.first(at, silent, silent), Some(Receiver::Endpoint), "{random}");
        assert_eq!((plan.end, plan.code), (31_000, 1001));
    }
    assert_eq!(plan(0, true).code, 1012);
}

#[test]
fn whoever_was_told_nothing_for_a_while_is_told_first() {
    use Receiver::{Client, Endpoint};
    // Its own moment is 1000, and any is good enough from 6000 on.
    let plan = plan(0, false);
    let never = Talk { spoke: None, pause: 0, between: true };
    let always = |now: u64| Talk { pause: 50, ..talk(now, true) };
    let cases = [
        ("the client never spoke", 2000, never, talk(1999, true), Some(Endpoint)),
        ("in the middle of the endpoint's message", 2000, never, talk(1999, false), None),
        ("the endpoint never spoke", 2000, talk(2000, true), never, Some(Client)),
        (
            "the silent one is within a message",
            2000,
            talk(1999, true),
            Talk { between: false, ..never },
            None,
        ),
        ("both speak", 2000, talk(1900, true), talk(1000, true), None),
        ("behind the client's message", 2000, talk(2000, true), talk(1950, true), Some(Endpoint)),
        ("within it", 2000, talk(2000, false), talk(1950, true), None),
        ("it speaks all the time", 2000, always(2000), talk(1950, true), None),
        ("later, a short silence will do", 4000, talk(3500, true), talk(3500, true), Some(Endpoint)),
        ("the client may be about to answer", 4000, talk(3500, true), talk(3999, true), None),
        ("so may the endpoint", 4000, always(3900), talk(3500, true), None),
        ("at last anybody", 6000, Talk { between: false, ..always(6000) }, talk(5990, false), Some(Client)),
        ("at last anybody", 6000, talk(5990, false), talk(6000, false), Some(Endpoint)),
    ];
    for (what, now, client, endpoint, first) in cases {
        assert_eq!(plan.first(now, client, endpoint), first, "{what}");
    }
}

#[test]
fn it_is_looked_again_when_something_can_be_otherwise() {
    let never = Talk { spoke: None, pause: 0, between: false };
    let plan = plan(0, false);
    let looks = [
        (500, talk(400, true), never, 1000),
        (2000, never, never, 6000),
        (2000, talk(1900, true), talk(1000, true), 3500),
        (3500, talk(3400, true), talk(3300, true), 3900),
        (5900, talk(5800, true), never, 6000),
        (6000, talk(5900, true), never, 6400),
    ];
    for (now, client, endpoint, next) in looks {
        assert_eq!(plan.next_look(now, client, endpoint), next, "{now}");
    }
}

#[test]
fn without_time_it_is_now() {
    let drain = Drain { patience: Duration::ZERO, succeeded: false };
    for plan in [Plan::for_drain((1000, drain), u64::MAX), Plan::at_once(1000, true)] {
        assert!(plan.first(1000, talk(1000, false), talk(1000, false)).is_some());
        assert!(plan.echo(1000) >= 1000);
    }
}

#[test]
fn what_is_a_websocket() {
    for (answered, asked, is_one) in [
        (Some(&b"websocket"[..]), &b"websocket"[..], true),
        (Some(b"WebSocket"), b"x, websocket", true),
        (Some(b"x"), b"x, websocket", false),
        (None, b"websocket", true),
        (None, b"x", false),
    ] {
        let mut exchange = Exchange::default();
        if let Some(protocol) = answered {
            exchange.response.fields.add(b"Upgrade", protocol).unwrap();
        }
        let kind = Kind::of(&exchange, asked, WebSocketPolicy::default());
        assert_eq!(matches!(kind, Kind::WebSocket(_)), is_one, "{answered:?} {asked:?}");
    }
}

/// A sink that makes records of what it is offered, as TLS does: it says that it took some only when there is room.
#[derive(Default)]
struct Sealing {
    has_room: bool,
    is_broken: bool,
    record: Vec<u8>,
    sent: Vec<u8>,
}

impl Sink for Sealing {
    fn poll_send(&mut self, _: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, WireError>> {
        if self.is_broken {
            return Poll::Ready(Err(WireError::Closed));
        }
        if self.record.is_empty() {
            self.record = data[..data.len().min(16 << 10)].to_vec();
        }
        assert!(data.starts_with(&self.record), "something else is offered than before");
        if !self.has_room {
            return Poll::Pending;
        }
        self.sent.extend(&self.record);
        Poll::Ready(Ok(std::mem::take(&mut self.record).len()))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_finish(&mut self, _: &mut Context<'_>, _: Option<&Fields>) -> Poll<Result<(), WireError>> {
        Poll::Ready(Ok(()))
    }

    fn plain(&mut self) -> Option<Plain<'_>> {
        None
    }

    fn gave_plain(&mut self, _: u64) {}

    fn queued(&self) -> usize {
        0
    }

    fn poll_end(&mut self, _: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_close_goes_behind_what_the_receiver_has_in_hand() {
    let message = [&[0x82, 126, 0x03, 0xe8][..], &[7; 1000]].concat();
    let bytes = message.repeat(64);
    let (mut source, mut sink, mut way) = (Held::new(&bytes), Sealing::default(), Way::new());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(way.poll(&mut cx, (&mut source, &mut sink), 1).is_pending());
    let close = CloseFrame::to_client(1001);
    way.close(close, 1);
    assert!(way.poll(&mut cx, (&mut source, &mut sink), 2).is_pending());
    assert!(!way.is_told());
    sink.has_room = true;
    assert!(way.poll(&mut cx, (&mut source, &mut sink), 3).is_ready());
    let messages = sink.sent.strip_suffix(close.bytes()).unwrap();
    assert!(messages.len() < bytes.len() && bytes.starts_with(messages));
    let mut frames = Frames::default();
    frames.follow(messages);
    assert!(frames.is_between() && !messages.is_empty());
}

/// Between two frames of a message, when no more of it passes: but not before what the receiver has in hand.
#[test]
fn a_message_is_not_interrupted_while_the_receiver_has_some_of_it_in_hand() {
    // Two fragments; the second one comes later.
    let first = [0x02, 1, 7];
    let second = [&[0x00, 126, 0x03, 0xe8][..], &[7; 1000]].concat();
    let (mut sink, mut way) = (Sealing { has_room: true, ..Sealing::default() }, Way::new());
    let mut cx = Context::from_waker(Waker::noop());
    let mut arrived = Arriving(Vec::new());
    arrived.0.extend(first);
    assert!(way.poll(&mut cx, (&mut arrived, &mut sink), 1).is_pending());
    let close = CloseFrame::to_client(1001);
    way.close(close, 1);
    assert!(way.poll(&mut cx, (&mut arrived, &mut sink), 2).is_pending());
    sink.has_room = false;
    arrived.0.extend(&second);
    assert!(way.poll(&mut cx, (&mut arrived, &mut sink), 3).is_pending());
    assert!(!way.interrupt(4), "the second fragment is on its way");
    sink.has_room = true;
    assert!(way.poll(&mut cx, (&mut arrived, &mut sink), 5).is_pending());
    assert_eq!(sink.sent, [&first[..], &second].concat());
    assert!(way.interrupt(6));
    assert!(way.poll(&mut cx, (&mut arrived, &mut sink), 7).is_pending());
    assert!(sink.sent.ends_with(close.bytes()) && way.is_told() && !way.is_whole());
}

/// A sender of whom more comes now and then.
struct Arriving(Vec<u8>);

impl Source for Arriving {
    fn poll_fill(&mut self, _: &mut Context<'_>) -> Poll<Result<usize, WireError>> {
        if self.0.is_empty() { Poll::Pending } else { Poll::Ready(Ok(self.0.len())) }
    }

    fn chunk(&self) -> &[u8] {
        &self.0
    }

    fn consume(&mut self, len: usize) {
        self.0.drain(..len);
    }

    fn trailers(&self) -> Option<&Fields> {
        None
    }

    fn is_done(&self) -> bool {
        false
    }

    fn plain(&mut self) -> Option<Plain<'_>> {
        None
    }

    fn took_plain(&mut self, _: u64) -> Result<(), WireError> {
        Ok(())
    }
}

/// Its own direction shows that it is gone; what the other side says up to its Close is read.
#[test]
fn whoever_cannot_be_told_any_more_is_no_reason_to_break_off() {
    let message = [0x82, 1, 7];
    let mut cx = Context::from_waker(Waker::noop());
    let mut poll = |way: &mut Way, bytes: &[u8]| {
        let mut sink = Sealing { is_broken: true, ..Sealing::default() };
        way.poll(&mut cx, (&mut Held::new(bytes), &mut sink), 1)
    };
    let close = CloseFrame::to_client(1001);
    let mut way = Way::new();
    assert_eq!(poll(&mut way, &message), Poll::Ready(Err(())), "nobody closes");
    // It is to be told.
    let mut way = Way::new();
    way.close(close, 1);
    assert_eq!(poll(&mut way, &message), Poll::Ready(Ok(())));
    assert!(way.is_told() && way.is_late());
    // The other side is.
    let mut way = Way::new();
    way.answer_for_sender(close);
    assert_eq!(poll(&mut way, &message), Poll::Ready(Ok(())));
    assert!(way.is_told() && way.is_late());
}
