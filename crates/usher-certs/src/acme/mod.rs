//! Certificates from a CA by ACME (RFC 8555): `account.rs`, `order.rs` and `challenge.rs` are the steps; `limits.rs` keeps us
//! well below what CAs allow; `explain.rs` says what went wrong.

mod account;
mod bound;
mod challenge;
mod explain;
mod finalize;
mod limits;
mod order;
mod transport;
mod window;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use usher_api::HttpChallenges;
use usher_net::tls::Certificates;

pub(crate) use explain::{Failure, FailureKind};
pub(crate) use order::Order;
pub(crate) use window::renewal_window;

use crate::dns::{self, DnsOptions};
use crate::http::Http;
use crate::options::Authority;
use crate::storage::Storage;
use transport::Directories;

/// Errors of a rejected nonce in a row that are overcome; the protocol's library overcomes two by itself each time.
const NONCE_RETRIES: usize = 5;

/// Repeats a request while the CA does not take its nonce (RFC 8555 section 6.5): nothing was done then.
macro_rules! steady {
    ($call:expr) => {{
        let mut left = $crate::acme::NONCE_RETRIES;
        loop {
            match $call.await {
                Err(error) if left > 0 && $crate::acme::explain::is_problem(&error, "badNonce") => left -= 1,
                other => break other,
            }
        }
    }};
}
pub(crate) use steady;

/// A client, with the roots that it was made for.
type Client = (Option<Vec<u8>>, Http);

/// What orders need of their surroundings.
pub(crate) struct Surroundings {
    pub(crate) storage: Storage,
    pub(crate) certificates: Arc<Certificates>,
    pub(crate) challenges: Arc<HttpChallenges>,
    directories: Directories,
    /// A client per CA, by its directory, with the roots that it was made for; the one without trusts the system's.
    clients: RefCell<HashMap<String, Client>>,
    /// Who writes the records of DNS-01, for all orders.
    provider: RefCell<Option<Rc<dns::Shared>>>,
}

impl Surroundings {
    pub(crate) fn new(
        storage: Storage,
        certificates: Arc<Certificates>,
        challenges: Arc<HttpChallenges>,
    ) -> Self {
        let (clients, provider) = (RefCell::default(), RefCell::default());
        Self { storage, certificates, challenges, directories: Directories::default(), clients, provider }
    }

    /// Who writes the records of DNS-01 by these options: the same for all orders.
    fn provider(&self, options: &DnsOptions) -> Result<Rc<dns::Shared>, Failure> {
        let known = self.provider.borrow().clone().filter(|known| known.is_of(options));
        if let Some(known) = known {
            return Ok(known);
        }
        let provider = dns::Shared::new(options, &self.plain_client()?);
        Ok(self.provider.borrow_mut().insert(provider).clone())
    }

    /// The client that trusts what the CA's options say.
    fn client(&self, authority: &Authority) -> Result<Http, Failure> {
        self.client_for(authority.url(), authority.roots.as_ref())
    }

    /// The client for everything but CAs.
    pub(crate) fn plain_client(&self) -> Result<Http, Failure> {
        self.client_for("", None)
    }

    fn client_for(&self, url: &str, roots: Option<&Vec<u8>>) -> Result<Http, Failure> {
        if let Some((known, http)) = self.clients.borrow().get(url)
            && known.as_ref() == roots
        {
            return Ok(http.clone());
        }
        let http = Http::new(roots.map(Vec::as_slice)).map_err(Failure::local)?;
        self.clients.borrow_mut().insert(url.to_owned(), (roots.cloned(), http.clone()));
        Ok(http)
    }
}
