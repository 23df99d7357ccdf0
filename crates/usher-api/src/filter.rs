//! Filters: what happens to a request on its way in and to its response on its way out.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use usher_config::Node;
use usher_config::schema::Schema;

use crate::build::BuildContext;
use crate::exchange::Exchange;
use crate::reply::Reply;

/// When a filter runs. The order is fixed by the engine, so that nobody can put the cache before the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Rate and connection limits: the cheapest refusals first.
    Limit,
    /// Inspection of the request for attacks.
    Inspect,
    /// Who is asking?
    Authenticate,
    /// May they?
    Authorise,
    /// Changes to path, query, host and fields.
    Rewrite,
    /// Makes the response itself: redirects, fixed responses, files. At most one per route.
    Respond,
}

impl Phase {
    /// The phase's name in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Inspect => "inspect",
            Self::Authenticate => "authenticate",
            Self::Authorise => "authorise",
            Self::Rewrite => "rewrite",
            Self::Respond => "respond",
        }
    }
}

/// A filter's answer to a request.
pub enum Flow {
    /// Go on with the next filter.
    Continue,
    /// End here with this reply; response filters still see it.
    Respond(Box<Reply>),
    /// Wait, then do what the future says. Only filters that really wait pay for this allocation.
    Wait(Pin<Box<dyn Future<Output = Resume>>>),
}

/// What to do when a wait is over: edits the exchange and answers anew.
pub type Resume = Box<dyn FnOnce(&mut Exchange) -> Flow>;

/// One configured filter of one route. Shared by all workers.
pub trait Filter: Send + Sync {
    /// Looks at and edits the request. Runs in the order of phases, and within a phase in the order of the config.
    fn on_request(&self, exchange: &mut Exchange) -> Flow {
        let _ = exchange;
        Flow::Continue
    }

    /// Looks at and edits the response head before it is sent, in reverse order; also for replies of the proxy.
    fn on_response(&self, exchange: &mut Exchange) {
        let _ = exchange;
    }

    /// The request body is wanted whole, in [`Exchange::body`], up to so many bytes, before `on_request` runs. A
    /// larger body is refused with 413.
    fn body_limit(&self) -> Option<u64> {
        None
    }

    /// For a filter of the phase `respond`: it answers some requests and lets the others pass to where the route sends
    /// them. Without this, a route has either such a filter or a target.
    fn passes_on(&self) -> bool {
        false
    }

    /// Names of request fields that it sets, adds or removes. A trailer of such a name is not passed on: an endpoint might
    /// take it for the field (RFC 9110 section 6.5.1).
    fn request_fields(&self) -> Vec<Box<str>> {
        Vec::new()
    }

    /// The same for fields of responses.
    fn response_fields(&self) -> Vec<Box<str>> {
        Vec::new()
    }

    /// What it is set to do, in a few words, for `usher explain`.
    fn describe(&self) -> String {
        String::new()
    }

    /// What it would do to this request, for `usher explain`: must not count or wait, and may edit the exchange as for
    /// a request that passes. `None`: run `on_request`, which has no side effects.
    fn dry_run(&self, exchange: &mut Exchange) -> Option<DryRun> {
        let _ = exchange;
        None
    }
}

/// What a filter would do to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DryRun {
    /// What it would do.
    pub would: Would,
    /// Why, or what else is worth knowing, in a few words.
    pub why: String,
}

/// What a filter does to a request, as far as a dry run can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Would {
    /// Go on with the next filter.
    Continue,
    /// End the path with a reply of this status.
    Respond(u16),
    /// Only the real thing tells: another thread or another server would be asked.
    Ask,
}

impl DryRun {
    /// It would let the request pass.
    pub fn passes(why: impl Into<String>) -> Self {
        Self { would: Would::Continue, why: why.into() }
    }

    /// It would answer the request itself.
    pub fn responds(status: u16, why: impl Into<String>) -> Self {
        Self { would: Would::Respond(status), why: why.into() }
    }

    /// It would ask elsewhere; what, as it follows "would".
    pub fn asks(what: impl Into<String>) -> Self {
        Self { would: Would::Ask, why: what.into() }
    }
}

impl fmt::Display for DryRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.would {
            Would::Continue => write!(f, "would pass: {}", self.why),
            Would::Respond(status) => write!(f, "would answer {status}: {}", self.why),
            Would::Ask => write!(f, "would {}", self.why),
        }
    }
}

/// What the engine and the tools know of a kind of filter: one `FACTORY` per extension folder.
pub struct FilterFactory {
    /// The key on a route.
    pub name: &'static str,
    /// When it runs.
    pub phase: Phase,
    /// One line for `--help`, the manual and the schema.
    pub summary: &'static str,
    /// What may be written under the key.
    pub schema: fn() -> Schema,
    /// Reads the section and builds the filter; problems go to the context. `None` after an error, or for a section
    /// that turns the filter off (as `basic_auth = false` on a route turns off the one in `[defaults]`).
    pub build: fn(&Node, &mut BuildContext<'_, '_>) -> Option<Arc<dyn Filter>>,
}
