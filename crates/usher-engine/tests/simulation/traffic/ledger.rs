//! What every request was meant to be, and what became of it; and what must not happen.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::message::Head;
use crate::rng::body_of;

/// What a client means by a request.
#[derive(Clone, Debug)]
pub(crate) struct Meant {
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) len: usize,
}

impl Meant {
    /// Methods that may reach an endpoint more than once (RFC 9110 section 9.2.2).
    fn is_idempotent(&self) -> bool {
        !matches!(self.method, "POST" | "PATCH")
    }
}

/// A response that an endpoint began for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Produced {
    pub(crate) status: u16,
    pub(crate) len: usize,
}

struct Entry {
    meant: Meant,
    arrivals: usize,
    produced: Vec<Produced>,
}

/// The books of one run.
#[derive(Default)]
pub(crate) struct Ledger {
    entries: RefCell<HashMap<u64, Entry>>,
    violations: RefCell<Vec<String>>,
    tally: RefCell<HashMap<&'static str, usize>>,
}

pub(crate) type Books = Rc<Ledger>;

impl Ledger {
    pub(crate) fn violated(&self, what: String) {
        self.violations.borrow_mut().push(what);
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        self.violations.borrow().clone()
    }

    /// Counts what happened, so that a run can show that it met something.
    pub(crate) fn count(&self, what: &'static str) {
        *self.tally.borrow_mut().entry(what).or_default() += 1;
    }

    pub(crate) fn tally(&self) -> HashMap<&'static str, usize> {
        self.tally.borrow().clone()
    }

    /// A client is about to send this.
    pub(crate) fn meant(&self, id: u64, meant: Meant) {
        self.entries.borrow_mut().insert(id, Entry { meant, arrivals: 0, produced: Vec::new() });
    }

    /// A head reached an endpoint; gives the request's number, if it is one that somebody meant.
    pub(crate) fn arrived(&self, head: &Head) -> Option<u64> {
        let mut entries = self.entries.borrow_mut();
        let id = head.number("x-id");
        let Some((id, entry)) = id.and_then(|id| Some((id, entries.get_mut(&id)?))) else {
            self.violated(format!("nobody sent this to an endpoint: {head:?}"));
            return None;
        };
        entry.arrivals += 1;
        if entry.arrivals > 1 && !entry.meant.is_idempotent() {
            self.violated(format!(
                "request {id} reached endpoints {} times: {:?}",
                entry.arrivals, entry.meant
            ));
        }
        let expected = format!("{} {} HTTP/1.1", entry.meant.method, entry.meant.target);
        let one_each =
            ["host", "x-id", "x-forwarded-for", "x-request-id"].iter().all(|name| head.count(name) == 1);
        let no_hop =
            ["keep-alive", "proxy-connection", "x-hop", "upgrade"].iter().all(|name| head.count(name) == 0);
        if head.start != expected || !one_each || !no_hop || head.get("host") != Some("sim.example") {
            self.violated(format!("request {id} arrived as {head:?}, meant was {:?}", entry.meant));
        }
        Some(id)
    }

    /// A whole body reached an endpoint.
    pub(crate) fn body_arrived(&self, id: u64, body: &[u8]) {
        let len = self.entries.borrow()[&id].meant.len;
        if body != body_of(id, len) {
            self.violated(format!("request {id} arrived with another body: {} bytes for {len}", body.len()));
        }
    }

    /// An endpoint begins a response.
    pub(crate) fn produces(&self, id: u64, produced: Produced) {
        self.entries.borrow_mut().get_mut(&id).expect("it arrived").produced.push(produced);
    }

    /// A client got a whole response of an endpoint.
    pub(crate) fn accepted(&self, id: u64, produced: Produced, body: &[u8]) {
        let entries = self.entries.borrow();
        let entry = &entries[&id];
        if !entry.produced.contains(&produced) {
            self.violated(format!(
                "response to {id} that no endpoint gave: {produced:?} of {:?}",
                entry.produced
            ));
        }
        let has_body = entry.meant.method != "HEAD" && !matches!(produced.status, 204 | 304);
        let len = if has_body { produced.len } else { 0 };
        if body != body_of(!id, len) {
            self.violated(format!(
                "response to {id} is not what the endpoint sent: {} of {len} bytes",
                body.len()
            ));
        }
    }
}
