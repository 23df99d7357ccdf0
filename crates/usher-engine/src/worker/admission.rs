//! Who is let in: limits on connections, in all, per listener and per client.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU32, Ordering};

use usher_net::Dialer;

use super::Worker;
use crate::snapshot::{Counts, ListenerSpec};

impl<D: Dialer> Worker<D> {
    /// Claims a place for a connection on a listener.
    pub(crate) fn admit(
        self: &Rc<Self>,
        client: Option<IpAddr>,
        listener: &ListenerSpec,
    ) -> Result<Permit<D>, Refused> {
        let counts = listener.counts.clone();
        let total = Place::take(&self.total, self.local.borrow().shared.max_connections)?;
        let on_listener = Place::take(&counts.listener, listener.max_connections)?;
        // Behind a load balancer that is trusted, all clients have its address.
        let relayed = |ip: IpAddr| listener.proxy_protocol.as_ref().is_some_and(|rule| rule.trusts(Some(ip)));
        let client = client.map(|ip| ip.to_canonical());
        let counted = client.filter(|ip| listener.per_client > 0 && !relayed(*ip));
        if let Some(ip) = counted {
            count_in(&counts, ip, listener.per_client)?;
        }
        total.keep();
        on_listener.keep();
        self.connections.set(self.connections.get() + 1);
        self.metrics.connections.opened();
        Ok(Permit { worker: self.clone(), counts, counted })
    }
}

/// Why a connection was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There are as many connections as the config allows.
    Total,
    /// There are as many from this client.
    Client,
}

/// A place that was counted, and is given back unless it is kept.
struct Place<'a>(&'a AtomicU32);

impl<'a> Place<'a> {
    /// Counts first and looks then, so that two workers cannot take the last place together. `limit` 0 is none.
    fn take(count: &'a AtomicU32, limit: u32) -> Result<Self, Refused> {
        let before = count.fetch_add(1, Ordering::Relaxed);
        let place = Self(count);
        if limit > 0 && before >= limit { Err(Refused::Total) } else { Ok(place) }
    }

    fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts a connection of a client's.
fn count_in(counts: &Counts, ip: IpAddr, most: u32) -> Result<(), Refused> {
    let mut table = counts.clients.lock().unwrap_or_else(PoisonError::into_inner);
    let count = table.entry(ip).or_default();
    if *count >= most {
        return Err(Refused::Client);
    }
    *count += 1;
    Ok(())
}

impl<D: Dialer> Permit<D> {
    /// Counts the client that a PROXY header names, if nobody was counted yet.
    pub(crate) fn name_client(&mut self, ip: IpAddr, listener: &ListenerSpec) -> Result<(), Refused> {
        if listener.per_client == 0 || self.counted.is_some() {
            return Ok(());
        }
        let ip = ip.to_canonical();
        count_in(&self.counts, ip, listener.per_client)?;
        self.counted = Some(ip);
        Ok(())
    }
}

/// A connection's place; given back when dropped.
pub(crate) struct Permit<D: Dialer> {
    worker: Rc<Worker<D>>,
    counts: Counts,
    counted: Option<IpAddr>,
}

impl<D: Dialer> Drop for Permit<D> {
    fn drop(&mut self) {
        let worker = &self.worker;
        worker.total.fetch_sub(1, Ordering::Relaxed);
        self.counts.listener.fetch_sub(1, Ordering::Relaxed);
        worker.connections.set(worker.connections.get() - 1);
        worker.metrics.connections.closed();
        worker.gave_back();
        if let Some(ip) = self.counted {
            let mut table = self.counts.clients.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = table.get_mut(&ip) {
                *count -= 1;
                if *count == 0 {
                    table.remove(&ip);
                }
            }
        }
    }
}
