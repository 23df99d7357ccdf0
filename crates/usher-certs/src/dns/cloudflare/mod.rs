//! Cloudflare's API, version 4. The token needs the permission `Zone → DNS → Edit`, and `Zone → Zone → Read` to find the zone.

#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::{Value, json};

use super::limited::{is_limit, patiently};
use super::{DnsError, DnsFuture, DnsProvider, RECORD_TTL, parents};
use crate::http::{Http, Reply, escape, excerpt};

const WHO: &str = "Cloudflare";
/// A record of the same name, type and text is there already: said of different words in different years.
const IS_THERE: [u64; 2] = [81057, 81058];
/// The fields of the request are not valid; the authorization among them is not.
const BAD_TOKEN: [u64; 2] = [6003, 6111];
/// Records that are asked for at once.
const PER_PAGE: u32 = 100;
/// How many times that.
const MAX_PAGES: u64 = 10;

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
        patiently(async || Ok(self.http.call(method, &url, &fields, body.clone()).await?), is_limit).await
    }

    async fn zone(&self, name: &str) -> Result<String, DnsError> {
        if let Some(id) = &self.options.zone_id {
            return Ok(id.clone());
        }
        let mut forbidden = None;
        for zone in parents(name) {
            let reply = self.call("GET", &format!("/zones?name={}", escape(zone)), None).await?;
            if !is_done(&reply) {
                let error = failure("find the zone", &reply);
                // A token for some zones only may not even ask for others.
                if reply.status == 403 {
                    forbidden.get_or_insert(error);
                    continue;
                }
                return Err(error);
            }
            let found = reply.json();
            let zones = || found["result"].as_array().into_iter().flatten();
            // Another may have begun to move the zone to an account of theirs.
            let active = zones().find(|zone| zone["status"] == "active").or_else(|| zones().next());
            if let Some(id) = active.and_then(|zone| zone["id"].as_str()) {
                return Ok(id.to_owned());
            }
        }
        let none = || DnsError::new(format!("{WHO} has no zone for `{name}` that this token may see"));
        Err(forbidden.unwrap_or_else(none))
    }

    async fn add(&self, name: &str, value: &str) -> Result<(), DnsError> {
        let zone = self.zone(name).await?;
        let record =
            json!({ "type": "TXT", "name": name, "content": format!("\"{value}\""), "ttl": RECORD_TTL });
        let reply = self.call("POST", &format!("/zones/{}/dns_records", escape(&zone)), Some(record)).await?;
        let answer = reply.json();
        let is_there = errors(&answer).any(|(code, _)| IS_THERE.contains(&code));
        if is_done(&reply) || is_there { Ok(()) } else { Err(failure("add a record", &reply)) }
    }

    /// The identifiers of the records of this name with this text.
    async fn find(&self, zone: &str, name: &str, value: &str) -> Result<Vec<String>, DnsError> {
        let mut found = Vec::new();
        for page in 1..=MAX_PAGES {
            let asked = escape(name);
            let path =
                format!("/zones/{zone}/dns_records?type=TXT&name={asked}&per_page={PER_PAGE}&page={page}");
            let reply = self.call("GET", &path, None).await?;
            if !is_done(&reply) {
                return Err(failure("list records", &reply));
            }
            let answer = reply.json();
            let records = answer["result"].as_array().into_iter().flatten();
            // Text is in quotes or not, as it was written.
            let is_it = |record: &&Value| {
                let text = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
                text("name").eq_ignore_ascii_case(name) && text("content").trim_matches('"') == value
            };
            found.extend(records.filter(is_it).filter_map(|record| record["id"].as_str().map(str::to_owned)));
            if answer["result_info"]["total_pages"].as_u64().is_none_or(|pages| pages <= page) {
                break;
            }
        }
        Ok(found)
    }

    async fn delete(&self, name: &str, value: &str) -> Result<(), DnsError> {
        let zone = escape(&self.zone(name).await?);
        for id in self.find(&zone, name, value).await? {
            let reply =
                self.call("DELETE", &format!("/zones/{zone}/dns_records/{}", escape(&id)), None).await?;
            if !is_done(&reply) && reply.status != 404 {
                return Err(failure("remove a record", &reply));
            }
        }
        Ok(())
    }
}

fn is_done(reply: &Reply) -> bool {
    reply.is_success() && reply.json()["success"] != false
}

/// The codes and messages of an answer, with those that say more in the chain below each.
fn errors(answer: &Value) -> impl Iterator<Item = (u64, &str)> {
    let errors = answer["errors"].as_array().into_iter().flatten();
    let deeper = |error| std::iter::once(error).chain(chain(error));
    errors.flat_map(deeper).filter_map(|error| Some((error["code"].as_u64()?, error["message"].as_str()?)))
}

fn chain(error: &Value) -> impl Iterator<Item = &Value> {
    error["error_chain"].as_array().into_iter().flatten()
}

fn failure(doing: &str, reply: &Reply) -> DnsError {
    let answer = reply.json();
    let said: Vec<String> = errors(&answer).map(|(code, message)| format!("{message} ({code})")).collect();
    if said.is_empty() {
        return DnsError::status(WHO, doing, reply);
    }
    // A token that is not even of the right form is a bad request to it.
    let of_token = errors(&answer).any(|(code, _)| BAD_TOKEN.contains(&code));
    let advice = if of_token && reply.status == 400 { "; check the token" } else { "" };
    DnsError::said(WHO, doing, reply, &format!("{}{advice}", excerpt(&said.join(", "))))
}

impl DnsProvider for Cloudflare {
    fn set<'a>(&'a self, name: &'a str, value: &'a str) -> DnsFuture<'a> {
        Box::pin(self.add(name, value))
    }

    fn remove<'a>(&'a self, name: &'a str, value: &'a str) -> DnsFuture<'a> {
        Box::pin(self.delete(name, value))
    }
}
