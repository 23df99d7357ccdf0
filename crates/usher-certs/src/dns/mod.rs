//! DNS-01: who writes the records, and whether they are seen.
//!
//! One folder per way to write them. A provider adds a TXT record beside others of the same name, since a wildcard and its
//! parent have their challenges at the same name, and removes exactly what it added.

mod acme_dns;
mod alias;
mod cloudflare;
mod command;
mod desec;
mod exchange;
pub(crate) mod fuzzing;
mod limited;
mod propagation;
mod rfc2136;
mod route53;
#[cfg(test)]
pub(crate) mod testing;
mod wire;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

pub use acme_dns::AcmeDnsOptions;
pub(crate) use alias::target;
pub use cloudflare::CloudflareOptions;
pub use command::CommandOptions;
pub use desec::DeSecOptions;
pub(crate) use propagation::wait;
pub use rfc2136::{Rfc2136Options, TsigAlgorithm};
pub use route53::Route53Options;

use crate::http::{Http, Reply};

/// How long the records live in caches, in seconds: they are needed for minutes only.
const RECORD_TTL: u32 = 60;

/// Who writes the records of DNS-01.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsOptions {
    /// A program.
    Command(CommandOptions),
    /// A name server that takes dynamic updates.
    Rfc2136(Rfc2136Options),
    /// Cloudflare.
    Cloudflare(CloudflareOptions),
    /// Amazon Route 53.
    Route53(Route53Options),
    /// deSEC.
    DeSec(DeSecOptions),
    /// An acme-dns server.
    AcmeDns(AcmeDnsOptions),
}

/// Why a record was not written or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DnsError(String);

impl DnsError {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// An API answered with something else than success.
    fn status(who: &str, doing: &str, reply: &Reply) -> Self {
        Self::said(who, doing, reply, &reply.excerpt())
    }

    /// The same with what is worth reading of its answer.
    fn said(who: &str, doing: &str, reply: &Reply, what: &str) -> Self {
        let advice = match reply.status {
            401 | 403 => "; check the token and what it may do",
            429 => "; it limits how often it may be asked",
            _ => "",
        };
        Self::advised(who, doing, reply, what, advice)
    }

    /// The same with what to do next.
    fn advised(who: &str, doing: &str, reply: &Reply, what: &str, advice: &str) -> Self {
        Self(format!("{who} answered {} when asked to {doing}: {what}{advice}", reply.status))
    }
}

impl fmt::Display for DnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DnsError {}

impl From<crate::http::HttpError> for DnsError {
    fn from(error: crate::http::HttpError) -> Self {
        Self(error.to_string())
    }
}

/// The result of writing or removing a record, on the thread that obtains certificates.
pub(crate) type DnsFuture<'a> = Pin<Box<dyn Future<Output = Result<(), DnsError>> + 'a>>;

/// Writes TXT records.
pub(crate) trait DnsProvider {
    /// Adds the TXT record `name` (without trailing dot) with this value, beside others.
    fn set<'a>(&'a self, name: &'a str, value: &'a str) -> DnsFuture<'a>;
    /// Removes it; it is fine if it is not there.
    fn remove<'a>(&'a self, name: &'a str, value: &'a str) -> DnsFuture<'a>;
    /// Whether it writes to whatever zone a name is in, so that aliases can be followed.
    fn has_zones(&self) -> bool {
        true
    }
    /// Whether only one order at a time can have its records there.
    fn is_narrow(&self) -> bool {
        false
    }
}

/// The provider of all orders. It is one, since many change sets of records by reading and writing them.
pub(crate) struct Shared {
    options: DnsOptions,
    provider: Box<dyn DnsProvider>,
    turn: Arc<Mutex<()>>,
}

impl Shared {
    pub(crate) fn new(options: &DnsOptions, http: &Http) -> Rc<Self> {
        let provider = provider(options, http);
        Rc::new(Self { options: options.clone(), provider, turn: Arc::default() })
    }

    /// Whether it is the one of these options.
    pub(crate) fn is_of(&self, options: &DnsOptions) -> bool {
        self.options == *options
    }

    pub(crate) fn provider(&self) -> &dyn DnsProvider {
        &*self.provider
    }

    /// Waits until an order may have its records there: until it drops what it is given.
    pub(crate) async fn turn(&self) -> Option<OwnedMutexGuard<()>> {
        let turn = self.provider.is_narrow().then(|| self.turn.clone())?;
        Some(turn.lock_owned().await)
    }
}

/// The provider of these options.
pub(crate) fn provider(options: &DnsOptions, http: &Http) -> Box<dyn DnsProvider> {
    match options {
        DnsOptions::Command(options) => Box::new(command::Command::new(options.clone())),
        DnsOptions::Rfc2136(options) => Box::new(rfc2136::Rfc2136::new(options.clone())),
        DnsOptions::Cloudflare(options) => {
            Box::new(cloudflare::Cloudflare::new(options.clone(), http.clone()))
        }
        DnsOptions::Route53(options) => Box::new(route53::Route53::new(options.clone(), http.clone())),
        DnsOptions::DeSec(options) => Box::new(desec::DeSec::new(options.clone(), http.clone())),
        DnsOptions::AcmeDns(options) => Box::new(acme_dns::AcmeDns::new(options.clone(), http.clone())),
    }
}

/// The zones that a name may be in, the longest first: itself, as the challenges may be a zone of their own, and its parents
/// but the root, without those of one label.
fn parents(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| name.split_once('.').map(|(_, rest)| rest))
        .filter(|name| name.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn orders_take_turns_where_only_two_records_can_be() {
        let http = Http::new(None).unwrap();
        let narrow = DnsOptions::AcmeDns(AcmeDnsOptions {
            base: "http://127.0.0.1:1".to_owned(),
            username: String::new(),
            password: String::new(),
            subdomain: String::new(),
        });
        let shared = Shared::new(&narrow, &http);
        assert!(shared.is_of(&narrow));
        let first = shared.turn().await;
        assert!(first.is_some());
        let mut second = Box::pin(shared.turn());
        let waits = std::future::poll_fn(|context| {
            std::task::Poll::Ready(second.as_mut().poll(context).is_pending())
        });
        assert!(waits.await);
        drop(first);
        assert!(second.await.is_some());
        let wide = DnsOptions::Cloudflare(CloudflareOptions::new("secret"));
        assert!(Shared::new(&wide, &http).turn().await.is_none() && !shared.is_of(&wide));
    }

    #[test]
    fn parents_end_above_single_labels() {
        let found: Vec<&str> = super::parents("_acme-challenge.a.example.com").collect();
        assert_eq!(found, ["_acme-challenge.a.example.com", "a.example.com", "example.com"]);
    }
}
