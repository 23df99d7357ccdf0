//! What an edit comes to, all of it or nothing.

use std::collections::BTreeSet;

use usher_api::clusters::{Edit, EndpointChange, Wanted as WantedState};
use usher_config::Spanned;
use usher_config::config::Endpoint;
use usher_engine::snapshot::{ClusterSpec, EndpointSpec, Origin, ResolvedEndpoint};

use super::Plan;
use super::document::{Patch, Reading, Setting, State, Wanted, Whole, Written};
use super::hand::{Changes, MAX_BY_HAND};

/// The endpoints of a cluster before an edit.
pub(super) struct Known<'a> {
    pub(super) cluster: &'a ClusterSpec,
    pub(super) written: Vec<EndpointSpec>,
    pub(super) resolved: Vec<ResolvedEndpoint>,
    pub(super) changes: Changes,
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
        let is_meant = |one: &EndpointSpec| one.address.to_string() == **named || *one.label == **named;
        let (meant, left): (Vec<_>, Vec<_>) = self.known.written.drain(..).partition(is_meant);
        self.known.written = left;
        let is_resolved = |one: &ResolvedEndpoint| one.address.to_string() == **named;
        let changes = &mut self.known.changes;
        if meant.is_empty() && self.known.resolved.iter().any(is_resolved) {
            changes.removed.insert(named.value.clone());
        } else if meant.is_empty() {
            let text = format!("there is no endpoint `{}`", named.value);
            self.reading.fault(named.span, text);
        }
        for one in meant {
            let address = one.address.to_string();
            if one.origin != Origin::Hand || changes.added.remove(&address).is_none() {
                changes.removed.insert(address);
            }
        }
    }

    /// Puts an endpoint in: a new one, or one that was removed by hand.
    fn add(&mut self, one: &Written) {
        let address = address(one);
        if self.known.changes.removed.contains(&address) {
            if !one.is_bare() {
                let text =
                    format!("`{address}` is in the config and was removed by hand; add its address alone");
                return self.reading.fault(one.span, text);
            }
            self.known.changes.removed.remove(&address);
            return;
        }
        if self.known.written.iter().any(|other| other.address.to_string() == address) {
            let text = format!("there is an endpoint `{address}` already");
            return self.reading.fault(one.address.span, text);
        }
        self.join(one, address);
    }

    fn join(&mut self, one: &Written, address: String) {
        let is_taken = |name: &&Spanned<String>| {
            let same =
                |other: &EndpointSpec| *other.label == *name.value && other.address.to_string() != address;
            self.known.written.iter().any(same)
        };
        if let Some(name) = one.name.as_ref().filter(is_taken) {
            let text = format!("another endpoint has the name `{}`", name.value);
            self.reading.fault(name.span, text);
        }
        match self.known.cluster.endpoint(one, Origin::Hand) {
            Ok(spec) => {
                self.known.written.retain(|other| other.address != spec.address);
                self.known.written.push(spec);
                self.known.changes.added.insert(address, one.endpoint.value.clone());
            }
            Err(fault) => self.reading.found.push(fault),
        }
    }

    fn set(&mut self, name: &str, at: usher_config::Span, setting: &Setting) {
        let is_meant = |one: &ResolvedEndpoint| one.address.to_string() == name || *one.label == *name;
        if !self.known.resolved.iter().any(is_meant) {
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
        let gone: Vec<EndpointSpec> = self.known.written.clone();
        for one in gone.iter().filter(|one| !wanted.contains(&one.address.to_string())) {
            self.remove(&Spanned::nowhere(one.address.to_string()));
        }
        for one in &all.endpoints {
            let address = address(one);
            let declared =
                self.known.written.iter().find(|other| other.address.to_string() == address).cloned();
            match declared {
                Some(spec) if spec.origin != Origin::Hand => self.keep(one, &spec),
                _ if self.known.changes.removed.contains(&address) => self.add(one),
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
        let is_known = |other: &ResolvedEndpoint| *other.label == *spec.label;
        if self.known.resolved.iter().any(is_known) {
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
