//! `[[route]]`, `[defaults]` and `[bundle.NAME]`

use std::collections::BTreeMap;
use std::time::Duration;

use super::{
    Endpoint, ErrorPages, Mirror, Retry, RouteLimits, RouteLog, RouteTimeouts, Shift, ValuePattern, WebSocket,
};
use crate::decode::{Named, OneOrMany, Spanned};
use crate::value::Cidr;

crate::section! {
    /// Which requests go where. All conditions of a route must hold; of several values in one condition, one must.
    /// Of all routes that match, the most specific takes the request: first by priority, then by host, path, and the
    /// number of other conditions, last by order.
    pub default struct Route {
        /// A name for logs and metrics.
        pub name: Option<Spanned<String>>,
        /// Hosts: `example.com`, `*.example.com` (its subdomains), or `~` and a regular expression.
        pub host: OneOrMany<Spanned<String>> = OneOrMany::default(),
        /// Paths: `/exact`, `/prefix/*`, `/users/{name}/x`, or `~` and a regular expression.
        pub path: OneOrMany<Spanned<String>> = OneOrMany::default(),
        /// Methods: `GET`, `POST`, …
        pub method: OneOrMany<Spanned<String>> = OneOrMany::default(),
        /// Fields of the request's head by name: a value, `prefix*`, `~` and a regular expression, `true` (present)
        /// or `false` (absent).
        pub header: Named<ValuePattern> = Named::default(),
        /// Parameters of the query by name, with the same patterns.
        pub query: Named<ValuePattern> = Named::default(),
        /// Cookies by name, with the same patterns.
        pub cookie: Named<ValuePattern> = Named::default(),
        /// Networks of clients.
        pub client: OneOrMany<Cidr> = OneOrMany::default(),
        /// Names of the listeners that the route is for. Without it, all.
        pub listener: OneOrMany<Spanned<String>> = OneOrMany::default(),
        /// Comes before the order by specificity: a higher number wins.
        pub priority: i32 = 0,
        /// Bundles whose settings the route takes. Later ones come before earlier ones; the route's own before all.
        #[key("use")]
        pub bundles: OneOrMany<Spanned<String>> = OneOrMany::default(),
        /// Where requests go: one or more endpoints, as a cluster without a name.
        pub to: Option<OneOrMany<Spanned<Endpoint>>>,
        /// Where requests go: the name of a cluster.
        pub cluster: Option<Spanned<String>>,
        /// Of the `cluster`, only the endpoints that have all of these labels: a version, for one.
        pub subset: Option<Spanned<BTreeMap<String, String>>>,
        /// Where requests go: to one of several targets, by weight.
        pub split: Option<Spanned<Split>>,
        /// Clusters that are sent copies of requests, and whose answers are thrown away.
        pub mirror: OneOrMany<Spanned<Mirror>> = OneOrMany::default(),
        /// Whether requests are logged, in place of what their listener says: `on` or `off`.
        pub access_log: Option<RouteLog>,
        /// What happens with a path that some endpoints read in another way, because of `%2F`, `%5C`, `;` or `%25`.
        pub ambiguous_paths: Option<AmbiguousPaths>,
        /// Who is refused first when the process is short of memory or descriptors: `low`, `normal` or `high`. Without it,
        /// `normal`.
        pub criticality: Option<Criticality>,
        /// Pages to show in place of errors, by status: `"404"`, `"4xx"`, `"5xx"`.
        pub error_pages: ErrorPages = ErrorPages::default(),
        /// Limits for this route in place of those in `[limits]`.
        pub limits: RouteLimits = RouteLimits::default(),
        /// Timeouts for this route in place of those in `[timeouts]` and of its cluster.
        pub timeouts: RouteTimeouts = RouteTimeouts::default(),
        /// When a request is sent again: a list of conditions, or a table.
        pub retry: Retry = Retry::default(),
        /// How WebSockets are kept and closed.
        pub websocket: WebSocket = WebSocket::default(),
        ..
        /// Filters: what happens to requests and responses on the way. Their order in the file does not matter.
        extensions
    }
}

crate::section! {
    /// Settings that several routes have in common.
    pub default struct Bundle {
        /// Whether requests are logged, in place of what their listener says: `on` or `off`.
        pub access_log: Option<RouteLog>,
        /// What happens with a path that some endpoints read in another way, because of `%2F`, `%5C`, `;` or `%25`.
        pub ambiguous_paths: Option<AmbiguousPaths>,
        /// Who is refused first when the process is short of memory or descriptors: `low`, `normal` or `high`. Without it,
        /// `normal`.
        pub criticality: Option<Criticality>,
        /// Pages to show in place of errors, by status: `"404"`, `"4xx"`, `"5xx"`.
        pub error_pages: ErrorPages = ErrorPages::default(),
        /// Limits in place of those in `[limits]`.
        pub limits: RouteLimits = RouteLimits::default(),
        /// Timeouts in place of those in `[timeouts]`.
        pub timeouts: RouteTimeouts = RouteTimeouts::default(),
        /// When a request is sent again: a list of conditions, or a table.
        pub retry: Retry = Retry::default(),
        /// How WebSockets are kept and closed.
        pub websocket: WebSocket = WebSocket::default(),
        ..
        /// Filters. A route that sets the same filter has its own; `"off"` there takes the filter away.
        extensions
    }
}

crate::names! {
    /// What happens with a path that some endpoints read in another way: that decode `%2F` or `%5C` to a slash before
    /// they look where a path leads, decode twice, or drop what follows a `;`.
    pub enum AmbiguousPaths {
        /// It is refused with 400 if another route would take it, were it read in such a way. This is the default.
        Compare = "compare",
        /// It is refused with 400 in any case.
        Refuse = "refuse",
        /// It is taken as it is: the endpoints of the route are known to read it as Usher does.
        Keep = "keep",
    }
}

crate::names! {
    /// How much it matters that a request is served, when not all can be.
    pub enum Criticality {
        /// Refused first, with 503 and `Retry-After`: what can be done later, or again.
        Low = "low",
        /// Refused when ending slow clients is not enough. This is the default.
        Normal = "normal",
        /// Never refused for want of memory or descriptors.
        High = "high",
    }
}

crate::section! {
    /// Sends requests to one of several targets, by weight: for comparing two versions, or moving slowly to a new one.
    #[bare(between)]
    pub struct Split {
        /// The targets.
        pub between: Vec<Spanned<SplitTarget>>,
        /// Keeps each visitor at the target that it met first.
        pub sticky: Option<Sticky>,
        /// Moves visitors from one target to the other by itself, and back when the new one does worse. There are two
        /// targets then, without weights.
        pub shift: Option<Spanned<Shift>>,
    }
}

crate::section! {
    /// A target of a split. Either `cluster` or `to` is set.
    pub struct SplitTarget {
        /// The name of a cluster.
        pub cluster: Option<Spanned<String>>,
        /// Of the `cluster`, only the endpoints that have all of these labels.
        pub subset: Option<Spanned<BTreeMap<String, String>>>,
        /// One or more endpoints, as a cluster without a name.
        pub to: Option<OneOrMany<Spanned<Endpoint>>>,
        /// Its share, compared with the others': with `90` and `10`, one request in ten goes to the second. Needed, unless
        /// the split has a `shift`.
        #[range(0..=1_000_000)]
        pub weight: Option<u32>,
    }
}

crate::section! {
    /// A cookie that remembers the target of a visitor.
    #[bare(cookie)]
    pub struct Sticky {
        /// The name of the cookie.
        #[check(cookie_name)]
        pub cookie: String,
        /// How long the visitor's browser keeps it. Without it, until the browser is closed.
        #[range(Duration::from_secs(1)..)]
        pub max_age: Option<Duration>,
    }
}

/// A cookie's name is a token (RFC 6265, section 4.1.1).
fn cookie_name(name: &String) -> Result<(), String> {
    if !name.is_empty() && name.len() <= 64 && name.bytes().all(is_token_byte) {
        return Ok(());
    }
    Err(format!("`{name}` is not the name of a cookie: letters, digits, `-` and `_`, at most 64"))
}

/// Bytes of a token (RFC 9110, section 5.6.2).
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Where a route or one side of a split sends requests.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// A cluster by name.
    Cluster(&'a Spanned<String>),
    /// A cluster without a name.
    To(&'a OneOrMany<Spanned<Endpoint>>),
    /// Several.
    Split(&'a Spanned<Split>),
}

impl Route {
    /// Where it sends requests; none if a filter answers them, as a redirect does.
    pub fn target(&self) -> Option<Target<'_>> {
        let cluster = self.cluster.as_ref().map(Target::Cluster);
        cluster.or(self.to.as_ref().map(Target::To)).or(self.split.as_ref().map(Target::Split))
    }
}

impl SplitTarget {
    /// Where it sends requests. After checking, there is one.
    pub fn target(&self) -> Option<Target<'_>> {
        self.cluster.as_ref().map(Target::Cluster).or(self.to.as_ref().map(Target::To))
    }
}
