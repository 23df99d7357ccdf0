//! An acme-dns server: it serves nothing but challenges, and `_acme-challenge.NAME` is a CNAME to a name of it. So the
//! credentials on this machine cannot change the real zone.

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::fmt;
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::limited::{is_limit, patiently};
use super::{DnsError, DnsFuture, DnsProvider};
use crate::http::{Http, Reply};

const WHO: &str = "acme-dns";
/// Between two records. It lets resolvers keep them for 1 s, so that a CA that has just looked would miss the next one; and
/// it tells by whole seconds which of its two records is the older one.
const PAUSE: Duration = Duration::from_secs(2);

/// An account at an acme-dns server, as its `/register` gave it.
#[derive(Clone, PartialEq, Eq)]
pub struct AcmeDnsOptions {
    /// Where the API is.
    pub base: String,
    /// `username` of the registration.
    pub username: String,
    /// `password` of the registration.
    pub password: String,
    /// `subdomain` of the registration.
    pub subdomain: String,
}

impl fmt::Debug for AcmeDnsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("AcmeDnsOptions");
        debug.field("base", &self.base).field("subdomain", &self.subdomain).finish_non_exhaustive()
    }
}

pub(super) struct AcmeDns {
    options: AcmeDnsOptions,
    http: Http,
    has_written: Cell<bool>,
}

impl AcmeDns {
    pub(super) fn new(options: AcmeDnsOptions, http: Http) -> Self {
        Self { options, http, has_written: Cell::new(false) }
    }

    async fn update(&self, value: &str) -> Result<(), DnsError> {
        if self.has_written.replace(true) {
            sleep(PAUSE).await;
        }
        let options = &self.options;
        let fields = [
            ("x-api-user", options.username.as_str()),
            ("x-api-key", options.password.as_str()),
            ("content-type", "application/json"),
        ];
        let body = json!({ "subdomain": options.subdomain, "txt": value }).to_string();
        let url = format!("{}/update", options.base.trim_end_matches('/'));
        let body = body.into_bytes();
        let call = async || Ok(self.http.call("POST", &url, &fields, body.clone()).await?);
        let reply = patiently(call, is_limit).await?;
        if reply.is_success() { Ok(()) } else { Err(failure(&reply)) }
    }
}

/// It says `forbidden` of everything that is wrong with an account, and why in its own log only.
fn failure(reply: &Reply) -> DnsError {
    let advice = match reply.status {
        401 => {
            "; check `username`, `password` and `subdomain` (one label), and that the account's `allowfrom` has this machine"
        }
        404 | 405 => "; check `url`",
        _ => return DnsError::status(WHO, "write the record", reply),
    };
    DnsError::advised(WHO, "write the record", reply, &reply.excerpt(), advice)
}

impl DnsProvider for AcmeDns {
    fn set<'a>(&'a self, _name: &'a str, value: &'a str) -> DnsFuture<'a> {
        Box::pin(self.update(value))
    }

    /// The server keeps the last two records and has no way to remove them.
    fn remove<'a>(&'a self, _name: &'a str, _value: &'a str) -> DnsFuture<'a> {
        Box::pin(async { Ok(()) })
    }

    /// It serves one name, to which the aliases lead.
    fn has_zones(&self) -> bool {
        false
    }

    /// The names of all certificates lead to the same two records.
    fn is_narrow(&self) -> bool {
        true
    }
}
