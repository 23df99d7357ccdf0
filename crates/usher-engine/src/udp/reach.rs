//! From a session to an endpoint, and to another one if nobody is there.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;
use usher_api::{Error, ErrorKind, Exchange, Side};
use usher_config::config::ProxyVersion;
use usher_net::datagrams::{Flow, Train, is_shortage};
use usher_net::proxy_protocol::{Details, Endpoints, encode_v2};
use usher_net::{Address, Dialer, Transport};

use super::session::{End, Session};
use crate::cluster::{Endpoint, Lease};

/// Endpoints that are tried for one session.
const MAX_TRIES: u16 = 5;
/// What is kept of a client's datagrams until the first answer, to be sent to another endpoint if this one refuses them
/// (bytes). A question of DNS is a tenth of that.
const MAX_KEPT: usize = 4 << 10;
/// For how long it is kept: what was sent before has arrived or is lost, also where nobody ever answers.
const KEPT_FOR: Duration = Duration::from_secs(2);

/// A session's endpoint.
pub(super) struct Far<S> {
    pub(super) flow: Rc<Flow>,
    pub(super) lease: Lease<S>,
    /// What each datagram to it begins with: who the client is, if it wants to know.
    pub(super) head: Vec<u8>,
    /// When it was asked first.
    pub(super) since: Instant,
    /// How endpoints stood when it was last looked at.
    pub(super) version: u64,
}

impl<S> Far<S> {
    /// What it was sent may have been sent in vain.
    pub(super) fn is_fresh(&self) -> bool {
        self.since.elapsed() < KEPT_FOR
    }
}

/// A client's first datagrams, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Kept {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Kept {
    /// Keeps those that there is room for.
    pub(super) fn keep(&mut self, trains: &[Train<'_>]) {
        for one in trains.iter().flat_map(Train::datagrams) {
            // An empty one takes room too.
            if self.bytes.len() + self.ends.len() + one.bytes.len() >= MAX_KEPT {
                return;
            }
            self.bytes.extend_from_slice(one.bytes);
            self.ends.push(self.bytes.len());
        }
    }

    /// Bytes, and one for each datagram.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.bytes.len() + self.ends.len()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn trains(&self) -> Vec<Train<'_>> {
        let begins = [0].into_iter().chain(self.ends.iter().copied());
        let datagram = |(from, to): (usize, &usize)| {
            let bytes = self.bytes.get(from..*to).unwrap_or_default();
            Train { bytes, segment: 0, peer: None, local: None }
        };
        begins.zip(&self.ends).map(datagram).collect()
    }
}

impl<D: Dialer> Session<D> {
    /// Finds an endpoint.
    ///
    /// # Errors
    /// There is none, or none that there is a way to.
    pub(super) fn reach(&self) -> Result<(), Error> {
        let mut exchange = self.exchange();
        let reached = self.reach_any(&mut exchange, &mut Vec::new());
        self.give_back(exchange);
        let far = reached.inspect_err(|error| self.port.worker.metrics.upstream.failed(error.kind))?;
        self.far.replace(Some(far));
        Ok(())
    }

    fn reach_any(
        &self,
        exchange: &mut Exchange,
        tried: &mut Vec<Rc<Endpoint<D::Stream>>>,
    ) -> Result<Far<D::Stream>, Error> {
        let worker = &self.port.worker;
        loop {
            let lease = self.cluster.pick(exchange, tried)?;
            let version = self.cluster.spec.standings.version();
            let why = match connect(&worker.dialer, &lease) {
                Ok(flow) => {
                    lease.endpoint.metrics.started(false);
                    worker.metrics.upstream.started(false);
                    let head = self.introduction(&lease);
                    return Ok(Far { flow: Rc::new(flow), lease, head, since: Instant::now(), version });
                }
                Err(why) => why,
            };
            let is_ours = is_shortage(&why);
            let error = Error::new(Side::Upstream, ErrorKind::ConnectFailed).caused_by(why);
            if is_ours {
                // No endpoint's fault, and the next one would fare no better.
                self.cluster.forget(&lease);
                return Err(Error { side: Side::Proxy, kind: ErrorKind::Overloaded, ..error });
            }
            self.failed(&lease, &error);
            self.cluster.release(&lease, None);
            lease.leave();
            tried.push(lease.endpoint.clone());
            if tried.len() >= usize::from(MAX_TRIES) {
                return Err(error);
            }
        }
    }

    /// The PROXY header in front of each datagram, as PowerDNS, Unbound and BIND read it (version 2 of the protocol, with the
    /// transport DGRAM): a receiver of datagrams knows of no connection that one header could be for.
    pub(super) fn introduction(&self, lease: &Lease<D::Stream>) -> Vec<u8> {
        let mut head = Vec::new();
        if let (Some(ProxyVersion::V2), Some(source), Some(destination)) =
            (lease.endpoint.resolved.speech.proxy, self.door.peer, self.door.local)
        {
            // Addresses alone always fit.
            let _ = encode_v2(&Endpoints::Udp { source, destination }, &Details::default(), false, &mut head);
        }
        head
    }

    /// Notes that an endpoint is not there.
    fn failed(&self, lease: &Lease<D::Stream>, error: &Error) {
        lease.endpoint.connected(false);
        lease.endpoint.metrics.failed();
        self.cluster.fared(lease, None);
        self.port.worker.metrics.upstream.failed(error.kind);
        let mut tried = self.tried.borrow_mut();
        tried.0 = tried.0.saturating_add(1);
        tried.1.note(&lease.endpoint.resolved.label, error);
    }

    /// The endpoint refuses datagrams: nobody listens there. If it has not answered yet, another one is sent what it was
    /// sent; else the session has ended, and the client's next datagram begins another one.
    pub(super) fn refused(&self) {
        let Some(far) = self.far.take() else { return };
        let is_last = self.was_answered() || self.port.worker.is_draining();
        let kind = if self.was_answered() { ErrorKind::Disconnected } else { ErrorKind::ConnectFailed };
        let why = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let error = Error::new(Side::Upstream, kind).caused_by(why());
        self.failed(&far.lease, &error);
        far.lease.leave();
        let mut tried = vec![far.lease.endpoint.clone()];
        let mut exchange = self.exchange();
        let gives_up = is_last || self.tried.borrow().0 >= MAX_TRIES;
        let other = if gives_up { None } else { self.reach_any(&mut exchange, &mut tried).ok() };
        self.give_back(exchange);
        let Some(other) = other else {
            self.far.replace(Some(far));
            return self.over(End::Failed(error.detail("by the endpoint")));
        };
        self.leave(&far, true);
        if far.is_fresh() {
            // What it refuses in its turn shows later.
            other.flow.send(&other.head, &self.kept.borrow().trains());
        } else {
            drop(self.kept.take());
        }
        self.far.replace(Some(other));
        self.changed.notify_one();
    }

    /// Whether another endpoint than the present one could be asked.
    pub(super) fn has_other(&self) -> bool {
        let present: Vec<_> = self.far.borrow().iter().map(|far| far.lease.endpoint.clone()).collect();
        let exchange = self.exchange();
        let other = self.cluster.pick(&exchange, &present);
        self.give_back(exchange);
        other.is_ok_and(|lease| {
            self.cluster.forget(&lease);
            !lease.endpoint.is_out()
        })
    }

    /// The endpoint has this session no more.
    pub(super) fn leave(&self, far: &Far<D::Stream>, failed: bool) {
        far.lease.endpoint.metrics.finished();
        self.port.worker.metrics.upstream.finished();
        match self.first_answer().filter(|_| !failed) {
            Some(micros) => self.cluster.release(&far.lease, Some(micros)),
            None if failed => self.cluster.release(&far.lease, None),
            None => self.cluster.forget(&far.lease),
        }
    }
}

fn connect<D: Dialer>(dialer: &D, lease: &Lease<D::Stream>) -> io::Result<Flow>
where
    D::Stream: Transport,
{
    match &lease.endpoint.resolved.address {
        Address::Ip(address) => dialer.dial_udp(*address),
        // A config with such a one was refused.
        Address::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}
