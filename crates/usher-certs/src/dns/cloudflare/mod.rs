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
/// What is in the place of an identifier is none; there is no such zone.
const BAD_ZONE: [u64; 2] = [7003, 1001];
/// Zones or records that are asked for at once; it gives no more zones.
const PER_PAGE: u32 = 50;
/// How many times that.
const MAX_PAGES: u64 = 20;

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

    /// All items of a list that `is_it`, from as many pages as there are. A filter that it does not know any more is no
    /// filter, so that this one counts.
    async fn list(
        &self,
        path: &str,
        doing: &str,
        is_it: impl Fn(&Value) -> bool,
    ) -> Result<Vec<Value>, ListError> {
        let mut found = Vec::new();
        for page in 1..=MAX_PAGES {
            let path = format!("{path}&per_page={PER_PAGE}&page={page}");
            let reply = self.call("GET", &path, None).await.map_err(ListError::Other)?;
            if !is_done(&reply) {
                let error = failure(doing, &reply);
                let kind = if reply.status == 403 { ListError::Forbidden } else { ListError::Other };
                return Err(kind(error));
            }
            let answer = reply.json();
            let items = answer["result"].as_array().into_iter().flatten();
            found.extend(items.filter(|item| is_it(item)).cloned());
            if answer["result_info"]["total_pages"].as_u64().is_none_or(|pages| pages <= page) {
                break;
            }
        }
        Ok(found)
    }

    async fn zone(&self, name: &str) -> Result<String, DnsError> {
        if let Some(id) = &self.options.zone_id {
            return Ok(id.clone());
        }
        let mut forbidden = None;
        for zone in parents(name) {
            let path = format!("/zones?name={}", escape(zone));
            match self.list(&path, "find the zone", |found| is_named(found, zone)).await {
                Ok(zones) => {
                    // Another may have begun to move the zone to an account of theirs.
                    let active = zones.iter().find(|zone| zone["status"] == "active").or(zones.first());
                    if let Some(id) = active.and_then(|zone| zone["id"].as_str()) {
                        return Ok(id.to_owned());
                    }
                }
                // A token for some zones only may not even ask for others.
                Err(ListError::Forbidden(error)) => _ = forbidden.get_or_insert(error),
                Err(ListError::Other(error)) => return Err(error),
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

    async fn delete(&self, name: &str, value: &str) -> Result<(), DnsError> {
        let zone = escape(&self.zone(name).await?);
        let list = format!("/zones/{zone}/dns_records?type=TXT&name.exact={}", escape(name));
        // Text is in quotes or not, as it was written.
        let has_text =
            |record: &Value| record["content"].as_str().map(|text| text.trim_matches('"')) == Some(value);
        let is_it = |record: &Value| is_named(record, name) && has_text(record);
        let found = self.list(&list, "list records", is_it).await.map_err(ListError::into_inner)?;
        for id in found.iter().filter_map(|record| record["id"].as_str()) {
            let reply =
                self.call("DELETE", &format!("/zones/{zone}/dns_records/{}", escape(id)), None).await?;
            if !is_done(&reply) && reply.status != 404 {
                return Err(failure("remove a record", &reply));
            }
        }
        Ok(())
    }
}

/// Why there is no list.
enum ListError {
    /// The token may not ask for it.
    Forbidden(DnsError),
    Other(DnsError),
}

impl ListError {
    fn into_inner(self) -> DnsError {
        match self {
            Self::Forbidden(error) | Self::Other(error) => error,
        }
    }
}

fn is_named(item: &Value, name: &str) -> bool {
    item["name"].as_str().is_some_and(|found| found.eq_ignore_ascii_case(name))
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
    let said = excerpt(&said.join(", "));
    let is_of = |codes: [u64; 2]| errors(&answer).any(|(code, _)| codes.contains(&code));
    // A token that is not even of the right form is a bad request to it.
    if reply.status == 400 && is_of(BAD_TOKEN) {
        return DnsError::advised(WHO, doing, reply, &said, "; check the token");
    }
    if is_of(BAD_ZONE) {
        let advice = "; `zone` is to be the identifier of the zone, not its name";
        return DnsError::advised(WHO, doing, reply, &said, advice);
    }
    DnsError::said(WHO, doing, reply, &said)
}

impl DnsProvider for Cloudflare {
    fn set<'a>(&'a self, name: &'a str, value: &'a str) -> DnsFuture<'a> {
        Box::pin(self.add(name, value))
    }

    fn remove<'a>(&'a self, name: &'a str, value: &'a str) -> DnsFuture<'a> {
        Box::pin(self.delete(name, value))
    }
}
