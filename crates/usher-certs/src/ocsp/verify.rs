//! Signatures of OCSP responses, and of the certificates of responders.

use std::time::SystemTime;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey,
    VerificationAlgorithm,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::der::{BITS, Der, OID, SEQUENCE, Value};
use crate::time::unix_seconds;

/// Certificates of responders that are looked at.
const MAX_CERTIFICATES: usize = 4;

/// The object identifiers of signature algorithms, with that of the key where it matters.
const SHA256_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11];
const SHA384_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12];
const SHA512_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13];
const SHA256_ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const SHA384_ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
const EDDSA: &[u8] = &[0x2b, 101, 112];
/// The length of an uncompressed point of P-256.
const P256_POINT: usize = 65;

/// A signature: its algorithm, its bytes, and the certificates that came with it.
pub(super) struct Signature<'a> {
    algorithm: &'a [u8],
    bytes: &'a [u8],
    certificates: Vec<&'a [u8]>,
}

/// What is signed in a basic response (RFC 6960 section 4.2.1), and its signature.
pub(super) fn split(basic: &[u8]) -> Option<(Value<'_>, Signature<'_>)> {
    let mut fields = Der::new(basic).take(SEQUENCE)?.inside();
    let data = fields.take(SEQUENCE)?;
    let algorithm = fields.take(SEQUENCE)?.inside().take(OID)?.content;
    let bytes = fields.take(BITS)?.content.strip_prefix(&[0])?;
    let mut certificates = Vec::new();
    if let Some(list) = fields.optional(0xa0) {
        let mut list = list.inside().take(SEQUENCE)?.inside();
        while let Some(certificate) = list.next().filter(|_| certificates.len() < MAX_CERTIFICATES) {
            certificates.push(certificate.whole);
        }
    }
    Some((data, Signature { algorithm, bytes, certificates }))
}

/// Whether the issuer itself has signed, or a responder that it has named for that (section 4.2.2.2).
pub(super) fn is_genuine(
    data: &Value<'_>,
    signature: &Signature<'_>,
    issuer: &[u8],
    now: SystemTime,
) -> bool {
    let signed = |certificate: &[u8]| {
        let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return false };
        let key = &certificate.public_key().subject_public_key.data;
        verify(signature.algorithm, key, data.whole, signature.bytes)
    };
    signed(issuer)
        || signature
            .certificates
            .iter()
            .any(|responder| is_responder(responder, issuer, now) && signed(responder))
}

/// Whether the issuer has made this a responder, for now.
fn is_responder(certificate: &[u8], issuer: &[u8], now: SystemTime) -> bool {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return false };
    let may = parsed.extended_key_usage().ok().flatten().is_some_and(|usage| usage.value.ocsp_signing);
    let (validity, now) = (parsed.validity(), unix_seconds(now));
    let current = validity.not_before.timestamp() <= now && now <= validity.not_after.timestamp();
    may && current && is_signed_by(certificate, issuer)
}

/// Whether a certificate (DER) was issued by the subject and signed by the key of another.
pub(crate) fn is_signed_by(certificate: &[u8], issuer: &[u8]) -> bool {
    let (Ok((_, parsed)), Ok((_, issuer))) =
        (X509Certificate::from_der(certificate), X509Certificate::from_der(issuer))
    else {
        return false;
    };
    let key = &issuer.public_key().subject_public_key.data;
    let algorithm = parsed.signature_algorithm.algorithm.as_bytes();
    let signed = parsed.tbs_certificate.as_ref();
    parsed.issuer().as_raw() == issuer.subject().as_raw()
        && verify(algorithm, key, signed, &parsed.signature_value.data)
}

fn verify(algorithm: &[u8], key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let small = key.len() == P256_POINT;
    let algorithm: &dyn VerificationAlgorithm = match algorithm {
        SHA256_RSA => &RSA_PKCS1_2048_8192_SHA256,
        SHA384_RSA => &RSA_PKCS1_2048_8192_SHA384,
        SHA512_RSA => &RSA_PKCS1_2048_8192_SHA512,
        SHA256_ECDSA if small => &ECDSA_P256_SHA256_ASN1,
        SHA256_ECDSA => &ECDSA_P384_SHA256_ASN1,
        SHA384_ECDSA if small => &ECDSA_P256_SHA384_ASN1,
        SHA384_ECDSA => &ECDSA_P384_SHA384_ASN1,
        EDDSA => &ED25519,
        _ => return false,
    };
    UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
}
