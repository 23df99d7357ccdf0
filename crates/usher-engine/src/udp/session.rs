//! One client's datagrams, forth and back.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use usher_api::{Client, Error, ErrorKind, Exchange, Failures, Side};
use usher_net::Dialer;
use usher_net::datagrams::{Flow, Heard, Train};

use super::reach::{Far, Kept};
use super::{Key, Port, QUIET};
use crate::cluster::Cluster;
use crate::connection::Door;
use crate::deadline::Deadline;
use crate::snapshot::Datagrams;
use crate::steps::record;
use crate::worker::Permit;

/// Datagrams, and their bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked {
    pub datagrams: u64,
    pub bytes: u64,
}

impl Asked {
    fn add(&mut self, more: Self) {
        self.datagrams += more.datagrams;
        self.bytes += more.bytes;
    }
}

/// Why a session has ended.
#[derive(Debug)]
pub(super) enum End {
    /// All was answered, or nothing more was said.
    Done,
    /// Something was wrong.
    Failed(Error),
    /// The endpoint is to be asked no more: the client's next datagram goes to another.
    Moved,
    /// The time for draining is over.
    Cut,
    /// Another process goes on with it.
    HandedOver,
}

/// What one client sends and is sent.
pub(super) struct Session<D: Dialer> {
    pub(super) port: Rc<Port<D>>,
    key: Key,
    pub(super) door: Door,
    pub(super) cluster: Rc<Cluster<D::Stream>>,
    pub(super) rules: Datagrams,
    deadline: Deadline,
    /// It was told to end soon.
    hurried: Cell<bool>,
    /// There is another endpoint, or the end has come.
    pub(super) changed: Notify,
    pub(super) far: RefCell<Option<Far<D::Stream>>>,
    /// What the endpoint may have to be told again.
    pub(super) kept: RefCell<Kept>,
    /// How often another endpoint was tried, and why.
    pub(super) tried: RefCell<(u16, Failures)>,
    /// From the client.
    forth: Cell<Asked>,
    /// To it.
    back: Cell<Asked>,
    /// The time until the first answer (microseconds).
    first: Cell<Option<u64>>,
    end: RefCell<Option<End>>,
    /// When its first datagram came.
    pub(super) started: Instant,
    /// Its place within the limits, until it is over: whoever comes in its place shall find one.
    permit: Cell<Option<Permit<D>>>,
}

impl<D: Dialer> Session<D> {
    pub(super) fn new(
        port: &Rc<Port<D>>,
        (key, door): (Key, Door),
        (cluster, rules): (Rc<Cluster<D::Stream>>, Datagrams),
        permit: Permit<D>,
    ) -> Rc<Self> {
        Self::aged((port, Duration::ZERO), (key, door), (cluster, rules), permit)
    }

    /// One that has lasted for a while already.
    pub(super) fn aged(
        (port, age): (&Rc<Port<D>>, Duration),
        (key, door): (Key, Door),
        (cluster, rules): (Rc<Cluster<D::Stream>>, Datagrams),
        permit: Permit<D>,
    ) -> Rc<Self> {
        let now = Instant::now();
        Rc::new(Self {
            port: port.clone(),
            key,
            door,
            cluster,
            rules,
            deadline: port.worker.deadlines.register(),
            hurried: Cell::new(false),
            changed: Notify::new(),
            far: RefCell::default(),
            kept: RefCell::default(),
            tried: RefCell::default(),
            forth: Cell::default(),
            back: Cell::default(),
            first: Cell::default(),
            end: RefCell::default(),
            started: now.checked_sub(age).unwrap_or(now),
            permit: Cell::new(Some(permit)),
        })
    }

    pub(super) fn key(&self) -> Key {
        self.key
    }

    /// Finds an endpoint and sends it these.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn begin(self: &Rc<Self>, trains: &[Train<'_>]) -> Result<(), &'static str> {
        self.reach().map_err(|error| error.kind.as_str())?;
        self.start();
        // A new socket has nothing to say of earlier datagrams, so none of these comes back.
        self.forward(trains);
        Ok(())
    }

    /// Serves what comes from now on.
    pub(super) fn start(self: &Rc<Self>) {
        self.port.began();
        self.port.enter(self);
        self.move_deadline();
        tokio::task::spawn_local(self.clone().serve());
    }

    /// Goes on where another process has ended.
    pub(super) fn resume(&self, forth: Asked, back: Asked) {
        self.forth.set(forth);
        self.back.set(back);
        // How long the first answer took was noted there.
        self.first.set((back.datagrams > 0).then_some(0));
    }

    pub(super) fn counts(&self) -> (Asked, Asked) {
        (self.forth.get(), self.back.get())
    }

    /// Passes a client's datagrams on; gives how many of the trains are dealt with. The others are for another session.
    pub(super) fn forward(&self, trains: &[Train<'_>]) -> usize {
        let mut done = 0;
        while let Some(rest) = trains.get(done..).filter(|rest| !rest.is_empty()) {
            if self.end.borrow().is_some() || self.leaves_endpoint() {
                return done;
            }
            let sent = match self.far.borrow().as_ref() {
                Some(far) => far.flow.send(&far.head, rest),
                None => return done,
            };
            let taken = sent.refused.unwrap_or(rest.len()).min(rest.len());
            self.note_sent(rest.get(..taken).unwrap_or_default(), (sent.datagrams, sent.bytes));
            let udp = &self.port.worker.metrics.udp;
            udp.dropped(sent.why_lost(), sent.lost);
            done += taken;
            if sent.refused.is_some() {
                self.refused();
            }
        }
        self.move_deadline();
        if self.rules.requests.is_some_and(|most| self.forth.get().datagrams >= u64::from(most)) {
            self.port.unbind(self);
        }
        done
    }

    fn note_sent(&self, trains: &[Train<'_>], (datagrams, bytes): (u64, u64)) {
        self.port.worker.metrics.udp.received(datagrams, bytes);
        let mut forth = self.forth.get();
        forth.add(Asked { datagrams, bytes });
        self.forth.set(forth);
        if self.first.get().is_none() {
            let is_fresh = self.far.borrow().as_ref().is_some_and(Far::is_fresh);
            match is_fresh {
                true => self.kept.borrow_mut().keep(trains),
                false => drop(self.kept.take()),
            }
        }
    }

    /// Whether the endpoint is to be asked no more, and there is another: the session has ended then.
    fn leaves_endpoint(&self) -> bool {
        let version = self.cluster.spec.standings.version();
        let looks = match self.far.borrow_mut().as_mut() {
            Some(far) if far.version != version => {
                far.version = version;
                far.lease.endpoint.is_out()
            }
            _ => false,
        };
        if !looks || !self.has_other() {
            return false;
        }
        self.over(End::Moved);
        true
    }

    pub(super) fn over(&self, end: End) {
        self.end.borrow_mut().get_or_insert(end);
        drop(self.permit.take());
        self.port.unbind(self);
        self.changed.notify_one();
    }

    /// Ends when nothing is said for a moment.
    pub(super) fn hurry(&self) {
        self.changed.notify_one();
    }

    fn flow(&self) -> Option<Rc<Flow>> {
        self.far.borrow().as_ref().map(|far| far.flow.clone())
    }

    fn patience(&self) -> Duration {
        if self.port.is_ending() { QUIET.min(self.rules.idle) } else { self.rules.idle }
    }

    fn move_deadline(&self) {
        self.deadline.set(self.patience());
        // Who waits for an answer is not at rest.
        if !self.is_owed() {
            self.deadline.waits(self.deadline.pace().idle());
        }
    }

    async fn serve(self: Rc<Self>) {
        while self.end.borrow().is_none() {
            let Some(flow) = self.flow() else { break };
            tokio::select! {
                biased;
                () = self.changed.notified() => self.look_around(),
                readable = flow.readable() => match readable {
                    Ok(()) => self.hear(&flow),
                    Err(_) => self.over(End::Done),
                },
                () = self.expired() => self.silent(),
            }
        }
        self.finish();
    }

    /// Whoever was told that the end is near waits for less, and then for nothing.
    fn look_around(&self) {
        if self.port.worker.is_cut() {
            return self.over(End::Cut);
        }
        if self.port.is_ending() && !self.hurried.replace(true) {
            self.move_deadline();
        }
    }

    async fn expired(&self) {
        poll_fn(|cx| {
            self.look_around();
            self.deadline.poll(cx).map(|_| ())
        })
        .await;
    }

    /// Passes on what the endpoint has said.
    fn hear(&self, flow: &Rc<Flow>) {
        let mut came = Asked::default();
        let heard = flow.receive(|trains, cut| came = self.port.answer(self.key, trains, cut));
        if came.datagrams > 0 {
            self.answered();
            let mut back = self.back.get();
            back.add(came);
            self.back.set(back);
            // A listener that is gone has an end, however long its endpoints talk: its address may be wanted again.
            if !self.port.is_ending() || self.port.worker.is_draining() {
                self.move_deadline();
            }
            if self.is_complete() {
                self.over(End::Done);
            }
        }
        // One that was left for another endpoint has nothing more to say.
        if heard == Heard::Refusal && self.flow().is_some_and(|now| Rc::ptr_eq(&now, flow)) {
            self.refused();
        }
    }

    fn answered(&self) {
        if self.first.get().is_some() {
            return;
        }
        if let Some(far) = self.far.borrow().as_ref() {
            let micros = (far.since.elapsed().as_micros() as u64).max(1);
            self.first.set(Some(micros));
            far.lease.endpoint.connected(true);
            far.lease.endpoint.metrics.first_byte(micros);
            self.cluster.fared(&far.lease, Some(micros));
        }
        self.kept.take();
    }

    pub(super) fn was_answered(&self) -> bool {
        self.first.get().is_some()
    }

    /// How long the first answer took (microseconds), if it is not another process that knows.
    pub(super) fn first_answer(&self) -> Option<u64> {
        self.first.get().filter(|micros| *micros > 0)
    }

    /// Whether all answers have come that there will be.
    fn is_complete(&self) -> bool {
        let Datagrams { responses, requests, .. } = &self.rules;
        let asked = self.forth.get().datagrams;
        let all =
            responses.is_some_and(|each| self.back.get().datagrams >= asked.saturating_mul(each.into()));
        all && requests.is_none_or(|most| asked >= most.into())
    }

    /// Whether answers are to come that were promised.
    fn is_owed(&self) -> bool {
        let asked = self.forth.get().datagrams;
        let due = self.rules.responses.map_or(0, |each| asked.saturating_mul(each.into()));
        self.back.get().datagrams < due
    }

    /// Nothing was said for too long, or the process is so short that whoever is at rest gives way. Where answers were to come, the endpoint has failed.
    fn silent(&self) {
        if self.deadline.was_cut() || !self.is_owed() {
            return self.over(End::Done);
        }
        let error = Error::new(Side::Upstream, ErrorKind::FirstByteTimeout);
        if let Some(far) = self.far.borrow().as_ref() {
            far.lease.endpoint.metrics.failed();
            self.cluster.fared(&far.lease, None);
            self.tried.borrow_mut().1.note(&far.lease.endpoint.resolved.label, &error);
        }
        self.port.worker.metrics.upstream.failed(error.kind);
        self.over(End::Failed(error));
    }

    fn finish(&self) {
        let far = self.far.take();
        let end = self.end.take().unwrap_or(End::Done);
        self.port.unbind(self);
        if !matches!(end, End::HandedOver) {
            self.record(far.as_ref(), &end);
        }
        if let Some(far) = far {
            self.leave(&far, matches!(end, End::Failed(_)));
        }
        self.port.ended();
    }

    fn record(&self, far: Option<&Far<D::Stream>>, end: &End) {
        let worker = &self.port.worker;
        let took = self.started.elapsed();
        let mut exchange = self.exchange();
        let (retries, failures) = self.tried.take();
        exchange.failures = failures;
        let (forth, back) = self.counts();
        let record = &mut exchange.record;
        (record.received, record.sent) = (forth.bytes, back.bytes);
        record.total = took.as_micros() as u64;
        record.first_byte = self.first.get().unwrap_or_default();
        record.retries = retries;
        record.endpoint = far.map(|far| far.lease.index as u32);
        exchange.endpoint = far.map(|far| far.lease.endpoint.resolved.label.clone());
        match end {
            End::Failed(error) => {
                (exchange.record.reason, exchange.record.detail) = (error.kind.as_str(), error.detail);
            }
            End::Moved => exchange.record.reason = "endpoint_out",
            End::Cut => exchange.record.reason = ErrorKind::Draining.as_str(),
            End::Done | End::HandedOver => {}
        }
        worker.metrics.udp.sessions.ended(exchange.record.reason, exchange.record.total);
        record::passed(worker, &self.door, (&exchange, "UDP", &self.cluster.spec.name), took);
        self.give_back(exchange);
    }

    /// What balancers and logs see.
    pub(super) fn exchange(&self) -> Box<Exchange> {
        let mut exchange = self.port.worker.take_exchange();
        exchange.client = Client {
            ip: self.door.peer.map(|peer| peer.ip()),
            peer: self.door.peer,
            local: self.door.local,
            trusted: false,
            listener: self.door.listener.name.clone(),
            tls: None,
        };
        exchange.record.cluster = Some(self.rules.destination.cluster);
        exchange
    }

    pub(super) fn give_back(&self, mut exchange: Box<Exchange>) {
        exchange.client = Client::default();
        self.port.worker.give_exchange(exchange);
    }
}
