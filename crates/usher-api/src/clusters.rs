//! What the admin API tells and changes of clusters.

/// Whoever knows the clusters that serve. Called on a thread on which waiting is allowed.
pub trait ClusterControl: Send + Sync {
    /// All clusters with their endpoints, and how those stand, as a JSON array.
    fn json(&self) -> String;

    /// Changes endpoints of a cluster at run time, all of them or none. Gives a line that says what was done.
    ///
    /// # Errors
    /// In plain words: there is no such cluster or endpoint.
    fn change(&self, cluster: &str, changes: &[EndpointChange]) -> Result<String, String>;
}

/// What an administrator wants of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointChange {
    /// Its address, or its name in the config; then all addresses of that name.
    pub endpoint: String,
    /// Whether it takes requests; None leaves that as it is.
    pub state: Option<Wanted>,
    /// Its weight in place of the configured one, `Some(None)` to go back to that; None leaves it as it is.
    pub weight: Option<Option<u32>>,
}

/// Whether an endpoint takes requests, as far as an administrator decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// It takes requests, if it is well.
    Ready,
    /// It finishes what it has, and serves the visitors that are bound to it.
    Drain,
    /// It gets nothing more.
    Disable,
}

impl Wanted {
    /// By its name: `ready`, `drain` or `disable`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "ready" => Some(Self::Ready),
            "drain" => Some(Self::Drain),
            "disable" => Some(Self::Disable),
            _ => None,
        }
    }
}
