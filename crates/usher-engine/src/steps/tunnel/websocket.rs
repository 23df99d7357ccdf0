//! A WebSocket: two directions that are followed message by message, so that it can be closed where none is under way.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use usher_net::Dialer;
use usher_wire::websocket::CloseFrame;
use usher_wire::{Sink, Source};

use super::End;
use super::plan::{Plan, Receiver};
use super::way::{Way, end};
use crate::cluster::{Cluster, Lease};
use crate::path::Visit;
use crate::snapshot::WebSocketPolicy;
use crate::steps::forward::Forwarded;

/// The endpoint may be one already that only those who are bound to it still use.
const NOT_LOOKED_AT: u64 = u64::MAX;

/// Moves messages until the end. Returns bytes to the client, and how it ended.
pub(super) async fn run<D: Dialer>(
    visit: &Visit<'_, D>,
    down: &mut (impl Source + Sink),
    forwarded: &mut Forwarded<D::Stream>,
    (policy, idle): (WebSocketPolicy, Duration),
) -> (u64, End) {
    let Forwarded { connection, lease, cluster, .. } = forwarded;
    let _watching = policy.stay.map(|_| visit.worker.watch_changes());
    let now = visit.worker.deadlines.coarse_millis();
    let mut socket = Socket {
        visit,
        policy,
        idle: idle.as_millis() as u64,
        seat: (lease, cluster),
        forth: Way::new(),
        back: Way::new(),
        moved: (0, now),
        phase: Phase::Open,
        why: Why::Drain,
        changes: NOT_LOOKED_AT,
    };
    let end = poll_fn(|cx| socket.poll(cx, down, connection)).await;
    (socket.back.moved(), end)
}

/// A WebSocket on its way.
struct Socket<'a, D: Dialer> {
    visit: &'a Visit<'a, D>,
    policy: WebSocketPolicy,
    /// How long it may be silent (milliseconds).
    idle: u64,
    /// Where it goes.
    seat: (&'a Lease<D::Stream>, &'a Cluster<D::Stream>),
    /// From the client to the endpoint.
    forth: Way,
    back: Way,
    /// Bytes moved, and when the last of them were (milliseconds).
    moved: (u64, u64),
    phase: Phase,
    /// Why it is being closed, if it is.
    why: Why,
    /// The changes of endpoints that were looked at.
    changes: u64,
}

enum Phase {
    /// Nobody wants to close it.
    Open,
    /// It is to be closed.
    Due(Plan),
    /// One side was told, or will be when the message to it is complete; until when its answer is waited for, once it
    /// was.
    First(Plan, Receiver, Option<u64>),
    /// Both were, for want of an answer of the first, or will be; until when their answers are waited for, once nobody is
    /// left to be told.
    Second(Plan, Option<u64>),
    /// Both sides have said their last; their connections are ended, by this moment.
    Farewell(u64),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    Drain,
    /// Its endpoint is no longer to be used.
    Leaving,
    Idle,
}

impl<D: Dialer> Socket<'_, D> {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        down: &mut (impl Source + Sink),
        up: &mut (impl Source + Sink),
    ) -> Poll<End> {
        let now = self.visit.worker.deadlines.coarse_millis();
        loop {
            let forth = self.forth.poll(cx, (down, up), now);
            let back = self.back.poll(cx, (up, down), now);
            self.note_progress(now);
            let queued = down.queued() + up.queued() > 0;
            if matches!(forth, Poll::Ready(Err(()))) || matches!(back, Poll::Ready(Err(()))) {
                return Poll::Ready(self.outcome(queued));
            }
            let over = forth.is_ready() && back.is_ready();
            if over && matches!(self.phase, Phase::Open | Phase::Due(_)) {
                return Poll::Ready(End::Done);
            }
            if let Phase::Farewell(_) = self.phase {
                let ended = (end(cx, down), end(cx, up));
                if ended.0.is_ready() && ended.1.is_ready() {
                    return Poll::Ready(self.outcome(false));
                }
            }
            if self.is_late(now) {
                return Poll::Ready(self.outcome(queued));
            }
            if !self.go_on(now, queued) {
                break;
            }
        }
        let next = self.next_look(now);
        self.visit.deadline.set(Duration::from_millis(next.saturating_sub(now)));
        // It was just set, and is to come.
        let _ = self.visit.deadline.poll(cx);
        Poll::Pending
    }

    fn note_progress(&mut self, now: u64) {
        let moved = self.forth.moved() + self.back.moved();
        if moved == self.moved.0 {
            return;
        }
        self.moved.0 = moved;
        if self.policy.pings {
            self.moved.1 = now;
        } else if let Some(spoke) = self.forth.talk().spoke.max(self.back.talk().spoke) {
            self.moved.1 = spoke;
        }
    }

    /// Takes the next step; whether there was one.
    fn go_on(&mut self, now: u64, queued: bool) -> bool {
        match self.phase {
            Phase::Open => self.begin(now),
            Phase::Due(plan) => self.review(now) || self.tell_first(plan, now),
            Phase::First(plan, first, until) => {
                self.wait(now, queued) || self.tell_second((plan, first, until), now)
            }
            Phase::Second(plan, None) => self.settle(plan, now) || self.wait(now, queued),
            Phase::Second(..) => self.wait(now, queued),
            Phase::Farewell(_) => false,
        }
    }

    /// Looks for a reason to close.
    fn begin(&mut self, now: u64) -> bool {
        let worker = self.visit.worker;
        let (plan, why) = if let Some(drain) = worker.drain().filter(|_| self.policy.close) {
            (Plan::for_drain(drain, worker.random()), Why::Drain)
        } else if now >= self.silent_from() {
            (self.plan_for_idle(now), Why::Idle)
        } else if let Some(stay) = self.policy.stay
            && self.changes != worker.changes()
        {
            self.changes = worker.changes();
            if !self.is_leaving() {
                return false;
            }
            (Plan::for_leaving(now, stay, worker.random()), Why::Leaving)
        } else {
            return false;
        };
        (self.phase, self.why) = (Phase::Due(plan), why);
        true
    }

    /// When it will have been silent for too long.
    fn silent_from(&self) -> u64 {
        self.moved.1.saturating_add(self.idle)
    }

    fn plan_for_idle(&self, now: u64) -> Plan {
        Plan::at_once(now, self.forth.talk().between && self.back.talk().between)
    }

    /// Looks whether the reason still holds, before anybody was told.
    fn review(&mut self, now: u64) -> bool {
        let worker = self.visit.worker;
        if self.why == Why::Leaving && self.changes != worker.changes() {
            self.changes = worker.changes();
            if !self.is_leaving() {
                self.phase = Phase::Open;
                return true;
            }
        }
        if self.why == Why::Leaving && self.policy.close && worker.is_draining() {
            self.phase = Phase::Open;
            return self.begin(now);
        }
        // However long it could still wait for a good moment. A drain is short, and counts those that it closes.
        if self.why == Why::Leaving && now >= self.silent_from() {
            (self.phase, self.why) = (Phase::Due(self.plan_for_idle(now)), Why::Idle);
            return true;
        }
        false
    }

    /// Whether its endpoint is no longer to be used.
    fn is_leaving(&self) -> bool {
        let (lease, cluster) = self.seat;
        let local = self.visit.worker.local();
        let now = local.clusters.iter().find(|now| now.spec.name == cluster.spec.name);
        lease.endpoint.is_withdrawn() || !now.is_some_and(|now| now.has(&lease.endpoint))
    }

    fn tell_first(&mut self, plan: Plan, now: u64) -> bool {
        if self.forth.has_ended() || self.back.has_ended() {
            return self.wait_for_answer(plan, now);
        }
        let Some(first) = plan.first(now, self.forth.talk(), self.back.talk()) else { return false };
        self.tell(first, plan.code, now);
        // The answer is what tells the other side.
        let (way, close) = self.way_to(first.other(), plan.code);
        way.answer_for_sender(close);
        self.phase = Phase::First(plan, first, None);
        true
    }

    /// Where the two are closing already, nobody tells them how to; but nobody waits for ever for the one that does not answer.
    fn wait_for_answer(&mut self, plan: Plan, now: u64) -> bool {
        if !plan.is_late(now) {
            return false;
        }
        let until = plan.echo(now);
        if self.why == Why::Idle {
            self.phase = Phase::Farewell(until);
            return true;
        }
        // As if it had been told by Usher what the other one has said.
        let first = if self.forth.has_ended() { Receiver::Endpoint } else { Receiver::Client };
        let (way, close) = self.way_to(first.other(), plan.code);
        way.answer_for_sender(close);
        self.phase = Phase::First(plan, first, Some(until));
        true
    }

    fn tell(&mut self, receiver: Receiver, code: u16, now: u64) {
        let (way, close) = self.way_to(receiver, code);
        way.close(close, now);
    }

    fn way_to(&mut self, receiver: Receiver, code: u16) -> (&mut Way, CloseFrame) {
        match receiver {
            Receiver::Client => (&mut self.back, CloseFrame::to_client(code)),
            Receiver::Endpoint => {
                let mask = (self.visit.worker.random() as u32).to_ne_bytes();
                (&mut self.forth, CloseFrame::to_endpoint(code, mask))
            }
        }
    }

    /// Tells the other side too, where the first one does not answer, or cannot be told.
    fn tell_second(&mut self, (plan, first, until): (Plan, Receiver, Option<u64>), now: u64) -> bool {
        let (told, other) = match first {
            Receiver::Client => (&mut self.back, &self.forth),
            Receiver::Endpoint => (&mut self.forth, &self.back),
        };
        match until {
            None if told.is_told() => {
                self.phase = Phase::First(plan, first, Some(plan.echo(now)));
                return true;
            }
            None if !told.is_stalled(now) => return false,
            None if told.interrupt(now) => return true,
            Some(until) if now < until => return false,
            _ => {}
        }
        // It has answered, but the other one has not.
        if other.has_ended() {
            self.phase = Phase::Second(plan, Some(plan.echo(now)));
            return true;
        }
        self.tell(first.other(), plan.code, now);
        self.phase = Phase::Second(plan, None);
        true
    }

    /// Waits for answers when nobody is left who could still be told.
    fn settle(&mut self, plan: Plan, now: u64) -> bool {
        let mut ways = [&mut self.forth, &mut self.back];
        if ways.iter_mut().any(|way| way.is_stalled(now) && way.interrupt(now)) {
            return true;
        }
        let knows = |way: &Way| way.is_told() || way.has_ended();
        if !ways.iter().all(|way| knows(way) || way.is_stalled(now)) {
            return false;
        }
        let answers = ways.iter().any(|way| knows(way));
        self.phase = Phase::Second(plan, Some(if answers { plan.echo(now) } else { now }));
        true
    }

    /// Goes on when both sides have said their last, and all of it was sent.
    fn wait(&mut self, now: u64, queued: bool) -> bool {
        let (Phase::First(plan, ..) | Phase::Second(plan, _)) = self.phase else { return false };
        let done = self.forth.has_ended() && self.back.has_ended() && !queued;
        if done {
            self.phase = Phase::Farewell(plan.echo(now));
        }
        done
    }

    /// Whether there is no more time.
    fn is_late(&self, now: u64) -> bool {
        let end = match self.phase {
            Phase::Open => u64::MAX,
            Phase::Due(plan) | Phase::First(plan, ..) | Phase::Second(plan, None) => plan.end,
            Phase::Second(_, Some(until)) | Phase::Farewell(until) => until,
        };
        now >= end || self.visit.worker.is_cut()
    }

    /// When something is to be done although nothing comes.
    fn next_look(&self, now: u64) -> u64 {
        match self.phase {
            Phase::Open => self.silent_from(),
            Phase::Due(plan) => {
                let silent = if self.why == Why::Leaving { self.silent_from() } else { u64::MAX };
                plan.next_look(now, self.forth.talk(), self.back.talk()).min(plan.end).min(silent)
            }
            Phase::First(plan, first, None) => {
                let told = if first == Receiver::Client { &self.back } else { &self.forth };
                told.stalls_at().map_or(plan.end, |at| at.min(plan.end))
            }
            Phase::Second(plan, None) => {
                let stalls = [&self.forth, &self.back].into_iter().filter_map(Way::stalls_at);
                // Who has stalled already is not waited for.
                stalls.filter(|at| *at > now).fold(plan.end, u64::min)
            }
            Phase::First(_, _, Some(until)) | Phase::Second(_, Some(until)) | Phase::Farewell(until) => until,
        }
    }

    /// What became of it, now that it ends; `queued` are bytes that were not sent.
    fn outcome(&self, queued: bool) -> End {
        if self.why == Why::Idle && !matches!(self.phase, Phase::Open) {
            return End::Idle;
        }
        let knows = |way: &Way| way.has_ended() || way.is_told();
        let whole = self.forth.is_whole() && self.back.is_whole() && !queued;
        match self.phase {
            // Its sides have ended it, if there is still time.
            Phase::Open | Phase::Due(_) if !self.is_late(self.visit.worker.deadlines.coarse_millis()) => {
                End::Done
            }
            _ if !whole || !knows(&self.forth) || !knows(&self.back) => End::Cut,
            _ if self.forth.is_late() || self.back.is_late() => End::Late,
            _ => End::Drained,
        }
    }
}
