//! Certificates of clients.

use super::*;

fn asking(authority: &Authority, required: bool, crls: Vec<Vec<u8>>) -> AcceptorOptions {
    let mut options = serving(vec![authority.certificate(&["example.com"])]);
    options.client_auth = Some(ClientAuth { roots: authority.pem.clone().into_bytes(), required, crls });
    options
}

fn showing(authority: &Authority, certificate: Option<Arc<Certificate>>) -> ConnectorOptions {
    ConnectorOptions { client: certificate, ..authority.connector() }
}

#[test]
fn clients_are_asked_and_checked() {
    let (authority, other) = (Authority::new("root"), Authority::new("other"));
    let good = authority.issue(&Wanted { names: &["client.example"], ..Wanted::default() }).certificate();
    let foreign = other.issue(&Wanted::default()).certificate();
    let expired = authority.issue(&Wanted { years: (2020, 2021), ..Wanted::default() }).certificate();
    let bad = Some(Kind::BadClientCertificate);
    let cases = [
        (true, Some(&good), None, true),
        (true, None, bad, false),
        (true, Some(&foreign), bad, false),
        (true, Some(&expired), bad, false),
        (false, Some(&good), None, true),
        (false, None, None, false),
        (false, Some(&foreign), bad, false),
    ];
    for suites in [vec![], vec!["ECDHE-ECDSA-AES128-GCM-SHA256".to_owned()]] {
        for (index, (required, client, expected, shown)) in cases.iter().enumerate() {
            let acceptor = acceptor(asking(&authority, *required, vec![]));
            let options =
                ConnectorOptions { cipher_suites: suites.clone(), ..showing(&authority, client.cloned()) };
            let connector = connector(options);
            run(async {
                let (server, client) = shake(&acceptor, &connector, "example.com", 1 << 16).await;
                assert_eq!(client.is_ok(), expected.is_none(), "{index}");
                match server {
                    Ok(stream) => {
                        assert_eq!((None, stream.session().client.is_some()), (*expected, *shown), "{index}")
                    }
                    Err(error) => assert_eq!(Some(error.kind()), *expected, "{index}"),
                }
            });
        }
    }
}

#[test]
fn says_who_the_client_is() {
    let authority = Authority::new("root");
    let wanted = Wanted {
        names: &["client.example", "192.0.2.7"],
        common: "Ann, \"A\"",
        serial: 77,
        ..Wanted::default()
    };
    let certificate = authority.issue(&wanted).certificate();
    let acceptor = acceptor(asking(&authority, true, vec![]));
    let connector = connector(showing(&authority, Some(Arc::clone(&certificate))));
    run(async {
        let (server, _) = shaken(&acceptor, &connector, "example.com").await;
        let client = server.session().client.as_ref().expect("a client");
        assert_eq!(client.subject, "CN=Ann\\, \\\"A\\\",O=Example\\, Inc.");
        assert_eq!((client.issuer.as_str(), client.serial.as_str()), ("CN=root", "4D"));
        assert_eq!(client.sans, ["DNS:client.example", "IP:192.0.2.7"]);
        assert_eq!(client.not_after, certificate.not_after());
        assert_eq!(client.der, certificate.der_chain()[0].as_ref());
        let hex: String = certificate.fingerprint().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(client.fingerprint, hex);
    });
}

#[test]
fn revoked_clients_are_refused() {
    let (authority, other) = (Authority::new("root"), Authority::new("other"));
    let issue = |serial| authority.issue(&Wanted { serial, ..Wanted::default() }).certificate();
    let (good, revoked) = (issue(5), issue(6));
    let crl = authority.crl(&[6, 7], 2040);
    let der =
        rustls::pki_types::CertificateRevocationListDer::from_pem_slice(crl.as_bytes()).expect("a list");
    let cases = [
        (vec![crl.clone().into_bytes()], &good, None),
        (vec![crl.into_bytes()], &revoked, Some("the certificate is revoked")),
        (vec![der.as_ref().to_vec()], &revoked, Some("the certificate is revoked")),
        (vec![authority.crl(&[6], 2022).into_bytes()], &good, Some("the revocation list is expired")),
        (vec![other.crl(&[6], 2040).into_bytes()], &good, Some("no revocation list covers the certificate")),
    ];
    for (index, (crls, client, expected)) in cases.into_iter().enumerate() {
        let acceptor = acceptor(asking(&authority, true, crls));
        let connector = connector(showing(&authority, Some(Arc::clone(client))));
        run(async {
            let (server, _) = shake(&acceptor, &connector, "example.com", 1 << 16).await;
            assert_eq!(server.err().map(|error| error.text().to_owned()).as_deref(), expected, "{index}");
        });
    }
    let broken = asking(&authority, true, vec![b"nothing".to_vec()]);
    assert!(matches!(TlsAcceptor::new(broken), Err(TlsError::RevocationList(_))));
    let broken = asking(&authority, true, vec![vec![0x30, 1, 0]]);
    assert!(matches!(TlsAcceptor::new(broken), Err(TlsError::RevocationList(_))));
    let mut broken = asking(&authority, true, vec![]);
    broken.client_auth.as_mut().expect("asking").roots.clear();
    assert!(matches!(TlsAcceptor::new(broken), Err(TlsError::Roots(_))));
}

#[test]
fn authorities_in_between_can_be_revoked() {
    let authority = Authority::new("root");
    let below = authority.below("below", 9);
    let mut issued = below.issue(&Wanted { serial: 5, ..Wanted::default() });
    issued.chain.push_str(&below.pem);
    let client = issued.certificate();
    let (own, revoked) = (below.crl(&[6], 2040), below.crl(&[5], 2040));
    let (others, revoking) = (authority.crl(&[8], 2040), authority.crl(&[9], 2040));
    let cases = [
        // Of an authority in between, a list may be missing, as few have one; of the client's own, it may not.
        (vec![&own], None),
        (vec![&others, &own], None),
        (vec![&own, &revoking], Some("the certificate is revoked")),
        (vec![&revoking], Some("no revocation list covers the certificate")),
        (vec![&revoked], Some("the certificate is revoked")),
    ];
    for (index, (crls, expected)) in cases.into_iter().enumerate() {
        let crls = crls.into_iter().map(|list| list.clone().into_bytes()).collect();
        let acceptor = acceptor(asking(&authority, true, crls));
        let connector = connector(showing(&authority, Some(Arc::clone(&client))));
        run(async {
            let (server, _) = shake(&acceptor, &connector, "example.com", 1 << 16).await;
            assert_eq!(server.err().map(|error| error.text().to_owned()).as_deref(), expected, "{index}");
        });
    }
}

use rustls::pki_types::pem::PemObject;
