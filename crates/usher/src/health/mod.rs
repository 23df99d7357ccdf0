//! Probes of endpoints: each endpoint of a cluster with `health` is asked again and again, once for the whole process.
//!
//! One thread asks, with a runtime of its own, so that no worker ever waits for a probe. The control thread says who is to
//! be asked: after the start, after a reload, and when a name has other addresses. What comes out goes to the standings
//! that all workers look at; a reload keeps them, and with them who is out.

mod board;
mod follow;
mod streak;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::thread;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use usher_api::standing::{Standing, Standings};
use usher_api::{ProbeReport, ProbeTarget};
use usher_engine::snapshot::{ClusterSpec, HealthSpec, ResolvedEndpoint};

use board::Board;

use crate::log;

/// Threads that wait for programs; further ones wait for one of these.
const MAX_WAITING: usize = 64;

/// An endpoint by cluster and address.
type Key = (Arc<str>, Arc<str>);

/// All that are to be asked from now on.
type Plan = BTreeMap<Key, Wanted>;

/// An endpoint that is to be asked.
#[derive(Clone)]
struct Wanted {
    health: HealthSpec,
    target: ProbeTarget,
    standings: Arc<Standings>,
    standing: Arc<Standing>,
}

impl Wanted {
    /// Whether the same is asked, in the same way, and told to the same.
    fn is_same(&self, other: &Self) -> bool {
        let tls = |one: &Self| one.target.tls.as_ref().map(|(tls, name)| (Arc::as_ptr(tls), name.clone()));
        let (this, that) = (&self.target, &other.target);
        self.health.written == other.health.written
            && (&this.label, &this.address, &this.host, &this.introduction)
                == (&that.label, &that.address, &that.host, &that.introduction)
            && this.protocol == that.protocol
            && tls(self) == tls(other)
            && Arc::ptr_eq(&self.standing, &other.standing)
    }
}

/// The probes of the snapshot that serves.
#[derive(Default)]
pub(crate) struct Health {
    thread: Option<UnboundedSender<Plan>>,
    board: Arc<Board>,
}

impl Health {
    /// Asks exactly the endpoints of these clusters from now on. Those that were asked before in the same way go on as they
    /// were; those that are asked no more are well again, as far as probes are concerned. The thread starts with the first
    /// cluster that has probes.
    pub(crate) fn follow<'a>(
        &mut self,
        clusters: impl Iterator<Item = (&'a ClusterSpec, Vec<ResolvedEndpoint>)>,
    ) {
        let plan = plan(clusters);
        if self.thread.is_none() && !plan.is_empty() {
            match start(self.board.clone()) {
                Ok(thread) => self.thread = Some(thread),
                Err(error) => log::error(format_args!("endpoints cannot be probed: {error}")),
            }
        }
        if let Some(thread) = &self.thread {
            let _ = thread.send(plan);
        }
    }

    /// What probes say, for metrics.
    pub(crate) fn report(&self) -> Arc<dyn ProbeReport> {
        self.board.clone()
    }
}

/// Each address once: an endpoint that is listed twice is one endpoint.
fn plan<'a>(clusters: impl Iterator<Item = (&'a ClusterSpec, Vec<ResolvedEndpoint>)>) -> Plan {
    let mut plan = Plan::new();
    for (cluster, endpoints) in clusters {
        let Some(health) = &cluster.health else { continue };
        for endpoint in endpoints {
            let Some(target) = cluster.probed(&endpoint) else { continue };
            let address: Arc<str> = endpoint.address.to_string().into();
            let standing = cluster.standings.of(&address);
            let (health, standings) = (health.clone(), cluster.standings.clone());
            let wanted = Wanted { health, target, standings, standing };
            plan.entry((cluster.name.clone(), address)).or_insert(wanted);
        }
    }
    plan
}

fn start(board: Arc<Board>) -> io::Result<UnboundedSender<Plan>> {
    let (orders, wanted) = unbounded_channel();
    let body = move || {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(MAX_WAITING)
            .build_local(LocalOptions::default());
        match runtime {
            Ok(runtime) => runtime.block_on(follow::run(wanted, board)),
            Err(error) => log::error(format_args!("endpoints cannot be probed: {error}")),
        }
    };
    thread::Builder::new().name("health".to_owned()).spawn(body)?;
    Ok(orders)
}
