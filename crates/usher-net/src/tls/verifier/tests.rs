use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose as Usage, IsCa, KeyPair, date_time_ymd,
};

use super::super::testing::{Authority, key, serving, shake};
use super::super::{Certificate, ConnectorOptions, TlsAcceptor, TlsConnector};
use crate::testing::run;

const AUTHORITY: IsCa = IsCa::Ca(BasicConstraints::Unconstrained);

/// A certificate that is signed with its own key.
fn own(is_ca: IsCa, key: &KeyPair, change: impl Fn(&mut CertificateParams)) -> String {
    let mut params = CertificateParams::new(["example.com".to_owned()]).expect("params");
    params.is_ca = is_ca;
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    change(&mut params);
    params.self_signed(key).expect("signed").pem()
}

/// Connects to a server with this certificate, and says what is wrong with it.
fn refusal(shown: &str, key: &KeyPair, roots: &str) -> Option<String> {
    let certificate = Certificate::from_pem(shown.as_bytes(), key.serialize_pem().as_bytes());
    let serving = serving(Vec::new());
    serving.certificates.set_default(Some(certificate.expect("a certificate").into()));
    let acceptor = TlsAcceptor::new(serving);
    let roots = Some(roots.as_bytes().to_vec());
    let mut found = Vec::new();
    for suite in ["TLS_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"] {
        let cipher_suites = vec![suite.to_owned()];
        let options = ConnectorOptions { roots: roots.clone(), cipher_suites, ..ConnectorOptions::default() };
        let connector = TlsConnector::new(options).expect("connector");
        let acceptor = acceptor.as_ref().expect("acceptor");
        let (_, client) = run(async { shake(acceptor, &connector, "example.com", 1 << 16).await });
        found.push(client.err().map(|error| error.text().to_owned()));
    }
    assert_eq!(found[0], found[1]);
    found.remove(0)
}

#[test]
fn a_self_signed_certificate_that_is_named_itself_is_trusted() {
    let key = key(false);
    let usual = own(AUTHORITY, &key, |_| ());
    let other = Authority::new("other");
    let both = format!("{}{usual}", other.pem);
    for roots in [&usual, &both] {
        assert_eq!(refusal(&usual, &key, roots), None);
    }
    let for_servers = own(AUTHORITY, &key, |params| params.extended_key_usages = vec![Usage::ServerAuth]);
    assert_eq!(refusal(&for_servers, &key, &for_servers), None);
    for is_ca in [IsCa::NoCa, IsCa::ExplicitNoCa] {
        let server = own(is_ca, &key, |_| ());
        assert_eq!(refusal(&server, &key, &server), None, "as ever");
    }
}

#[test]
fn a_self_signed_certificate_is_still_checked() {
    let key = key(false);
    let usual = own(AUTHORITY, &key, |_| ());
    let (authority, other) = ("CaUsedAsEndEntity", Authority::new("other"));
    let again = own(AUTHORITY, &key, |params| params.not_after = date_time_ymd(2041, 1, 1));
    let expired = own(AUTHORITY, &key, |params| params.not_after = date_time_ymd(2021, 1, 1));
    let future = own(AUTHORITY, &key, |params| params.not_before = date_time_ymd(2038, 1, 1));
    let for_others = own(AUTHORITY, &key, |params| params.subject_alt_names.clear());
    let for_clients = own(AUTHORITY, &key, |params| params.extended_key_usages = vec![Usage::ClientAuth]);
    let cases = [
        ("of the same key, but not the same", &usual, &again, authority),
        ("not named", &usual, &other.pem, authority),
        ("expired", &expired, &expired, "the certificate is expired"),
        ("not valid yet", &future, &future, "the certificate is not valid yet"),
        ("for no name", &for_others, &for_others, "the certificate is for another name"),
        ("for clients", &for_clients, &for_clients, authority),
    ];
    for (what, shown, roots, words) in cases {
        let refused = refusal(shown, &key, roots).expect(what);
        assert!(refused.contains(words), "{what}: {refused}");
    }
}
