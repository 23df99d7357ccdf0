//! `usher explain`: a dry run of one request through the very code that serves.
//!
//! A [`Question`] is written as the bytes of a head, read by the same parser, sanitized, routed and shown to the same
//! filters as a request from the network; only what would count, wait or leave the process is put into words instead.
//! The result is an [`Explanation`]: text for people by `Display`, and JSON by [`Explanation::to_json`].

mod answer;
mod diff;
mod json;
mod question;
mod run;
mod settings;
mod show;
#[cfg(test)]
mod tests;
mod upstream;
mod why;

use std::net::IpAddr;
use std::sync::Arc;

use usher_api::{Phase, Would};

pub use diff::{Change, Mark, SentField};
pub use question::{Question, QuestionError};

use crate::Snapshot;

/// What would happen to a request.
#[derive(Clone, Debug, Default)]
pub struct Explanation {
    /// The question: method and URL.
    pub asked: (String, String),
    /// The listener that takes it.
    pub listener: String,
    /// Who asks.
    pub client: Client,
    /// What the head was understood to mean; none if it was refused.
    pub meaning: Option<Meaning>,
    /// Why it is refused before any route sees it.
    pub refusal: Option<Refusal>,
    /// The search for a route.
    pub route: Option<RouteFound>,
    /// The filters that the request passes, in order.
    pub filters: Vec<FilterRun>,
    /// What the proxy itself answers, if it does.
    pub reply: Option<OwnReply>,
    /// Where the request goes.
    pub destination: Option<DestinationChosen>,
    /// What is sent there.
    pub upstream: Option<Sent>,
    /// Limits that apply: name, value, and where it is set.
    pub limits: Vec<Setting>,
    /// Timeouts that apply.
    pub timeouts: Vec<Setting>,
    /// What else is worth knowing.
    pub notes: Vec<String>,
}

/// Who asks.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// The other end of the connection.
    pub peer: Option<IpAddr>,
    /// Who counts as the client.
    pub ip: Option<IpAddr>,
    /// Whether the peer is one of `trusted_proxies`, so that its forwarding fields are believed.
    pub trusted: bool,
}

/// What a head was understood to mean.
#[derive(Clone, Debug, Default)]
pub struct Meaning {
    /// The host that routes are compared with.
    pub host: String,
    /// The path in its normal form.
    pub path: String,
    /// The path as it came, where that differs.
    pub path_came: Option<String>,
    /// The query.
    pub query: Option<String>,
    /// The protocol that the client wants to switch to.
    pub upgrade: Option<String>,
}

/// A request that is refused for what it is.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The step that refuses it: `decode` or `sanitize`.
    pub step: &'static str,
    /// The answer's status.
    pub status: u16,
    /// What is wrong, as access logs say it.
    pub what: String,
    /// Why that is refused, and what to do.
    pub why: &'static str,
}

/// The search for a route.
#[derive(Clone, Debug, Default)]
pub struct RouteFound {
    /// The route; none if no route takes the request.
    pub name: Option<String>,
    /// The host pattern that fits, if the route has one.
    pub host: Option<String>,
    /// The path pattern that fits, if the route has one.
    pub path: Option<String>,
    /// What the path pattern captured.
    pub captures: Vec<(String, String)>,
    /// With no route: the methods that would have been taken.
    pub allowed: Vec<String>,
    /// The nearest of the other routes, and why each lost.
    pub near: Vec<(String, String)>,
    /// How many more were near.
    pub more: usize,
}

/// A filter and what it does to the request.
#[derive(Clone, Debug)]
pub struct FilterRun {
    /// The key on the route.
    pub name: &'static str,
    /// When it runs.
    pub phase: Phase,
    /// What it is set to do.
    pub set_to: String,
    /// What it does here.
    pub would: Would,
    /// The same in words.
    pub verdict: String,
    /// It only told what it would do, as the real thing counts or waits. If it would respond, the steps after it are
    /// shown as for a request that passed.
    pub told: bool,
    /// What it changes in the request.
    pub changes: Vec<Change>,
}

impl FilterRun {
    /// The request ends here.
    pub fn ends(&self) -> bool {
        matches!(self.would, Would::Respond(_))
    }
}

/// A response of the proxy itself.
#[derive(Clone, Debug, Default)]
pub struct OwnReply {
    /// The status.
    pub status: u16,
    /// The reason in access logs.
    pub reason: String,
    /// The fields, after the response filters.
    pub fields: Vec<(String, String)>,
    /// What its body is.
    pub body: String,
}

/// Where a request goes.
#[derive(Clone, Debug, Default)]
pub struct DestinationChosen {
    /// The cluster.
    pub cluster: String,
    /// How it was chosen.
    pub how: String,
    /// For a split: the clusters and their shares in percent.
    pub shares: Vec<(String, f64)>,
    /// The name of the balancer.
    pub balance: String,
    /// The endpoints: label and weight.
    pub endpoints: Vec<(String, u32)>,
    /// The endpoint that would be chosen; none if there is none to choose.
    pub endpoint: Option<String>,
}

/// What an endpoint receives.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// The request line.
    pub line: String,
    /// The client's request line, where it differs.
    pub came: Option<String>,
    /// The fields in the order in which they are sent.
    pub fields: Vec<SentField>,
    /// The client's fields that do not reach the endpoint.
    pub dropped: Vec<(String, String)>,
    /// How the body is framed.
    pub body: String,
}

/// A limit or a timeout.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Its name in the config.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// Whose it is: `listener` (with the defaults) or `route`.
    pub of: &'static str,
}

/// Explains what would happen to a request.
///
/// # Errors
/// If the question cannot be asked: a listener that is not there, a URL that is none.
pub fn explain(snapshot: &Arc<Snapshot>, question: &Question) -> Result<Explanation, QuestionError> {
    let (listener, index) = question.listener(snapshot)?;
    let head = question.head()?;
    Ok(run::run(snapshot, question, (&listener, index), &head))
}
