//! What an extension is given while it is built from its section of the config.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use usher_config::Node;
use usher_config::decode::Context;

/// Given to a factory's `build`.
pub struct BuildContext<'a, 'b> {
    /// Decoding, and where diagnostics go.
    pub config: &'a mut Context<'b>,
    /// State that outlives a reload.
    pub carry: &'a mut Carry,
    /// What the section belongs to, such as `route api`: part of the key of carried state.
    pub scope: &'a str,
    /// For a filter: what its route says beside the section.
    pub route: OnRoute<'a>,
}

/// What the route of a filter says beside its section.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnRoute<'a> {
    /// The route also sends requests on, to a cluster. A filter that answers only some of them lets the others pass then
    /// (see [`crate::Filter::passes_on`]).
    pub forwards: bool,
    /// The sections of the same name that this one stands in for, those of bundles and `[defaults]`, the nearest first.
    pub outer: &'a [&'a Node],
}

/// State that is carried over from snapshot to snapshot by key: limiter buckets, counters.
///
/// What no new snapshot asks for is dropped with the last snapshot that used it.
#[derive(Default)]
pub struct Carry {
    before: HashMap<String, Arc<dyn Any + Send + Sync>>,
    kept: HashMap<String, Arc<dyn Any + Send + Sync>>,
}

impl Carry {
    /// What a new build may take from what the last one kept.
    pub fn from_previous(previous: &Carry) -> Self {
        Self { before: previous.kept.clone(), kept: HashMap::new() }
    }

    /// The state under this key: the one carried over if it has this type, else a new one.
    ///
    /// Put what must be equal for the state to stay valid (a table's size, a rate) into the key.
    pub fn keep<T: Any + Send + Sync>(&mut self, key: String, make: impl FnOnce() -> T) -> Arc<T> {
        let found = self.kept.get(&key).or_else(|| self.before.get(&key)).cloned();
        let state = found.and_then(|state| state.downcast::<T>().ok()).unwrap_or_else(|| Arc::new(make()));
        self.kept.insert(key, state.clone());
        state
    }
}
