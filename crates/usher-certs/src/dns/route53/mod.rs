//! Amazon Route 53, API of 2013-04-01, with requests signed by Signature Version 4. The credentials need
//! `route53:ListHostedZonesByName`, `route53:ListResourceRecordSets` and `route53:ChangeResourceRecordSets`.
//!
//! A set of records is written whole, so that the others of the same name are read first.

mod sign;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::SystemTime;

use super::limited::{is_limit, patiently};
use super::{DnsError, DnsFuture, DnsProvider, RECORD_TTL, parents};
use crate::http::{Http, Reply, escape, excerpt};

const WHO: &str = "Route 53";
/// Hosted zones that are asked for at once: those of one name come first.
const MAX_ZONES: u32 = 100;
/// Codes of errors that mean to come back later.
const THROTTLED: [&str; 2] = ["Throttling", "PriorRequestNotComplete"];

/// An account at AWS.
#[derive(Clone, PartialEq, Eq)]
pub struct Route53Options {
    /// The access key's id.
    pub access_key: String,
    /// The access key's secret.
    pub secret_key: String,
    /// The token of temporary credentials.
    pub session_token: Option<String>,
    /// The hosted zone's id; None finds it by name.
    pub zone_id: Option<String>,
    /// Where the API is.
    pub base: String,
}

impl Route53Options {
    /// With this access key.
    pub fn new(access_key: impl Into<String>, secret_key: impl Into<String>) -> Self {
        Self {
            access_key: access_key.into(),
            secret_key: secret_key.into(),
            session_token: None,
            zone_id: None,
            base: "https://route53.amazonaws.com".to_owned(),
        }
    }
}

impl fmt::Debug for Route53Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route53Options").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

pub(super) struct Route53 {
    options: Route53Options,
    http: Http,
    /// One change at a time: two that read the same set would undo each other.
    turn: tokio::sync::Mutex<()>,
}

impl Route53 {
    pub(super) fn new(options: Route53Options, http: Http) -> Self {
        Self { options, http, turn: tokio::sync::Mutex::new(()) }
    }

    /// `query` is in order of its names and escaped.
    async fn call(&self, method: &str, path: &str, query: &str, body: &str) -> Result<Reply, DnsError> {
        patiently(async || self.call_once(method, path, query, body).await, is_throttled).await
    }

    async fn call_once(&self, method: &str, path: &str, query: &str, body: &str) -> Result<Reply, DnsError> {
        let base = &self.options.base;
        let host = base.split_once("://").map_or(base.as_str(), |(_, rest)| rest).trim_end_matches('/');
        let request = sign::Signable { method, host, path, query, body };
        let signed = sign::sign(&request, &self.options, SystemTime::now());
        let mut fields = vec![
            ("authorization", signed.authorization.as_str()),
            ("x-amz-date", signed.date.as_str()),
            ("content-type", "text/xml"),
        ];
        if let Some(token) = &self.options.session_token {
            fields.push(("x-amz-security-token", token));
        }
        let question = if query.is_empty() { "" } else { "?" };
        let url = format!("{}{path}{question}{query}", base.trim_end_matches('/'));
        Ok(self.http.call(method, &url, &fields, body.as_bytes().to_vec()).await?)
    }

    async fn zone(&self, name: &str) -> Result<String, DnsError> {
        if let Some(id) = &self.options.zone_id {
            return Ok(id.clone());
        }
        for zone in parents(name) {
            let query = format!("dnsname={}&maxitems={MAX_ZONES}", escape(zone));
            let reply = self.call("GET", "/2013-04-01/hostedzonesbyname", &query, "").await?;
            if !reply.is_success() {
                return Err(failure("find the zone", &reply));
            }
            let text = String::from_utf8_lossy(&reply.body).into_owned();
            if let Some(id) = elements(&text, "HostedZone").find_map(|found| public_zone(found, zone)) {
                return Ok(id.to_owned());
            }
        }
        Err(DnsError::new(format!(
            "{WHO} has no public hosted zone for `{name}` that these credentials may see"
        )))
    }

    async fn records(&self, zone: &str, name: &str) -> Result<Records, DnsError> {
        let query = format!("maxitems=1&name={}&type=TXT", escape(name));
        let reply =
            self.call("GET", &format!("/2013-04-01/hostedzone/{}/rrset", escape(zone)), &query, "").await?;
        if !reply.is_success() {
            return Err(failure("list records", &reply));
        }
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        let set = elements(&text, "ResourceRecordSet").next().unwrap_or_default();
        // It answers with the set of this name, or with whichever comes next in the zone.
        let is_it = has_name(set, name) && elements(set, "Type").next() == Some("TXT");
        let ttl = elements(set, "TTL").next().and_then(|ttl| ttl.parse().ok()).filter(|_| is_it);
        let values = elements(set, "Value").filter(|_| is_it).map(unescape_xml).collect();
        Ok(Records { ttl: ttl.unwrap_or(RECORD_TTL), values })
    }

    async fn change(&self, name: &str, change: impl Fn(&mut Vec<String>)) -> Result<(), DnsError> {
        let _turn = self.turn.lock().await;
        let zone = self.zone(name).await?;
        let before = self.records(&zone, name).await?;
        let mut after = Records { ttl: before.ttl, values: before.values.clone() };
        change(&mut after.values);
        if before.values == after.values {
            return Ok(());
        }
        // A set is removed by naming all that is in it.
        let (action, records) = match after.values.is_empty() {
            true => ("DELETE", &before),
            false => ("UPSERT", &after),
        };
        let body = change_batch(action, name, records);
        let path = format!("/2013-04-01/hostedzone/{}/rrset/", escape(&zone));
        let reply = self.call("POST", &path, "", &body).await?;
        if reply.is_success() { Ok(()) } else { Err(failure("change the records", &reply)) }
    }
}

/// The TXT records of a name.
struct Records {
    /// How long they live in caches, in seconds.
    ttl: u32,
    values: Vec<String>,
}

/// The identifier of this hosted zone if it is the one of this name that the world sees. One name can have a public zone
/// and several private ones.
fn public_zone<'a>(found: &'a str, name: &str) -> Option<&'a str> {
    let is_private = elements(found, "PrivateZone").next() == Some("true");
    let id = elements(found, "Id").next().filter(|_| has_name(found, name) && !is_private)?;
    Some(id.rsplit('/').next().unwrap_or(id))
}

fn has_name(element: &str, name: &str) -> bool {
    elements(element, "Name").next().map(|found| found.trim_end_matches('.')) == Some(name)
}

/// Five requests per second are let through, and one change of a zone at a time; more are a bad request.
fn is_throttled(reply: &Reply) -> bool {
    let code = || String::from_utf8_lossy(&reply.body).into_owned();
    let is_said = || THROTTLED.iter().any(|word| elements(&code(), "Code").next() == Some(word));
    is_limit(reply) || (reply.status == 400 && is_said())
}

fn failure(doing: &str, reply: &Reply) -> DnsError {
    let text = String::from_utf8_lossy(&reply.body);
    let word = |name| elements(&text, name).next().map(unescape_xml);
    match (word("Code"), word("Message")) {
        (Some(code), Some(message)) => {
            DnsError::said(WHO, doing, reply, &excerpt(&format!("{message} ({code})")))
        }
        _ => DnsError::status(WHO, doing, reply),
    }
}

fn change_batch(action: &str, name: &str, records: &Records) -> String {
    let Records { ttl, values } = records;
    let values = values
        .iter()
        .map(|value| format!("<ResourceRecord><Value>{}</Value></ResourceRecord>", escape_xml(value)));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><ChangeBatch><Changes>\
         <Change><Action>{action}</Action><ResourceRecordSet><Name>{name}.</Name><Type>TXT</Type><TTL>{ttl}</TTL>\
         <ResourceRecords>{}</ResourceRecords></ResourceRecordSet></Change></Changes></ChangeBatch>\
         </ChangeResourceRecordSetsRequest>",
        values.collect::<String>()
    )
}

/// The entities of XML that stand for what may not stand in a text, `&` last (when they are read).
const ENTITIES: [(&str, &str); 7] = [
    ("&quot;", "\""),
    ("&#34;", "\""),
    ("&apos;", "'"),
    ("&#39;", "'"),
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&amp;", "&"),
];

fn unescape_xml(text: &str) -> String {
    ENTITIES.iter().fold(text.to_owned(), |text, (entity, stands_for)| text.replace(entity, stands_for))
}

fn escape_xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The contents of elements of this name, without attributes: all that is needed of Route 53's XML.
fn elements<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(open.as_str())?;
        let (content, after) = after.split_once(close.as_str())?;
        rest = after;
        Some(content)
    })
}

impl DnsProvider for Route53 {
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
