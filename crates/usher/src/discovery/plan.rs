//! What an edit comes to, all of it or nothing. Its cost grows with the edit and the cluster, not with their product.

use std::collections::{BTreeSet, HashSet};

use usher_api::clusters::{Edit, EndpointChange, Wanted as WantedState};
use usher_config::Spanned;
use usher_config::config::Endpoint;
use usher_engine::snapshot::{ClusterSpec, EndpointSpec, Origin};

use super::Plan;
use super::document::{Patch, Reading, Setting, State, Wanted, Whole, Written};
use super::hand::{Changes, MAX_BY_HAND};
use super::index::{Called, Index};

/// The endpoints of a cluster before an edit.
pub(super) struct Known<'a> {
    pub(super) cluster: &'a ClusterSpec,
    pub(super) written: Index,
    pub(super) resolved: Called,
    pub(super) changes: Changes,
    /// Of what was removed by hand: what would be there otherwise.
    pub(super) hidden: HashSet<String>,
}

/// What an edit comes to.
pub(super) fn plan(known: Known<'_>, edit: &Edit) -> Result<Plan, Vec<(String, String)>> {
    let (reading, wanted) = Reading::new(edit);
    let Some(wanted) = wanted else { return Err(reading.mistakes()) };
    let mut planning = Planning { known, reading, settings: Vec::new() };
    match &wanted {
        Wanted::Patch(patch) => planning.patch(patch),
        Wanted::Replace(all) => planning.replace(all),
    }
    let Planning { known, mut reading, settings } = planning;
    let changes = known.changes;
    if changes.added.len() + changes.removed.len() > MAX_BY_HAND {
        let text = format!("more than {MAX_BY_HAND} changes by hand; an `endpoints_file` can name more");
        reading.fault(usher_config::Span::NONE, text);
    }
    let mistakes = reading.mistakes();
    if mistakes.is_empty() { Ok(Plan { changes, settings }) } else { Err(mistakes) }
}

struct Planning<'a> {
    known: Known<'a>,
    reading: Reading,
    settings: Vec<EndpointChange>,
}

impl Planning<'_> {
    fn patch(&mut self, patch: &Patch) {
        patch.remove.iter().for_each(|one| self.remove(one));
        let mut added = BTreeSet::new();
        for one in &patch.add {
            if added.insert(address(one)) {
                self.add(one);
            } else {
                self.reading.fault(one.address.span, format!("`{}` is added twice", address(one)));
            }
        }
        for (key, setting) in &patch.set {
            self.set(&key.name, key.span, setting);
        }
    }

    /// Takes endpoints out, by address or name.
    fn remove(&mut self, named: &Spanned<String>) {
        let meant = self.known.written.take_named(named);
        if !meant.is_empty() {
            self.leave(meant);
        } else if self.known.resolved.has_address(named) {
            self.hide(named.value.clone());
        } else {
            let text = format!("there is no endpoint `{}`", named.value);
            self.reading.fault(named.span, text);
        }
    }

    fn leave(&mut self, all: Vec<EndpointSpec>) {
        for one in all {
            let address = one.address.to_string();
            if one.origin != Origin::Hand || self.known.changes.added.remove(&address).is_none() {
                self.hide(address);
            }
        }
    }

    fn hide(&mut self, address: String) {
        self.known.hidden.insert(address.clone());
        self.known.changes.removed.insert(address);
    }

    /// Puts an endpoint in: a new one, or one that was removed by hand.
    fn add(&mut self, one: &Written) {
        let address = address(one);
        if self.known.changes.removed.contains(&address) && self.known.hidden.contains(&address) {
            if !one.is_bare() {
                let text =
                    format!("`{address}` is in the config and was removed by hand; add its address alone");
                return self.reading.fault(one.span, text);
            }
            self.known.changes.removed.remove(&address);
            return;
        }
        if self.known.written.at(&address).is_some() {
            let text = format!("there is an endpoint `{address}` already");
            return self.reading.fault(one.address.span, text);
        }
        self.join(one, address);
    }

    fn join(&mut self, one: &Written, address: String) {
        let is_taken = |name: &&Spanned<String>| self.known.written.is_taken(name, &address);
        if let Some(name) = one.name.as_ref().filter(is_taken) {
            let text = format!("another endpoint has the name `{}`", name.value);
            self.reading.fault(name.span, text);
        }
        match self.known.cluster.endpoint(one, Origin::Hand) {
            Ok(spec) => {
                self.known.written.take_at(&address);
                self.known.written.insert(spec);
                // It may have been removed when a name still led there.
                self.known.changes.removed.remove(&address);
                self.known.changes.added.insert(address, one.endpoint.value.clone());
            }
            Err(fault) => self.reading.found.push(fault),
        }
    }

    fn set(&mut self, name: &str, at: usher_config::Span, setting: &Setting) {
        if !self.known.resolved.has_address(name) && !self.known.resolved.has_label(name) {
            return self.reading.fault(at, format!("there is no endpoint `{name}`"));
        }
        let state = setting.state.map(|state| match state {
            State::Ready => WantedState::Ready,
            State::Drain => WantedState::Drain,
            State::Disable => WantedState::Disable,
        });
        let weight = setting.weight.map(|weight| weight.0);
        self.settings.push(EndpointChange { endpoint: name.to_owned(), state, weight });
    }

    /// Makes these the endpoints, and no others. Those of the config keep what they have there but for their weight.
    fn replace(&mut self, all: &Whole) {
        let mut wanted = BTreeSet::new();
        for one in &all.endpoints {
            let address = address(one);
            if !wanted.insert(address.clone()) {
                self.reading.fault(one.address.span, format!("`{address}` is there twice"));
            }
        }
        for gone in self.known.written.addresses().difference(&wanted) {
            let gone = self.known.written.take_at(gone);
            self.leave(gone);
        }
        for one in &all.endpoints {
            let address = address(one);
            match self.known.written.at(&address).cloned() {
                Some(spec) if spec.origin != Origin::Hand => self.keep(one, &spec),
                None if self.known.changes.removed.contains(&address) => self.add(one),
                _ => self.join(one, address),
            }
        }
    }

    /// An endpoint of the config or of a file stays, perhaps with another weight.
    fn keep(&mut self, one: &Written, spec: &EndpointSpec) {
        let says_more = one.says("priority") && one.priority != spec.priority
            || one.name.as_ref().is_some_and(|name| *name.value != *spec.label)
            || one.says("labels") && one.labels != *spec.labels;
        if says_more {
            let text = format!("`{}` is in the config: only its weight can be changed here", spec.address);
            return self.reading.fault(one.span, text);
        }
        let weight = Some(one.weight).filter(|weight| *weight != spec.weight && one.says("weight"));
        if self.known.resolved.has_label(&spec.label) {
            let endpoint = spec.label.to_string();
            self.settings.push(EndpointChange { endpoint, state: None, weight: Some(weight) });
        } else if weight.is_some() {
            let text = format!("`{}` has no endpoint now whose weight could be set", spec.address);
            self.reading.fault(one.span, text);
        }
    }
}

fn address(one: &Endpoint) -> String {
    one.address.address.to_string()
}
