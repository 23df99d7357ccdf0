//! Bytes both ways, each direction ended as its sender ends it.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;
use usher_api::Side;
use usher_net::tls::Secured;
use usher_net::{Dialer, Transport};

use super::direction::{Broken, Direction};
use crate::deadline::Deadline;
use crate::worker::Worker;

/// After so long without a byte, a connection gives back what it moves bytes with.
const REST: Duration = Duration::from_secs(1);

/// How it ended.
#[derive(Debug)]
pub(super) enum End {
    /// Both sides have said all.
    Done,
    /// A side broke off.
    Broken(Side, io::Error),
    /// Nothing was said for too long.
    Idle,
    /// The process ends.
    Cut,
}

/// What became of a connection.
pub(super) struct Relayed {
    pub end: End,
    /// Bytes from the client that the endpoint was sent.
    pub received: u64,
    /// Bytes to the client.
    pub sent: u64,
    /// When the first byte went to the client.
    pub first_byte: Option<Instant>,
}

/// What moving bytes depends on.
pub(super) struct Relay<'a, D: Dialer> {
    pub deadline: &'a Deadline,
    pub idle: Duration,
    pub worker: &'a Worker<D>,
}

/// Both directions, and how far they are.
struct Ways {
    forth: Direction,
    back: Direction,
    seen: (u64, u64),
    first_byte: Option<Instant>,
    rests: bool,
}

impl<D: Dialer> Relay<'_, D> {
    /// Moves bytes until the end. `ahead` was read of the client already. Whoever is cut off by a break learns that it was
    /// one: it is reset, so that nobody takes what came for the whole.
    pub(super) async fn run<T: Transport>(
        &self,
        (down, ahead): (&mut Secured<T>, Vec<u8>),
        up: &mut Secured<D::Stream>,
    ) -> Relayed {
        let (forth, back) = (Direction::beginning_with(&ahead), Direction::default());
        drop(ahead);
        let mut ways = Ways { forth, back, seen: (0, 0), first_byte: None, rests: false };
        self.wait(&mut ways);
        let end = poll_fn(|cx| self.poll(cx, &mut ways, down, up)).await;
        match &end {
            // Who has been told that this was all has it all: a reset could take the last of it away.
            End::Broken(Side::Downstream, _) if !ways.forth.is_done() => up.abort(),
            End::Broken(Side::Upstream, _) if !ways.back.is_done() => down.abort(),
            // Nobody shall take what came for the whole.
            End::Cut => {
                up.abort();
                down.abort();
            }
            End::Broken(..) | End::Done => {}
            End::Idle => {
                down.announce_end();
                up.announce_end();
            }
        }
        let (received, sent) = (ways.forth.moved(), ways.back.moved());
        Relayed { end, received, sent, first_byte: ways.first_byte }
    }

    fn poll<T: Transport>(
        &self,
        cx: &mut Context<'_>,
        ways: &mut Ways,
        down: &mut Secured<T>,
        up: &mut Secured<D::Stream>,
    ) -> Poll<End> {
        let forth = ways.forth.poll(cx, down, up);
        let back = ways.back.poll(cx, up, down);
        self.count(ways);
        match (forth, back) {
            (Poll::Ready(Err(Broken::Source(why))), _) | (_, Poll::Ready(Err(Broken::Sink(why)))) => {
                return Poll::Ready(End::Broken(Side::Downstream, why));
            }
            (Poll::Ready(Err(Broken::Sink(why))), _) | (_, Poll::Ready(Err(Broken::Source(why)))) => {
                return Poll::Ready(End::Broken(Side::Upstream, why));
            }
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => return Poll::Ready(End::Done),
            _ => {}
        }
        if self.worker.is_cut() {
            return Poll::Ready(End::Cut);
        }
        loop {
            ready!(self.deadline.poll(cx));
            if ways.forth.waits_for_turn() || ways.back.waits_for_turn() {
                // Neither side is to blame.
                self.wait(ways);
                continue;
            }
            if ways.rests {
                return Poll::Ready(End::Idle);
            }
            ways.forth.rest();
            ways.back.rest();
            ways.rests = true;
            self.deadline.set(self.idle.saturating_sub(REST));
        }
    }

    /// Counts what was moved since the last time; whatever was gives more time.
    fn count(&self, ways: &mut Ways) {
        let now = (ways.forth.moved(), ways.back.moved());
        if now == ways.seen {
            return;
        }
        self.worker.metrics.passed.moved(now.0 - ways.seen.0, now.1 - ways.seen.1);
        if ways.seen.1 == 0 && now.1 > 0 {
            ways.first_byte = Some(Instant::now());
        }
        ways.seen = now;
        self.wait(ways);
    }

    fn wait(&self, ways: &mut Ways) {
        ways.rests = self.idle <= REST;
        self.deadline.set(REST.min(self.idle));
    }
}
