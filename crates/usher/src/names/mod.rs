//! Endpoints that are written by name: resolved before a snapshot serves, and again when the answers grow old.
//!
//! One thread asks; the control thread waits for first answers, for a bounded time, and hears of changes. A name that
//! stops resolving keeps the addresses that it had; one that never did leaves its clusters without endpoints, and
//! only them.

mod follow;
mod question;
mod service;
mod table;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use usher_config::EndpointAddress;
use usher_engine::snapshot::{EndpointSpec, ResolvedEndpoint};
use usher_net::Address;

pub(crate) use question::Question;
pub(crate) use table::Table;

/// How long a start or a reload waits for names that were never asked for.
pub(crate) const FIRST_ANSWER: Duration = Duration::from_secs(2);

/// Between which bounds an answer's own time to live counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    min: Duration,
    max: Duration,
}

/// The names to follow from now on; `first` is dropped when each has had an answer, good or bad.
struct Wanted {
    questions: BTreeMap<Question, Bounds>,
    first: mpsc::Sender<()>,
}

/// Is told of every question whose answer changes.
type Changed = Box<dyn Fn(Question) + Send>;

/// Follows the names of what serves.
pub(crate) struct Names {
    table: Table,
    /// Until the thread takes it.
    changed: Option<Changed>,
    thread: Option<UnboundedSender<Wanted>>,
}

impl Names {
    /// Follows nothing yet. `changed` is told of answers that change later.
    pub(crate) fn new(changed: impl Fn(Question) + Send + 'static) -> Self {
        Self { table: Table::default(), changed: Some(Box::new(changed)), thread: None }
    }

    /// Follows exactly the names of these endpoints, each with the bounds of its cluster, and waits, for at most
    /// [`FIRST_ANSWER`], for those that are new.
    pub(crate) fn follow<'a>(
        &mut self,
        endpoints: impl Iterator<Item = (&'a EndpointAddress, &'a (Duration, Duration))>,
    ) -> std::io::Result<()> {
        let questions = questions(endpoints);
        if let Some(changed) = self.changed.take_if(|_| !questions.is_empty()) {
            self.thread = Some(start(self.table.clone(), changed)?);
        }
        let Some(orders) = &self.thread else {
            // What the process before knew.
            self.table.keep(|_| false);
            return Ok(());
        };
        let (first, answered) = mpsc::channel();
        let _ = orders.send(Wanted { questions, first });
        // Nothing is ever sent: the wait ends when the last follower has dropped its end.
        let _ = answered.recv_timeout(FIRST_ANSWER);
        Ok(())
    }

    /// An endpoint by address, as far as its name is known.
    pub(crate) fn endpoints(&self, endpoint: &EndpointSpec) -> Vec<ResolvedEndpoint> {
        let Some(question) = Question::of(&endpoint.address) else {
            return endpoint.fixed().into_iter().collect();
        };
        let found = self.table.found(&question);
        match &endpoint.address {
            EndpointAddress::Name { port, .. } => {
                let at = |one: &question::Found| endpoint.at(Address::Ip((one.address, *port).into()));
                found.iter().map(at).collect()
            }
            _ => service::endpoints(endpoint, &found),
        }
    }

    /// What is known of each name.
    pub(crate) fn table(&self) -> Table {
        self.table.clone()
    }
}

/// All questions; one that several clusters have is asked as often as the most curious of them wants.
fn questions<'a>(
    endpoints: impl Iterator<Item = (&'a EndpointAddress, &'a (Duration, Duration))>,
) -> BTreeMap<Question, Bounds> {
    let mut questions: BTreeMap<Question, Bounds> = BTreeMap::new();
    for (address, &(min, max)) in endpoints {
        let Some(question) = Question::of(address) else { continue };
        let bounds = questions.entry(question).or_insert(Bounds { min, max });
        *bounds = Bounds { min: bounds.min.min(min), max: bounds.max.min(max) };
    }
    questions
}

fn start(table: Table, changed: Changed) -> std::io::Result<UnboundedSender<Wanted>> {
    let (orders, wanted) = unbounded_channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("names".to_owned()).spawn(move || {
        runtime.block_on(follow::run(wanted, table, changed));
    })?;
    Ok(orders)
}
