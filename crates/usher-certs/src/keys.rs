//! Keys, requests and certificates that are made here.

use std::net::IpAddr;

use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair, SanType};

use crate::options::KeyType;

/// What could not be made.
pub(crate) type KeyError = rcgen::Error;

/// A new key.
pub(crate) fn generate(kind: KeyType) -> Result<KeyPair, KeyError> {
    KeyPair::generate_for(match kind {
        KeyType::EcdsaP256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        KeyType::EcdsaP384 => &rcgen::PKCS_ECDSA_P384_SHA384,
        KeyType::Rsa2048 => &rcgen::PKCS_RSA_SHA256,
    })
}

/// Parameters for these names, with nothing else in them.
pub(crate) fn parameters(names: &[String]) -> Result<CertificateParams, KeyError> {
    let mut parameters = CertificateParams::new(names.to_vec())?;
    parameters.distinguished_name = DistinguishedName::new();
    Ok(parameters)
}

/// A certificate signing request for these names (RFC 8555 section 7.4), DER.
pub(crate) fn request(names: &[String], key: &KeyPair) -> Result<Vec<u8>, KeyError> {
    Ok(parameters(names)?.serialize_request(key)?.der().to_vec())
}

/// The certificate that answers a TLS-ALPN-01 challenge (RFC 8737 section 3): chain and key, PEM.
pub(crate) fn challenge(name: &str, digest: &[u8; 32]) -> Result<(String, String), KeyError> {
    let key = generate(KeyType::EcdsaP256)?;
    let mut parameters = parameters(&[])?;
    parameters.subject_alt_names = vec![match name.parse::<IpAddr>() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) => SanType::DnsName(name.try_into()?),
    }];
    parameters.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    Ok((parameters.self_signed(&key)?.pem(), key.serialize_pem()))
}

/// A certificate for tests.
#[cfg(test)]
pub(crate) fn self_signed(name: &str) -> Result<(String, String), KeyError> {
    let key = generate(KeyType::EcdsaP256)?;
    Ok((parameters(&[name.to_owned()])?.self_signed(&key)?.pem(), key.serialize_pem()))
}
