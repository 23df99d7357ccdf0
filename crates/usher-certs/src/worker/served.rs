//! A certificate that is served, with its OCSP response.

use std::sync::Arc;
use std::time::SystemTime;

use usher_net::tls::{Certificate, Certificates};

use crate::encoding::hex;
use crate::ocsp::{self, Staple};
use crate::renewal::Lifetime;
use crate::storage::Storage;

/// A certificate and what is stapled to it.
#[derive(Clone, Debug)]
pub(super) struct Served {
    pub(super) certificate: Arc<Certificate>,
    pub(super) staple: Option<Staple>,
    /// When to fetch a response; None where there is no responder.
    pub(super) staple_next: Option<SystemTime>,
    pub(super) staple_failures: u32,
    pub(super) staple_error: Option<String>,
}

/// Where the response for a certificate is kept.
pub(super) fn staple_file(certificate: &Certificate) -> String {
    format!("ocsp/{}.der", hex(&certificate.fingerprint()))
}

impl Served {
    /// With the response that was kept, if it is still good.
    pub(super) fn new(
        certificate: Arc<Certificate>,
        storage: &Storage,
        (now, ocsp): (SystemTime, bool),
    ) -> Self {
        let asks = ocsp && certificate.ocsp_responder().is_some_and(|url| url.starts_with("http://"));
        let kept = if asks { storage.read(&staple_file(&certificate)).ok().flatten() } else { None };
        let staple = kept.and_then(|der| ocsp::check_kept(&der, &certificate, now));
        let staple_next = asks.then(|| staple.as_ref().map_or(now, Staple::refresh));
        Self { certificate, staple, staple_next, staple_failures: 0, staple_error: None }
    }

    /// Shows it to handshakes from now on.
    pub(super) fn install(&self, source: &str, certificates: &Certificates) {
        let certificate = match &self.staple {
            Some(staple) => Arc::new(Certificate::clone(&self.certificate).with_ocsp(staple.der.clone())),
            None => self.certificate.clone(),
        };
        certificates.set(source, vec![certificate]);
    }

    pub(super) fn lifetime(&self) -> Lifetime {
        let spread = f64::from(self.certificate.fingerprint()[0]) / 256.0;
        Lifetime {
            not_before: self.certificate.not_before(),
            not_after: self.certificate.not_after(),
            spread,
        }
    }

    pub(super) fn is_expired(&self, now: SystemTime) -> bool {
        self.certificate.not_after() <= now
    }
}
