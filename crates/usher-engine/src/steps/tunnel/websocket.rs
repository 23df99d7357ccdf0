//! A WebSocket: two directions that are followed message by message, so that it can be closed where none is under way.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use usher_net::Dialer;
use usher_wire::websocket::CloseFrame;
use usher_wire::{Sink, Source};

use super::End;
use super::plan::{Plan, Receiver};
use super::way::Way;
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
    /// Both were, for want of an answer of the first.
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
                let ended = (farewell(cx, down), farewell(cx, up));
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
            Phase::Second(plan, None) if self.forth.is_told() && self.back.is_told() => {
                self.phase = Phase::Second(plan, Some(plan.echo(now)));
                true
            }
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
        // Where the two are closing already, nobody tells them how to.
        if self.forth.has_ended() || self.back.has_ended() {
            // But nobody waits for them for ever.
            if self.why == Why::Idle {
                self.phase = Phase::Farewell(plan.echo(now));
            }
            return self.why == Why::Idle;
        }
        let Some(first) = plan.first(now, self.forth.talk(), self.back.talk()) else { return false };
        self.tell(first, plan.code);
        self.phase = Phase::First(plan, first, None);
        true
    }

    fn tell(&mut self, receiver: Receiver, code: u16) {
        match receiver {
            Receiver::Client => self.back.close(CloseFrame::to_client(code)),
            Receiver::Endpoint => {
                let mask = (self.visit.worker.random() as u32).to_ne_bytes();
                self.forth.close(CloseFrame::to_endpoint(code, mask));
            }
        }
    }

    /// Tells the other side too, where the first one does not answer.
    fn tell_second(&mut self, (plan, first, until): (Plan, Receiver, Option<u64>), now: u64) -> bool {
        let (told, other, second) = match first {
            Receiver::Client => (&self.back, &self.forth, Receiver::Endpoint),
            Receiver::Endpoint => (&self.forth, &self.back, Receiver::Client),
        };
        let Some(until) = until else {
            let told = told.is_told();
            if told {
                self.phase = Phase::First(plan, first, Some(plan.echo(now)));
            }
            return told;
        };
        if now < until {
            return false;
        }
        // It has answered, but the other one has not.
        if other.has_ended() {
            self.phase = Phase::Second(plan, Some(plan.echo(now)));
            return true;
        }
        self.tell(second, plan.code);
        self.phase = Phase::Second(plan, None);
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
            Phase::First(plan, _, until) => until.unwrap_or(plan.end),
            Phase::Second(plan, until) => until.unwrap_or(plan.end),
            Phase::Farewell(until) => until,
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

/// Ends a direction for good.
fn farewell(cx: &mut Context<'_>, sink: &mut impl Sink) -> Poll<()> {
    if ready!(sink.poll_finish(cx, None)).is_ok() {
        let _ = ready!(sink.poll_end(cx));
    }
    Poll::Ready(())
}
