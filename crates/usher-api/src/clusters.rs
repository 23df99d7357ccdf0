//! What the admin API tells and changes of clusters.

use std::sync::Arc;

/// Whoever knows the clusters that serve. Called on a thread on which waiting is allowed.
pub trait ClusterControl: Send + Sync {
    /// All clusters with their endpoints, and how those stand, as a JSON array.
    fn json(&self) -> String;

    /// Changes endpoints of a cluster at run time, all of them or none. Gives a line that says what was done.
    ///
    /// # Errors
    /// There is no such cluster or endpoint; or not now.
    fn change(&self, cluster: &str, changes: &[EndpointChange]) -> Result<String, Refused>;

    /// The endpoints of one cluster as JSON, with the version that [`Edit::expected`] compares; none if there is no such
    /// cluster.
    fn endpoints(&self, cluster: &str) -> Option<Versioned>;

    /// Changes which endpoints a cluster has, and how they stand, as one: all of it or nothing.
    ///
    /// # Errors
    /// Why nothing was changed.
    fn edit(&self, cluster: &str, edit: Edit) -> Result<Versioned, Refused>;

    /// How many endpoints there are, and where they come from, for metrics.
    fn reading(&self) -> DiscoveryReading;

    /// Holds the circuit of a cluster open (true) or closed until further notice; with None, its requests decide again.
    /// Gives a line that says what was done.
    ///
    /// # Errors
    /// In plain words: there is no such cluster, or it has no breaker.
    fn hold(&self, cluster: &str, open: Option<bool>) -> Result<String, String>;

    /// All clusters, for metrics.
    fn readings(&self) -> Vec<ClusterReading>;
}

/// Numbers of a cluster, for metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterReading {
    /// Its name.
    pub name: Arc<str>,
    /// Where it has a breaker.
    pub circuit: Option<CircuitReading>,
    /// Where its limit finds itself.
    pub adaptive: Option<AdaptiveReading>,
}

/// Numbers of a cluster's breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitReading {
    /// 0: requests are sent; 1: none is; 2: a few are, to find out.
    pub state: u8,
    /// How often it was opened.
    pub opened: u64,
    /// How many requests were refused.
    pub refused: u64,
}

/// Numbers of a limit that finds itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdaptiveReading {
    /// Requests that may be under way.
    pub limit: u32,
    /// Those that are.
    pub under_way: u32,
    /// How long responses take to begin without load (microseconds); 0 if that is not known.
    pub base_micros: u64,
}

/// A text, and the version of the endpoints that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// JSON, or a line that says what was done.
    pub text: String,
    /// Differs after every change that an administrator makes, also over restarts.
    pub version: String,
}

/// Changes of the endpoints of a cluster, as they were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What the document is.
    pub kind: EditKind,
    /// A document of JSON.
    pub body: Vec<u8>,
    /// Only if the version is still this one.
    pub expected: Option<String>,
}

/// What the document of an [`Edit`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditKind {
    /// What is to be added, removed and set.
    Patch,
    /// All endpoints that there shall be.
    Replace,
    /// One more endpoint.
    Add,
}

/// Why endpoints were not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such cluster, or no such endpoint.
    Unknown(String),
    /// The document is wrong: all mistakes, each with its place as a JSON pointer (RFC 6901).
    Wrong(Vec<(String, String)>),
    /// Somebody has changed the endpoints since; with the version of now.
    Changed(String),
    /// Not now: another process is about to take over, or this one is ending.
    Busy(String),
}

/// What is known of where endpoints come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiscoveryReading {
    /// The clusters.
    pub clusters: Vec<SourcesReading>,
    /// Names that are asked for, each with how many questions failed, and whether the last one did.
    pub names: Vec<(String, u64, bool)>,
    /// Files with endpoints, by cluster, each with how often it could not be used, and whether it cannot now.
    pub files: Vec<(String, u64, bool)>,
}

/// How many endpoints a cluster has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcesReading {
    /// The cluster.
    pub cluster: Arc<str>,
    /// By who names them.
    pub by_source: Vec<(&'static str, u64)>,
    /// How often they became others without a reload, and when that was last (seconds since 1970).
    pub updates: (u64, u64),
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
