//! Which requests are answered at all.
//!
//! The admin endpoint listens where only its operator comes, but so does the operator's browser, and any web page may
//! make it send requests. Two rules keep pages out:
//! - *DNS rebinding*: a page may make its own name resolve to our address and so read our answers. Such a request
//!   carries the page's name in Host; we answer only to names that cannot be anybody's: `localhost` and addresses.
//! - *Cross-site requests*: a page may send, but not read, "simple" requests to anybody. A POST must carry a header
//!   that a simple request cannot have; for others the browser asks us first, and we never agree (no CORS).

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use axum::http::{HeaderMap, header};

/// A header by which a POST shows that no web page sent it.
pub(crate) const PROOF: &str = "x-usher-admin";

/// The address that the endpoint is bound to; `None` for a Unix socket, which browsers cannot reach.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guard {
    bound: Option<IpAddr>,
}

impl Guard {
    pub(crate) fn new(bound: Option<IpAddr>) -> Self {
        Self { bound }
    }

    /// Whether the request asks for us by a name that is ours.
    pub(crate) fn knows_host(&self, headers: &HeaderMap) -> bool {
        let Some(bound) = self.bound else { return true };
        let mut hosts = headers.get_all(header::HOST).iter();
        match (hosts.next().map(|host| host.to_str()), hosts.next()) {
            (Some(Ok(host)), None) => is_ours(host, bound),
            _ => false,
        }
    }

    /// Whether a request that changes something cannot come from a web page.
    pub(crate) fn is_deliberate(&self, headers: &HeaderMap) -> bool {
        let json = |value: &str| {
            let kind = value.split(';').next().unwrap_or_default();
            kind.trim().eq_ignore_ascii_case("application/json")
        };
        let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        headers.contains_key(PROOF) || kind.is_some_and(json)
    }
}

/// `localhost`, a loopback address, or the address that we are bound to: any address if that is the unspecified one.
fn is_ours(host: &str, bound: IpAddr) -> bool {
    let Some(name) = without_port(host) else { return false };
    if name.trim_end_matches('.').eq_ignore_ascii_case("localhost") {
        return true;
    }
    let literal = name.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(name);
    let Ok(ip) = literal.parse::<IpAddr>() else { return false };
    let (ip, bound) = (ip.to_canonical(), bound.to_canonical());
    ip.is_loopback() || ip == bound || bound.is_unspecified()
}

/// The host of `uri-host [":" port]` (RFC 9110, section 7.2); `None` if what follows is no port.
fn without_port(host: &str) -> Option<&str> {
    let end = match host.strip_prefix('[') {
        Some(inner) => inner.find(']')? + 2,
        None => host.find(':').unwrap_or(host.len()),
    };
    let (name, rest) = host.split_at_checked(end)?;
    let port = rest.strip_prefix(':').unwrap_or(rest);
    let plain = rest.is_empty() || rest.starts_with(':');
    (plain && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit())).then_some(name)
}
