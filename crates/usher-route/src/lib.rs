//! Which route a request takes: a table that is compiled once and searched at a cost that does not grow with the
//! number of routes. Pure: no sockets, no clock, no other crate of the project.
//!
//! # What a rule says
//! A [`Rule`] holds lists; an empty list is no condition, several items of one list are alternatives ("one of these
//! hosts"), except headers, query and cookies, where every test must hold.
//!
//! | condition | spelling |
//! |---|---|
//! | host | `example.com`; `*.example.com` (one *or more* labels before it, never `example.com` itself); `~regex` (ignores case); `*` (any, also none) |
//! | path | `/exact`; `/prefix/*` (also `/prefix` itself; captures `rest`); `/u/{name}/x` (one segment that is not empty); a last `{name...}` (like `*`, under another name); `~regex` (captures its named groups) |
//! | method | compared byte for byte; `GET` does not include `HEAD` |
//! | header, query, cookie | present, absent, equal, starts with, `~regex`; with several values, one of them has to pass |
//! | client | address or network, `10.0.0.0/8` |
//! | listener | the number of a listener |
//!
//! **A regex must match the whole value**, as every other pattern does; write `~.*\.php` for "ends with `.php`".
//! Paths are compared in their normal form, byte for byte, and captured values are parts of that form. Query names and
//! values are compared decoded (`%41` and `+`).
//!
//! # Which rule wins
//! The first that matches in this order. Each line only decides among rules that are equal in all lines above it:
//!
//! 1. the higher `priority`;
//! 2. the host: exact, then wildcard (the longer first), then regex, then none (or `*`);
//! 3. the path: exact, then patterns, then regex, then none. Patterns are compared segment by segment: literal, then
//!    `{name}`, then `*`. So of two prefixes the longer comes first, and `/a/*` comes before `/{x}/b`;
//! 4. the number of further conditions (each header, query and cookie test counts one; listeners, methods and clients
//!    count one each), more first;
//! 5. the order of declaration.
//!
//! A rule with several hosts or paths stands in this order once for each combination.
//!
//! # What finding costs
//! Hosts and paths are looked up by hash: once per host, once per label if there are wildcards, once per path segment
//! and distinct shape of patterns (a shape is the sequence literal / `{name}` / `*`, so a path full of repetitions
//! cannot make the search exponential). Rules that share host and path are told apart by hashing the listener, method,
//! client or exactly tested field in which they differ; only tests of prefixes and regexes are tried one after another.
//! The regexes of all hosts are one automaton, and so are those of the paths of one host: these grow with the number and
//! size of the regexes, and are asked only when nothing more specific has matched. Without regexes [`Router::find`]
//! allocates nothing, except for a percent-encoded query value of more than 256 bytes that a rule looks at.

mod build;
mod captures;
mod error;
mod explain;
mod field;
mod host;
mod index;
mod network;
mod order;
mod path;
mod predicate;
mod reason;
mod regexes;
mod router;

#[cfg(test)]
mod tests;

use std::net::IpAddr;

pub use build::{BuildError, MAX_ALTERNATIVES, Warning};
pub use captures::Captures;
pub use error::PatternError;
pub use explain::{Chosen, Explanation, MAX_NEAR_MISSES, NearMiss};
pub use field::{FieldKind, FieldTest, ValueTest};
pub use host::HostPattern;
pub use network::{Network, NetworkError};
pub use order::Advantage;
pub use path::{MAX_SEGMENTS, PathPattern};
pub use reason::Reason;
pub use router::Router;

/// The conditions of one route. An empty list is no condition; see the [crate] for what the lists mean.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    /// What the route is called in explanations and warnings.
    pub name: String,
    /// Alternatives for the host.
    pub hosts: Vec<HostPattern>,
    /// Alternatives for the path.
    pub paths: Vec<PathPattern>,
    /// Alternatives for the method; compared byte for byte (RFC 9110, section 9.1).
    pub methods: Vec<String>,
    /// Tests of header fields, all of which must hold.
    pub headers: Vec<FieldTest>,
    /// Tests of query parameters, all of which must hold.
    pub query: Vec<FieldTest>,
    /// Tests of cookies, all of which must hold.
    pub cookies: Vec<FieldTest>,
    /// Alternatives for the client's address.
    pub clients: Vec<Network>,
    /// Alternatives for the listener, by number.
    pub listeners: Vec<u32>,
    /// Beats every other criterion; higher comes first.
    pub priority: i32,
}

/// What a request shows to the router.
pub trait Subject {
    /// The host in lower case, without port and trailing dot; empty if there is none. IPv6 in brackets.
    fn host(&self) -> &str;
    /// The path in its normal form, without the query.
    fn path(&self) -> &str;
    /// The method as it was sent.
    fn method(&self) -> &str;
    /// The query without the `?`, as it was sent; empty if there is none.
    fn query(&self) -> &str;
    /// Calls `test` for the values of the header `name` (lower case, compared without regard to case) until it
    /// answers `true`; whether it did.
    fn any_header(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool;
    /// The same for the cookies called `name` (compared byte for byte).
    fn any_cookie(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool;
    /// The address of the client, unless it came by a Unix socket.
    fn client(&self) -> Option<IpAddr>;
    /// The number of the listener that took the request.
    fn listener(&self) -> u32;
}

/// What [`Router::find`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The index of the rule, in the list that the router was built from.
    Found(u32),
    /// No rule matches (404).
    NotFound,
    /// At least one rule matches in everything but the method (405); [`Router::allowed`] lists the methods.
    MethodNotAllowed,
}
