//! deSEC's API. A set of records is written whole, so that the others of the same name are read first.

#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::{Value, json};

use super::limited::{is_limit, patiently};
use super::{DnsError, DnsFuture, DnsProvider};
use crate::http::{Http, Reply, escape};

const WHO: &str = "deSEC";
/// The shortest lifetime of records that deSEC takes in most domains, in seconds.
const TTL: u64 = 3600;

/// An account at deSEC.
#[derive(Clone, PartialEq, Eq)]
pub struct DeSecOptions {
    /// An API token.
    pub token: String,
    /// Where the API is.
    pub base: String,
}

impl DeSecOptions {
    /// With this token.
    pub fn new(token: impl Into<String>) -> Self {
        Self { token: token.into(), base: "https://desec.io/api/v1".to_owned() }
    }
}

impl fmt::Debug for DeSecOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeSecOptions").field("base", &self.base).finish_non_exhaustive()
    }
}

pub(super) struct DeSec {
    options: DeSecOptions,
    http: Http,
    /// One change at a time: two that read the same set would undo each other.
    turn: tokio::sync::Mutex<()>,
}

impl DeSec {
    pub(super) fn new(options: DeSecOptions, http: Http) -> Self {
        Self { options, http, turn: tokio::sync::Mutex::new(()) }
    }

    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Result<Reply, DnsError> {
        let authorization = format!("Token {}", self.options.token);
        let fields = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let url = format!("{}{path}", self.options.base);
        Ok(self.http.call(method, &url, &fields, body).await?)
    }

    async fn domain(&self, name: &str) -> Result<Domain, DnsError> {
        let path = format!("/domains/?owns_qname={}", escape(name));
        let reply = patiently(async || self.call("GET", &path, None).await, is_limit).await?;
        if !reply.is_success() {
            return Err(DnsError::status(WHO, "find the domain", &reply));
        }
        let found = &reply.json()[0];
        let domain = found["name"].as_str();
        let below = domain.and_then(|domain| Some((domain, name.strip_suffix(domain)?)));
        let (domain, below) =
            below.ok_or_else(|| DnsError::new(format!("{WHO} has no domain for `{name}`")))?;
        Ok(Domain {
            sets: format!("/domains/{}/rrsets/", escape(domain)),
            subname: below.trim_end_matches('.').to_owned(),
            ttl: found["minimum_ttl"].as_u64().unwrap_or(TTL),
        })
    }

    async fn change(&self, name: &str, change: impl Fn(&mut Vec<String>)) -> Result<(), DnsError> {
        let _turn = self.turn.lock().await;
        let domain = self.domain(name).await?;
        // What was read is old after a wait: others may have written meanwhile.
        let written = patiently(async || self.exchange(&domain, &change).await, is_contended).await?;
        if written.is_success() { Ok(()) } else { Err(DnsError::status(WHO, "write the records", &written)) }
    }

    /// Reads the set and writes it changed, once.
    async fn exchange(&self, domain: &Domain, change: &impl Fn(&mut Vec<String>)) -> Result<Reply, DnsError> {
        let Domain { sets, subname, ttl } = domain;
        let query = format!("{sets}?subname={}&type=TXT", escape(subname));
        let reply = self.call("GET", &query, None).await?;
        if is_contended(&reply) {
            return Ok(reply);
        }
        if !reply.is_success() {
            return Err(DnsError::status(WHO, "read the records", &reply));
        }
        let found = &reply.json()[0];
        let records = found["records"].as_array().into_iter().flatten();
        let before: Vec<String> = records.filter_map(|one| one.as_str().map(str::to_owned)).collect();
        let mut records = before.clone();
        change(&mut records);
        // Changes are what is limited most: to 15 per minute and 100 per hour.
        if records == before {
            return Ok(reply);
        }
        // That of a set which is there stays.
        let ttl = found["ttl"].as_u64().unwrap_or_default().max(*ttl);
        // An empty set is removed.
        let set = json!([{ "subname": subname, "type": "TXT", "ttl": ttl, "records": records }]);
        self.call("PATCH", sets, Some(set)).await
    }
}

/// Whether it was asked too often, or somebody else wrote the same set at the same moment.
fn is_contended(reply: &Reply) -> bool {
    is_limit(reply) || reply.status == 409
}

/// Where the records of a name are.
struct Domain {
    /// The path of all sets of the domain.
    sets: String,
    /// What the name has before that of the domain; empty for the domain itself.
    subname: String,
    /// The shortest lifetime of records that it takes, in seconds.
    ttl: u64,
}

impl DnsProvider for DeSec {
    fn set<'a>(&'a self, name: &'a str, value: &'a str) -> DnsFuture<'a> {
        let value = format!("\"{value}\"");
        Box::pin(self.change(name, move |records| {
            if !records.contains(&value) {
                records.push(value.clone());
            }
        }))
    }

    fn remove<'a>(&'a self, name: &'a str, value: &'a str) -> DnsFuture<'a> {
        let value = format!("\"{value}\"");
        Box::pin(self.change(name, move |records| records.retain(|record| *record != value)))
    }
}
