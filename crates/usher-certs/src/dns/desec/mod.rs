//! deSEC's API. A set of records is written whole, so that the others of the same name are read first.

#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::{Value, json};

use super::{DnsError, DnsFuture, DnsProvider};
use crate::http::{Http, Reply, escape};

const WHO: &str = "deSEC";
/// The shortest lifetime of records that deSEC takes, in seconds.
const TTL: u32 = 3600;

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
        Ok(self.http.call(method, &format!("{}{path}", self.options.base), &fields, body).await?)
    }

    async fn change(&self, name: &str, change: impl Fn(&mut Vec<String>)) -> Result<(), DnsError> {
        let _turn = self.turn.lock().await;
        let reply = self.call("GET", &format!("/domains/?owns_qname={}", escape(name)), None).await?;
        if !reply.is_success() {
            return Err(DnsError::status(WHO, "find the domain", &reply));
        }
        let found = reply.json();
        let domain = found[0]["name"].as_str();
        let domain = domain.ok_or_else(|| DnsError::new(format!("{WHO} has no domain for `{name}`")))?;
        let subname = name.strip_suffix(domain).map(|rest| rest.trim_end_matches('.')).unwrap_or_default();
        let rrsets = format!("/domains/{}/rrsets/", escape(domain));
        let reply = self.call("GET", &format!("{rrsets}{}/TXT/", escape(subname)), None).await?;
        if !reply.is_success() && reply.status != 404 {
            return Err(DnsError::status(WHO, "read the records", &reply));
        }
        let before = reply.json();
        let records = before["records"].as_array().into_iter().flatten();
        let mut records: Vec<String> = records.filter_map(|one| one.as_str().map(str::to_owned)).collect();
        change(&mut records);
        // An empty set is removed.
        let set = json!([{ "subname": subname, "type": "TXT", "ttl": TTL, "records": records }]);
        let reply = self.call("PUT", &rrsets, Some(set)).await?;
        if reply.is_success() { Ok(()) } else { Err(DnsError::status(WHO, "write the records", &reply)) }
    }
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
