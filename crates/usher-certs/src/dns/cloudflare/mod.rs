//! Cloudflare's API, version 4. The token needs the permission `Zone → DNS → Edit`, and `Zone → Zone → Read` to find the zone.

#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::{Value, json};

use super::{DnsError, DnsFuture, DnsProvider, RECORD_TTL, parents};
use crate::http::{Http, Reply, escape};

const WHO: &str = "Cloudflare";

/// An account at Cloudflare.
#[derive(Clone, PartialEq, Eq)]
pub struct CloudflareOptions {
    /// An API token.
    pub token: String,
    /// The zone's id; None finds it by name.
    pub zone_id: Option<String>,
    /// Where the API is.
    pub base: String,
}

impl CloudflareOptions {
    /// With this token.
    pub fn new(token: impl Into<String>) -> Self {
        Self { token: token.into(), zone_id: None, base: "https://api.cloudflare.com/client/v4".to_owned() }
    }
}

impl fmt::Debug for CloudflareOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudflareOptions").field("base", &self.base).finish_non_exhaustive()
    }
}

pub(super) struct Cloudflare {
    options: CloudflareOptions,
    http: Http,
}

impl Cloudflare {
    pub(super) fn new(options: CloudflareOptions, http: Http) -> Self {
        Self { options, http }
    }

    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Result<Reply, DnsError> {
        let authorization = format!("Bearer {}", self.options.token);
        let fields = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let url = format!("{}{path}", self.options.base);
        Ok(self.http.call(method, &url, &fields, body).await?)
    }

    async fn zone(&self, name: &str) -> Result<String, DnsError> {
        if let Some(id) = &self.options.zone_id {
            return Ok(id.clone());
        }
        for zone in parents(name).skip(1) {
            let reply = self.call("GET", &format!("/zones?name={}", escape(zone)), None).await?;
            if !reply.is_success() {
                return Err(DnsError::status(WHO, "find the zone", &reply));
            }
            if let Some(id) = reply.json()["result"][0]["id"].as_str() {
                return Ok(id.to_owned());
            }
        }
        Err(DnsError::new(format!("{WHO} has no zone for `{name}` that this token may see")))
    }

    async fn add(&self, name: &str, value: &str) -> Result<(), DnsError> {
        let zone = self.zone(name).await?;
        let record =
            json!({ "type": "TXT", "name": name, "content": format!("\"{value}\""), "ttl": RECORD_TTL });
        let reply = self.call("POST", &format!("/zones/{}/dns_records", escape(&zone)), Some(record)).await?;
        // 81058: an identical record is there already.
        let known =
            reply.json()["errors"].as_array().into_iter().flatten().any(|error| error["code"] == 81058);
        if reply.is_success() || known { Ok(()) } else { Err(DnsError::status(WHO, "add a record", &reply)) }
    }

    async fn delete(&self, name: &str, value: &str) -> Result<(), DnsError> {
        let zone = escape(&self.zone(name).await?);
        let list = format!("/zones/{zone}/dns_records?type=TXT&name={}&per_page=100", escape(name));
        let reply = self.call("GET", &list, None).await?;
        if !reply.is_success() {
            return Err(DnsError::status(WHO, "list records", &reply));
        }
        for record in reply.json()["result"].as_array().into_iter().flatten() {
            let same = record["content"].as_str().is_some_and(|content| content.trim_matches('"') == value);
            if let Some(id) = record["id"].as_str().filter(|_| same) {
                let reply =
                    self.call("DELETE", &format!("/zones/{zone}/dns_records/{}", escape(id)), None).await?;
                if !reply.is_success() && reply.status != 404 {
                    return Err(DnsError::status(WHO, "remove a record", &reply));
                }
            }
        }
        Ok(())
    }
}

impl DnsProvider for Cloudflare {
    fn set<'a>(&'a self, name: &'a str, value: &'a str) -> DnsFuture<'a> {
        Box::pin(self.add(name, value))
    }

    fn remove<'a>(&'a self, name: &'a str, value: &'a str) -> DnsFuture<'a> {
        Box::pin(self.delete(name, value))
    }
}
