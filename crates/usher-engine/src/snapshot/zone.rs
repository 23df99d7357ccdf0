//! Zones of a data centre.

use std::sync::Arc;

/// Where an endpoint is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    /// Its label `zone`.
    pub name: Option<Arc<str>>,
    /// It is not in the zone of this proxy, and the cluster prefers those that are.
    pub elsewhere: bool,
}
