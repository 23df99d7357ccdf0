//! Dynamic updates (RFC 2136) to a name server such as BIND, Knot or PowerDNS, signed by TSIG (RFC 8945).

#[cfg(test)]
mod tests;
mod tsig;

use std::fmt;
use std::net::SocketAddr;
use std::time::SystemTime;

use super::exchange::{ask, random_id, send};
use super::wire::{CLASS_IN, CLASS_NONE, Message, TYPE_SOA, TYPE_TXT, push_name, push_text, push_u16};
use super::{DnsError, DnsFuture, DnsProvider, RECORD_TTL};
use crate::encoding::base64_any;
use tsig::Key;

/// The operation "update" (RFC 2136 section 1.3), in its place in the flags.
const UPDATE: u16 = 5 << 11;

/// A name server that takes updates.
#[derive(Clone, PartialEq, Eq)]
pub struct Rfc2136Options {
    /// The server.
    pub server: SocketAddr,
    /// The zone; None asks the server which zone a name is in.
    pub zone: Option<String>,
    /// The name of the TSIG key.
    pub key_name: String,
    /// The secret, base64, as `tsig-keygen` writes it.
    pub secret: String,
    /// The key's algorithm.
    pub algorithm: TsigAlgorithm,
}

impl fmt::Debug for Rfc2136Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Rfc2136Options");
        debug.field("server", &self.server).field("key_name", &self.key_name).finish_non_exhaustive()
    }
}

/// The algorithm of a TSIG key (RFC 8945 section 6). The older ones are not secure any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TsigAlgorithm {
    /// `hmac-sha256`
    #[default]
    HmacSha256,
    /// `hmac-sha384`
    HmacSha384,
    /// `hmac-sha512`
    HmacSha512,
}

impl TsigAlgorithm {
    /// Its name in a config and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha384 => "hmac-sha384",
            Self::HmacSha512 => "hmac-sha512",
        }
    }
}

pub(super) struct Rfc2136 {
    options: Rfc2136Options,
}

impl Rfc2136 {
    pub(super) fn new(options: Rfc2136Options) -> Self {
        Self { options }
    }

    async fn update(&self, add: bool, name: &str, value: &str) -> Result<(), DnsError> {
        let options = &self.options;
        let secret =
            base64_any(&options.secret).ok_or_else(|| DnsError::new("the TSIG secret is not base64"))?;
        let key = Key { name: &options.key_name, algorithm: options.algorithm, secret: &secret };
        let zone = match &options.zone {
            Some(zone) => zone.trim_end_matches('.').to_ascii_lowercase(),
            None => self.zone(name).await?,
        };
        let id = random_id();
        let broken = || DnsError::new(format!("`{zone}`, `{name}` or the TSIG key's name is not a DNS name"));
        let message = update_message(id, &zone, (name, value), add).ok_or_else(broken)?;
        let now = SystemTime::now();
        let (message, mac) = key.sign(message, now).ok_or_else(broken)?;
        let fits = |answer: &Message| answer.id == id && answer.response;
        let server = options.server;
        let answer = send(server, &message, &fits).await;
        let (answer, bytes) = answer
            .map_err(|error| DnsError::new(format!("the name server {server} does not answer: {error}")))?;
        if answer.code != 0 {
            return Err(DnsError::new(refusal(&options.key_name, &zone, server, answer.code)));
        }
        key.verify(&answer, &bytes, &mac, now).ok_or_else(|| {
            DnsError::new(format!("the answer of the name server {server} is not signed by the TSIG key"))
        })
    }

    /// The zone that a name is in: the owner of the SOA record that the server gives for it.
    async fn zone(&self, name: &str) -> Result<String, DnsError> {
        let server = self.options.server;
        let mut next = Some(name);
        while let Some(candidate) = next {
            let answer = ask(server, candidate, TYPE_SOA, false).await;
            let answer = answer.map_err(|error| {
                DnsError::new(format!("the name server {server} does not answer: {error}"))
            })?;
            if let Some(record) = answer.of_type(TYPE_SOA).next() {
                return Ok(record.name.clone());
            }
            next = candidate.split_once('.').map(|(_, rest)| rest);
        }
        Err(DnsError::new(format!("the name server {server} has no zone for `{name}`")))
    }
}

/// Whether the message is signed by a key of zeros, as an answer to an empty signature: for the fuzz target.
pub(super) fn is_signed(message: &Message, bytes: &[u8], now: SystemTime) -> bool {
    let key = Key { name: "fuzz", algorithm: TsigAlgorithm::HmacSha256, secret: &[0; 32] };
    key.verify(message, bytes, &[], now).is_some()
}

fn refusal(key: &str, zone: &str, server: SocketAddr, code: u8) -> String {
    let why = match code {
        5 => format!("it refuses: may the key `{key}` update this zone?"),
        9 => format!("it does not know the key `{key}`, or the zone, or the clocks differ (NOTAUTH)"),
        10 => "the name is not in this zone (NOTZONE)".to_owned(),
        other => format!("response code {other}"),
    };
    format!("the name server {server} did not update the zone `{zone}`: {why}")
}

/// A message that adds or removes one TXT record (RFC 2136 sections 2 and 3.4.2).
fn update_message(id: u16, zone: &str, (name, value): (&str, &str), add: bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(256);
    push_u16(&mut out, id);
    push_u16(&mut out, UPDATE);
    [1, 0, 1, 0].into_iter().for_each(|count| push_u16(&mut out, count));
    push_name(&mut out, zone)?;
    push_u16(&mut out, TYPE_SOA);
    push_u16(&mut out, CLASS_IN);
    push_name(&mut out, name)?;
    push_u16(&mut out, TYPE_TXT);
    push_u16(&mut out, if add { CLASS_IN } else { CLASS_NONE });
    out.extend_from_slice(&if add { RECORD_TTL } else { 0 }.to_be_bytes());
    push_text(&mut out, value)?;
    Some(out)
}

impl DnsProvider for Rfc2136 {
    fn set<'a>(&'a self, name: &'a str, value: &'a str) -> DnsFuture<'a> {
        Box::pin(self.update(true, name, value))
    }

    fn remove<'a>(&'a self, name: &'a str, value: &'a str) -> DnsFuture<'a> {
        Box::pin(self.update(false, name, value))
    }
}
