//! What the tests of TLS share: authorities, certificates, and handshakes in memory.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256,
    RevokedCertParams, RsaKeySize, SerialNumber, date_time_ymd,
};

use super::*;
use crate::memory::MemoryStream;

/// Who signs.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate, PEM.
    pub(super) pem: String,
}

/// A certificate and its key, PEM.
pub(super) struct Issued {
    pub(super) chain: String,
    pub(super) key: String,
}

impl Issued {
    pub(super) fn certificate(&self) -> Arc<Certificate> {
        Arc::new(Certificate::from_pem(self.chain.as_bytes(), self.key.as_bytes()).expect("a certificate"))
    }
}

/// What a certificate is to say.
#[derive(Clone)]
pub(super) struct Wanted<'a> {
    pub(super) names: &'a [&'a str],
    pub(super) common: &'a str,
    pub(super) serial: u64,
    pub(super) rsa: bool,
    pub(super) years: (i32, i32),
}

impl Default for Wanted<'_> {
    fn default() -> Self {
        Self { names: &["example.com"], common: "test", serial: 1, rsa: false, years: (2020, 2040) }
    }
}

pub(super) fn key(rsa: bool) -> KeyPair {
    if rsa {
        KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key")
    } else {
        KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key")
    }
}

fn authority(name: &str, serial: u64) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).expect("params");
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(serial));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let (params, key) = (authority(name, 1), key(false));
        let pem = params.self_signed(&key).expect("signed").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// One that this one vouches for.
    pub(super) fn below(&self, name: &str, serial: u64) -> Self {
        let (params, key) = (authority(name, serial), key(false));
        let pem = params.signed_by(&key, &self.issuer).expect("signed").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    pub(super) fn issue(&self, wanted: &Wanted<'_>) -> Issued {
        let names: Vec<String> = wanted.names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("params");
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Example, Inc.");
        params.distinguished_name.push(DnType::CommonName, wanted.common);
        params.serial_number = Some(SerialNumber::from(wanted.serial));
        params.not_before = date_time_ymd(wanted.years.0, 1, 1);
        params.not_after = date_time_ymd(wanted.years.1, 1, 1);
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = key(wanted.rsa);
        let chain = params.signed_by(&key, &self.issuer).expect("signed").pem();
        Issued { chain, key: key.serialize_pem() }
    }

    /// For these names, with a key for ECDSA.
    pub(super) fn certificate(&self, names: &[&str]) -> Arc<Certificate> {
        self.issue(&Wanted { names, ..Wanted::default() }).certificate()
    }

    pub(super) fn crl(&self, revoked: &[u64], until: i32) -> String {
        let entry = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2021, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2021, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).expect("signed").pem().expect("pem")
    }

    /// Connects to what this authority vouches for.
    pub(super) fn connector(&self) -> ConnectorOptions {
        ConnectorOptions { roots: Some(self.pem.clone().into_bytes()), ..ConnectorOptions::default() }
    }
}

/// Options of a server that has these certificates.
pub(super) fn serving(certificates: Vec<Arc<Certificate>>) -> AcceptorOptions {
    let all = Certificates::new();
    all.set("test", certificates);
    AcceptorOptions::new(all, TicketKeys::new())
}

pub(super) type Pair =
    (Result<TlsStream<MemoryStream>, HandshakeError>, Result<TlsStream<MemoryStream>, HandshakeError>);

/// A handshake in memory: what the server says of it, and what the client does. After that, each has heard the other.
pub(super) async fn shake(
    acceptor: &TlsAcceptor,
    connector: &TlsConnector,
    name: &str,
    capacity: usize,
) -> Pair {
    let (left, right) = MemoryStream::pair(capacity);
    let server = async {
        let mut accepted = accept(left, Vec::new(), acceptor).await;
        if let Ok(stream) = &mut accepted {
            crate::testing::write_all(stream, b"!").await.expect("a greeting");
        }
        accepted
    };
    let client = async {
        let mut stream = connector.connect(right, name).await?;
        // In TLS 1.3, only then is it known whether the server took our certificate.
        let mut greeting = [0];
        crate::testing::read(&mut stream, &mut greeting).await?;
        Ok(stream)
    };
    tokio::join!(server, client)
}

/// As [`shake`], where nothing goes wrong: the server's stream and the client's.
pub(super) async fn shaken(
    acceptor: &TlsAcceptor,
    connector: &TlsConnector,
    name: &str,
) -> (TlsStream<MemoryStream>, TlsStream<MemoryStream>) {
    let (server, client) = shake(acceptor, connector, name, 1 << 16).await;
    (server.expect("accepted"), client.expect("connected"))
}

/// Both ends of a connection as most tests need it.
pub(super) fn usual() -> (TlsAcceptor, TlsConnector) {
    let authority = Authority::new("root");
    let acceptor =
        TlsAcceptor::new(serving(vec![authority.certificate(&["example.com"])])).expect("acceptor");
    (acceptor, TlsConnector::new(authority.connector()).expect("connector"))
}
