//! The end of an order: the certificate is signed, checked and kept (RFC 8555 section 7.4).

use std::sync::Arc;

use instant_acme::OrderStatus;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use usher_net::tls::Certificate;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::account::Session;
use super::explain::{Failure, FailureKind};
use super::order::{Order, POLL};
use super::steady;
use crate::keys;
use crate::names::covers;
use crate::options::Level;
use crate::storage::remember;

impl Order<'_> {
    /// Has the certificate signed, and keeps it.
    pub(super) async fn finalize(
        &mut self,
        session: &Session,
        mut order: instant_acme::Order,
    ) -> Result<Arc<Certificate>, Failure> {
        let storage = &self.around.storage;
        let local = |error: String| Failure::local(error);
        if order.state().status == OrderStatus::Pending || order.state().status == OrderStatus::Ready {
            let key = keys::generate(self.options.key_type).map_err(|error| local(error.to_string()))?;
            let request =
                keys::request(&self.target.names, &key).map_err(|error| local(error.to_string()))?;
            let saved = storage.save_pending_key(&self.target.id, key.serialize_pem().as_bytes());
            saved.map_err(|error| local(error.to_string()))?;
            if let Err(error) = steady!(order.finalize_csr(&request)) {
                let failure = session.failure("have a certificate signed", &error);
                if failure.kind == FailureKind::Refused {
                    self.forget()?;
                }
                return Err(failure);
            }
        }
        let chain = match steady!(order.poll_certificate(&POLL)) {
            Ok(chain) => self.preferred(session, chain).await,
            Err(error) => {
                let failure = session.failure("have a certificate signed", &error);
                if failure.kind == FailureKind::Refused {
                    self.forget()?;
                }
                return Err(failure);
            }
        };
        self.keep(&chain)
    }

    /// Checks what the CA gave, and keeps it.
    fn keep(&mut self, chain: &str) -> Result<Arc<Certificate>, Failure> {
        let storage = &self.around.storage;
        let id = &self.target.id;
        let local = |error: crate::storage::StorageError| Failure::local(error.to_string());
        let key = storage.pending_key(id).map_err(local)?.unwrap_or_default();
        // Whatever it is: the CA counts it.
        remember(&mut self.meta.issued, self.options.clock.now());
        let checked = Certificate::from_pem(chain.as_bytes(), &key)
            .map_err(|error| error.to_string())
            .and_then(|found| {
                let missing = self.target.names.iter().find(|name| !covers(found.names(), name));
                match missing {
                    Some(name) => Err(format!("it is not for `{name}`")),
                    None if found.not_after() <= self.options.clock.now() => {
                        Err("it has expired already".to_owned())
                    }
                    None => Ok(found),
                }
            });
        let certificate = match checked {
            Ok(certificate) => Arc::new(certificate),
            Err(why) => {
                self.forget()?;
                let label = self.authority.label();
                let sentence = format!("`{label}` gave a certificate that cannot be used: {why}");
                return Err(Failure { kind: FailureKind::Refused, sentence, retry_after: None });
            }
        };
        storage.save_chain(id, chain.as_bytes()).map_err(local)?;
        self.meta.order = None;
        Ok(certificate)
    }

    /// The chain that ends as preferred, where the CA offers several (section 7.4.2); else the first one.
    async fn preferred(&self, session: &Session, chain: String) -> String {
        let Some(wanted) = self.authority.preferred_chain.as_deref() else { return chain };
        if leads_to(&chain, wanted) {
            return chain;
        }
        let alternates = session.transport.seen().alternates.clone();
        for url in alternates {
            session.transport.seen().chain = None;
            // The library has no call for alternates. This one fetches any URL as the account, and finds no order in it;
            // the transport keeps the chain.
            let _ = steady!(session.account.order(url.clone()));
            let fetched = session.transport.seen().chain.take();
            let fetched = fetched.and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
            if let Some(other) = fetched.filter(|other| leads_to(other, wanted)) {
                return other;
            }
        }
        let text = format!("`{}` offers no chain to `{wanted}`; its first one is used", session.label);
        self.options.log.write(Level::Warn, &text);
        chain
    }
}

/// Whether a certificate of the chain was issued by this common name.
fn leads_to(chain: &str, wanted: &str) -> bool {
    CertificateDer::pem_slice_iter(chain.as_bytes()).flatten().any(|der| {
        X509Certificate::from_der(&der).is_ok_and(|(_, certificate)| {
            certificate.issuer().iter_common_name().any(|name| name.as_str() == Ok(wanted))
        })
    })
}
