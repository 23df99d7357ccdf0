//! Certificates for tests: an authority that lives as long as the test, and what it signs.

use crate::{Error, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, RsaKeySize,
};
use std::time::{Duration, SystemTime};

/// Before now, so that clocks may differ; and after, as long as public authorities give.
const DAY: Duration = Duration::from_secs(86_400);
const BEGAN: Duration = DAY;
const ENDS: Duration = Duration::from_secs(89 * 86_400);

/// A certificate authority of its own, that nobody knows unless told.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its private key, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The certificate; that of the authority is not in it.
    pub cert: String,
    /// Its private key (PKCS #8).
    pub key: String,
}

impl Authority {
    /// A new one; no two have the same key, whatever they are called.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = params(&[], name)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(failed)?;
        CertifiedIssuer::self_signed(params, key).map(Self).map_err(failed)
    }

    /// Its certificate, PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// For a server with these names and IP addresses, ECDSA on P-256.
    pub fn server(&self, names: &[&str]) -> Result<Leaf> {
        self.sign(names, ExtendedKeyUsagePurpose::ServerAuth, &KeyPair::generate().map_err(failed)?)
    }

    /// The same, RSA of 2048 bits.
    pub fn rsa_server(&self, names: &[&str]) -> Result<Leaf> {
        let key = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).map_err(failed)?;
        self.sign(names, ExtendedKeyUsagePurpose::ServerAuth, &key)
    }

    /// For a client; the name is its subject's common name and a DNS name.
    pub fn client(&self, name: &str) -> Result<Leaf> {
        self.sign(&[name], ExtendedKeyUsagePurpose::ClientAuth, &KeyPair::generate().map_err(failed)?)
    }

    fn sign(&self, names: &[&str], purpose: ExtendedKeyUsagePurpose, key: &KeyPair) -> Result<Leaf> {
        let mut params = params(names, names.first().copied().unwrap_or_default())?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        params.use_authority_key_identifier_extension = true;
        let cert = params.signed_by(key, &self.0).map_err(failed)?;
        Ok(Leaf { cert: cert.pem(), key: key.serialize_pem() })
    }
}

fn params(names: &[&str], subject: &str) -> Result<CertificateParams> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).map_err(failed)?;
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, subject);
    let now = SystemTime::now();
    params.not_before = (now - BEGAN).into();
    params.not_after = (now + ENDS).into();
    Ok(params)
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn failed(error: rcgen::Error) -> Error {
    Error::usage(format!("cannot make a certificate: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_servers_and_clients() {
        let authority = Authority::new("tests").unwrap();
        let (server, other) =
            (authority.server(&["a.test", "127.0.0.1"]).unwrap(), authority.client("b").unwrap());
        assert!(server.cert.starts_with("-----BEGIN CERTIFICATE-----"), "{}", server.cert);
        assert!(server.key.contains("PRIVATE KEY"), "{}", server.key);
        assert_ne!(server, other);
        assert!(authority.rsa_server(&["a.test"]).unwrap().key.len() > 1000);
        assert_ne!(authority.pem(), Authority::new("tests").unwrap().pem());
    }
}
