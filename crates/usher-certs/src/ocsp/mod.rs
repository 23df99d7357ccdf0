//! OCSP (RFC 6960): asking a CA's responder whether a certificate is revoked, and checking what it says before it is stapled.
//!
//! A broken staple is worse than none, since browsers refuse the connection; and responders speak plain HTTP, so that the
//! signature is all there is to rely on.

mod der;
pub(crate) mod fuzzing;
#[cfg(test)]
mod tests;
mod verify;

use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use usher_net::tls::Certificate;
use x509_parser::prelude::{FromDer, X509Certificate};

use der::{Der, ENUMERATED, INTEGER, NULL, OCTETS, OID, SEQUENCE, Value, write};
pub(crate) use verify::is_signed_by;

use crate::http::Http;

/// `1.3.6.1.5.5.7.48.1.1`, the basic response.
const BASIC: [u8; 9] = [0x2b, 6, 1, 5, 5, 7, 48, 1, 1];
/// `1.3.14.3.2.26`, SHA-1: what responders know certificates by.
const SHA1: [u8; 5] = [0x2b, 14, 3, 2, 26];
/// Clocks may differ by this much.
const SKEW: Duration = Duration::from_secs(300);
/// How long a response without an end is used.
const NO_END: Duration = Duration::from_secs(24 * 3600);

/// A response that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Staple {
    pub(crate) der: Vec<u8>,
    pub(crate) since: SystemTime,
    pub(crate) until: SystemTime,
}

impl Staple {
    /// When to fetch the next one: at half of its validity.
    pub(crate) fn refresh(&self) -> SystemTime {
        self.since + self.until.duration_since(self.since).unwrap_or_default() / 2
    }
}

/// The DER of the first certificate in a PEM text.
pub(crate) fn first_der(pem: &str) -> Option<Vec<u8>> {
    CertificateDer::from_pem_slice(pem.as_bytes()).ok().map(|der| der.to_vec())
}

/// What identifies a certificate in OCSP (section 4.1.1): hashes of its issuer's name and key, and its serial number.
fn certificate_id(leaf: &[u8], issuer: &[u8]) -> Option<Vec<u8>> {
    let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
    let (_, issuer) = X509Certificate::from_der(issuer).ok()?;
    let name = digest(&SHA1_FOR_LEGACY_USE_ONLY, leaf.issuer().as_raw());
    let key = digest(&SHA1_FOR_LEGACY_USE_ONLY, &issuer.public_key().subject_public_key.data);
    let algorithm = write(SEQUENCE, &[&write(OID, &[&SHA1]), &write(NULL, &[])]);
    let (name, key) = (write(OCTETS, &[name.as_ref()]), write(OCTETS, &[key.as_ref()]));
    let serial = write(INTEGER, &[leaf.raw_serial()]);
    Some(write(SEQUENCE, &[&algorithm, &name, &key, &serial]))
}

/// The request for one certificate (section 4.1.1), without a nonce, so that responders can answer from a cache.
fn request(id: &[u8]) -> Vec<u8> {
    let one = write(SEQUENCE, &[id]);
    write(SEQUENCE, &[&write(SEQUENCE, &[&write(SEQUENCE, &[&one])])])
}

/// Fetches and checks a response for the certificate.
pub(crate) async fn fetch(http: &Http, certificate: &Certificate, now: SystemTime) -> Result<Staple, String> {
    let url = certificate.ocsp_responder().ok_or("the certificate names no OCSP responder")?;
    if !url.starts_with("http://") {
        return Err(format!("the OCSP responder `{url}` is not one of HTTP"));
    }
    let [leaf, issuer, ..] = certificate.der_chain() else {
        return Err("the chain has no issuer, without which OCSP cannot be asked".to_owned());
    };
    let id = certificate_id(leaf, issuer).ok_or("the certificate cannot be identified to OCSP")?;
    let fields = [("content-type", "application/ocsp-request"), ("accept", "application/ocsp-response")];
    let reply = http.call("POST", &url, &fields, request(&id)).await.map_err(|error| error.to_string())?;
    if !reply.is_success() {
        return Err(format!("the OCSP responder `{url}` answered {}", reply.status));
    }
    check(&reply.body, (&id, issuer), now).map_err(|why| format!("the OCSP responder `{url}`: {why}"))
}

/// Checks a response that was kept.
pub(crate) fn check_kept(der: &[u8], certificate: &Certificate, now: SystemTime) -> Option<Staple> {
    let [leaf, issuer, ..] = certificate.der_chain() else { return None };
    check(der, (&certificate_id(leaf, issuer)?, issuer), now).ok()
}

/// Whether the response says, signed and for now, that the certificate is good.
fn check(der: &[u8], (id, issuer): (&[u8], &[u8]), now: SystemTime) -> Result<Staple, String> {
    let broken = || "its response cannot be read".to_owned();
    let basic = basic(der).ok_or_else(broken)??;
    let (data, signer) = verify::split(basic).ok_or_else(broken)?;
    if !verify::is_genuine(&data, &signer, issuer, now) {
        return Err("its response is not signed by the CA".to_owned());
    }
    let (since, until) = answer_in(&data, id, now)?;
    Ok(Staple { der: der.to_vec(), since, until })
}

/// What is signed says that the certificate is good: from when until when.
fn answer_in(data: &Value<'_>, id: &[u8], now: SystemTime) -> Result<(SystemTime, SystemTime), String> {
    let broken = || "its response cannot be read".to_owned();
    let mut rest = data.inside();
    rest.optional(0xa0);
    // Who answers, by name or key: whose key it is was checked by the signature.
    rest.next().ok_or_else(broken)?;
    rest.next().ok_or_else(broken)?;
    let mut answers = rest.take(SEQUENCE).ok_or_else(broken)?.inside();
    while let Some(answer) = answers.next() {
        let mut fields = answer.inside();
        if fields.take(SEQUENCE).ok_or_else(broken)?.whole == id {
            let (since, until) = validity(&mut fields).ok_or_else(broken)??;
            if since > now + SKEW || until <= now {
                return Err("its response is not of now".to_owned());
            }
            return Ok((since, until));
        }
    }
    Err("its response is about another certificate".to_owned())
}

/// From when until when the certificate is said to be good.
fn validity(fields: &mut Der<'_>) -> Option<Result<(SystemTime, SystemTime), String>> {
    match fields.next()?.tag {
        0x80 => {}
        0xa1 => return Some(Err("it says that the certificate is revoked: it must be replaced".to_owned())),
        _ => return Some(Err("it does not know the certificate (yet)".to_owned())),
    }
    let since = der::time(&fields.next()?)?;
    let until = match fields.optional(0xa0) {
        Some(until) => der::time(&until.inside().next()?)?,
        None => since + NO_END,
    };
    Some(Ok((since, until)))
}

/// The basic response within a response (section 4.2.1). The inner error is what the responder says instead.
fn basic(der: &[u8]) -> Option<Result<&[u8], String>> {
    let mut all = Der::new(der);
    // What stands behind it would be stapled too.
    let mut response = all.take(SEQUENCE).filter(|_| all.is_empty())?.inside();
    let status = response.take(ENUMERATED)?.content;
    if status != [0] {
        let text = match status {
            [1] => "it cannot read the question",
            [3] => "it says to try later",
            [6] => "it does not answer for this certificate",
            _ => "it failed",
        };
        return Some(Err(text.to_owned()));
    }
    let mut bytes = response.take(0xa0)?.inside().take(SEQUENCE)?.inside();
    let kind = bytes.take(OID)?.content;
    let basic = bytes.take(OCTETS)?.content;
    (kind == BASIC).then_some(Ok(basic))
}
