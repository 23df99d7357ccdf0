//! The endpoints of a cluster, found by address and by name: an edit may name thousands of them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use usher_engine::snapshot::{EndpointSpec, ResolvedEndpoint};

/// Endpoints as somebody wrote them.
#[derive(Default)]
pub(super) struct Index {
    /// None where one was taken out.
    all: Vec<Option<EndpointSpec>>,
    /// Places in `all`, in order.
    by_address: HashMap<String, BTreeSet<usize>>,
    by_label: HashMap<Arc<str>, BTreeSet<usize>>,
}

impl Index {
    pub(super) fn new(all: impl IntoIterator<Item = EndpointSpec>) -> Self {
        let mut index = Self::default();
        all.into_iter().for_each(|one| index.insert(one));
        index
    }

    pub(super) fn insert(&mut self, one: EndpointSpec) {
        let place = self.all.len();
        self.by_address.entry(one.address.to_string()).or_default().insert(place);
        self.by_label.entry(one.label.clone()).or_default().insert(place);
        self.all.push(Some(one));
    }

    /// The first one at an address.
    pub(super) fn at(&self, address: &str) -> Option<&EndpointSpec> {
        let place = *self.by_address.get(address)?.first()?;
        self.all.get(place)?.as_ref()
    }

    /// Whether one at another address has a name.
    pub(super) fn is_taken(&self, name: &str, address: &str) -> bool {
        let places = self.by_label.get(name).into_iter().flatten();
        let mut others = places.filter_map(|place| self.all.get(*place)?.as_ref());
        others.any(|one| one.address.to_string() != address)
    }

    /// The addresses, each once.
    pub(super) fn addresses(&self) -> BTreeSet<String> {
        self.all.iter().flatten().map(|one| one.address.to_string()).collect()
    }

    /// Takes those at an address out.
    pub(super) fn take_at(&mut self, address: &str) -> Vec<EndpointSpec> {
        let places = self.by_address.remove(address).unwrap_or_default();
        self.take(places)
    }

    /// Takes those out that have an address or a name.
    pub(super) fn take_named(&mut self, named: &str) -> Vec<EndpointSpec> {
        let mut places = self.by_address.remove(named).unwrap_or_default();
        places.extend(self.by_label.remove(named).unwrap_or_default());
        self.take(places)
    }

    fn take(&mut self, places: BTreeSet<usize>) -> Vec<EndpointSpec> {
        let mut taken = Vec::new();
        for place in places {
            let Some(one) = self.all.get_mut(place).and_then(Option::take) else { continue };
            if let Some(places) = self.by_address.get_mut(&one.address.to_string()) {
                places.remove(&place);
            }
            if let Some(places) = self.by_label.get_mut(&one.label) {
                places.remove(&place);
            }
            taken.push(one);
        }
        taken
    }
}

/// What endpoints that are known by address are called.
pub(super) struct Called {
    addresses: HashSet<String>,
    labels: HashSet<Arc<str>>,
}

impl Called {
    pub(super) fn new(resolved: &[ResolvedEndpoint]) -> Self {
        let addresses = resolved.iter().map(|one| one.address.to_string()).collect();
        Self { addresses, labels: resolved.iter().map(|one| one.label.clone()).collect() }
    }

    /// Whether one is at an address.
    pub(super) fn has_address(&self, address: &str) -> bool {
        self.addresses.contains(address)
    }

    /// Whether one has a name.
    pub(super) fn has_label(&self, label: &str) -> bool {
        self.labels.contains(label)
    }
}
