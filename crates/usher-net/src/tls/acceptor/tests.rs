use rustls::AlertDescription as Alert;

use super::super::testing::{Authority, Wanted, serving, shake, shaken, usual};
use super::super::{Certificate, ClientAuth, ConnectorOptions, HandshakeErrorKind as Kind, TlsConnector};
use super::*;
use crate::memory::MemoryStream;
use crate::testing::{read_all, run, shutdown, write_all};

mod clients;
mod resumption;
mod tampering;

/// The kind of error of the server, if any, and what the client says.
fn outcome(
    acceptor: &TlsAcceptor,
    connector: &TlsConnector,
    name: &str,
) -> (Option<Kind>, Result<(), String>) {
    run(async {
        let (server, client) = shake(acceptor, connector, name, 1 << 16).await;
        (server.err().map(|error| error.kind()), client.map(drop).map_err(|error| error.text().to_owned()))
    })
}

fn acceptor(options: AcceptorOptions) -> TlsAcceptor {
    TlsAcceptor::new(options).expect("acceptor")
}

fn connector(options: ConnectorOptions) -> TlsConnector {
    TlsConnector::new(options).expect("connector")
}

#[test]
fn shows_the_certificate_of_the_name() {
    let authority = Authority::new("root");
    let options = serving(vec![
        authority.certificate(&["a.example", "192.0.2.1"]),
        authority.certificate(&["*.b.example"]),
    ]);
    let certificates = Arc::clone(&options.certificates);
    let acceptor = acceptor(options);
    let connector = connector(authority.connector());
    let unknown = || (Some(Kind::UnknownName), Err("the peer sent the alert `unrecognized_name`".to_owned()));
    assert_eq!(outcome(&acceptor, &connector, "a.example"), (None, Ok(())));
    assert_eq!(outcome(&acceptor, &connector, "x.b.example"), (None, Ok(())));
    assert_eq!(outcome(&acceptor, &connector, "b.example"), unknown());
    assert_eq!(outcome(&acceptor, &connector, "x.y.b.example"), unknown());
    assert_eq!(outcome(&acceptor, &connector, "192.0.2.1"), unknown());
    certificates.set_default(Some(authority.certificate(&["192.0.2.1", "other.example"])));
    assert_eq!(outcome(&acceptor, &connector, "192.0.2.1"), (None, Ok(())));
    assert_eq!(outcome(&acceptor, &connector, "[192.0.2.1]"), (None, Ok(())));
    assert_eq!(outcome(&acceptor, &connector, "other.example"), (None, Ok(())));
    let (server, client) = outcome(&acceptor, &connector, "b.example");
    assert_eq!(
        (server, client),
        (Some(Kind::Refused), Err("the certificate is for another name".to_owned()))
    );
    certificates.remove("test");
    certificates.set_default(None);
    assert_eq!(outcome(&acceptor, &connector, "a.example"), unknown());
}

#[test]
fn says_what_was_agreed() {
    let authority = Authority::new("root");
    let mut options = serving(vec![authority.certificate(&["example.com"])]);
    options.alpn = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = acceptor(options);
    let connector = connector(ConnectorOptions {
        alpn: vec![b"http/1.1".to_vec(), b"h2".to_vec()],
        ..authority.connector()
    });
    run(async {
        let (server, client) = shaken(&acceptor, &connector, "Example.com").await;
        for session in [server.session(), client.session()] {
            assert_eq!(session.version, "TLSv1.3");
            assert_eq!(session.cipher, "TLS_AES_128_GCM_SHA256");
            assert_eq!(session.group, "X25519MLKEM768");
            assert_eq!(session.server_name.as_deref(), Some("example.com"));
            assert_eq!(session.alpn.as_deref(), Some(&b"h2"[..]), "the server's preference");
            assert!(!session.resumed && session.client.is_none());
        }
    });
}

#[test]
fn protocols_are_agreed_or_refused() {
    let authority = Authority::new("root");
    let mut options = serving(vec![authority.certificate(&["example.com"])]);
    options.alpn = vec![b"h2".to_vec()];
    let acceptor = acceptor(options);
    let cases: [(&[&str], Option<Kind>); 3] =
        [(&["h2", "x"], None), (&[], None), (&["http/1.1"], Some(Kind::NoCommonProtocol))];
    for (offered, expected) in cases {
        let alpn = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
        let connector = connector(ConnectorOptions { alpn, ..authority.connector() });
        assert_eq!(outcome(&acceptor, &connector, "example.com").0, expected, "{offered:?}");
    }
}

#[test]
fn versions_suites_and_groups_follow_the_policy() {
    let authority = Authority::new("root");
    let certificate = authority.certificate(&["example.com"]);
    let tls12 = vec!["ECDHE-ECDSA-AES256-GCM-SHA384".to_owned()];
    let server = |policy, suites: &[&str], groups: &[&str]| {
        let mut options = serving(vec![Arc::clone(&certificate)]);
        options.policy = policy;
        options.cipher_suites = suites.iter().map(|name| (*name).to_owned()).collect();
        options.groups = groups.iter().map(|name| (*name).to_owned()).collect();
        acceptor(options)
    };
    let client = |suites: &[String], groups: &[&str]| {
        let groups = groups.iter().map(|name| (*name).to_owned()).collect();
        connector(ConnectorOptions { cipher_suites: suites.to_vec(), groups, ..authority.connector() })
    };
    let cases = [
        (server(Policy::Intermediate, &[], &[]), client(&tls12, &[]), Ok(("TLSv1.2", "secp256r1"))),
        (server(Policy::Modern, &[], &[]), client(&tls12, &[]), Err(Kind::NoCommonVersion)),
        (server(Policy::Modern, &[], &["P-384"]), client(&[], &[]), Ok(("TLSv1.3", "secp384r1"))),
        (server(Policy::Modern, &[], &["P-384"]), client(&[], &["x25519"]), Err(Kind::NoCommonCipher)),
        (
            server(Policy::Modern, &["TLS_CHACHA20_POLY1305_SHA256"], &[]),
            client(&["TLS13_AES_128_GCM_SHA256".to_owned()], &[]),
            Err(Kind::NoCommonCipher),
        ),
    ];
    for (index, (acceptor, connector, expected)) in cases.into_iter().enumerate() {
        let found = run(async {
            let (server, _) = shake(&acceptor, &connector, "example.com", 1 << 16).await;
            server
                .map(|stream| (stream.session().version, stream.session().group))
                .map_err(|error| error.kind())
        });
        let expected = expected.map(|(version, group)| {
            (version, if version == "TLSv1.2" { found.expect("agreed").1 } else { group })
        });
        assert_eq!(found, expected, "{index}");
    }
    let refused = |suites: &[&str], groups: &[&str]| {
        let mut options = serving(vec![]);
        options.policy = Policy::Modern;
        options.cipher_suites = suites.iter().map(|name| (*name).to_owned()).collect();
        options.groups = groups.iter().map(|name| (*name).to_owned()).collect();
        TlsAcceptor::new(options).expect_err("refused")
    };
    assert_eq!(
        refused(&tls12.iter().map(String::as_str).collect::<Vec<_>>(), &[]),
        TlsError::UnknownCipherSuite(tls12[0].clone())
    );
    assert_eq!(refused(&[], &["P-521"]), TlsError::UnknownGroup("P-521".to_owned()));
    assert_eq!(Policy::Modern.cipher_suites().count(), 3);
    assert_eq!(Policy::Intermediate.cipher_suites().count(), 9);
}

#[test]
fn who_cannot_verify_ecdsa_is_shown_rsa() {
    let authority = Authority::new("root");
    let rsa = authority.issue(&Wanted { rsa: true, ..Wanted::default() }).certificate();
    let ecdsa = authority.certificate(&["example.com"]);
    let acceptor = acceptor(serving(vec![rsa, ecdsa]));
    let cases = [("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", true), ("ECDHE-ECDSA-CHACHA20-POLY1305", true)];
    for (suite, works) in cases {
        let connector =
            connector(ConnectorOptions { cipher_suites: vec![suite.to_owned()], ..authority.connector() });
        let (server, _) = outcome(&acceptor, &connector, "example.com");
        assert_eq!(server.is_none(), works, "{suite}: {server:?}");
    }
}

#[test]
fn answers_challenges_to_those_who_ask_for_them() {
    let (authority, other) = (Authority::new("root"), Authority::new("challenge"));
    let options = serving(vec![authority.certificate(&["example.com"])]);
    let certificates = Arc::clone(&options.certificates);
    let acceptor = acceptor(options);
    let challenger = ConnectorOptions { alpn: vec![CHALLENGE_PROTOCOL.to_vec()], ..other.connector() };
    let challenger = connector(challenger);
    let usual = connector(authority.connector());
    assert_eq!(outcome(&acceptor, &challenger, "example.com").0, Some(Kind::UnknownName));
    certificates.set_challenge("Example.com", other.certificate(&["example.com"]));
    run(async {
        let (server, _) = shaken(&acceptor, &challenger, "example.com").await;
        assert_eq!(server.session().alpn.as_deref(), Some(CHALLENGE_PROTOCOL));
    });
    assert_eq!(outcome(&acceptor, &usual, "example.com"), (None, Ok(())));
    certificates.remove_challenge("example.com");
    assert_eq!(outcome(&acceptor, &challenger, "example.com").0, Some(Kind::UnknownName));
}

/// What a server says to these bytes: the kind of its error, and its last bytes.
fn answer(bytes: &[u8], end: bool) -> (Kind, Vec<u8>) {
    let (acceptor, _) = usual();
    run(async {
        let (left, mut right) = MemoryStream::pair(1 << 20);
        write_all(&mut right, bytes).await.expect("sent");
        if end {
            shutdown(&mut right).await.expect("closed");
        }
        let error = accept(left, Vec::new(), &acceptor).await.expect_err("an error");
        (error.kind(), read_all(&mut right).await.expect("read"))
    })
}

#[test]
fn what_is_no_handshake_is_told_so() {
    let alert = |alert: Alert| vec![21, 3, 3, 0, 2, 2, u8::from(alert)];
    let mut cut_hello = Vec::new();
    run(async {
        let (_, connector) = usual();
        let (left, mut right) = MemoryStream::pair(1 << 20);
        let both = async {
            tokio::select! {
                _ = connector.connect(left, "example.com") => {}
                () = async {
                    let mut buf = [0; 4000];
                    let len = crate::testing::read(&mut right, &mut buf).await.expect("read");
                    cut_hello.extend_from_slice(&buf[..len]);
                } => {}
            }
        };
        both.await;
    });
    // Of the suites, none is known.
    let mut strange = cut_hello.clone();
    let suites = 5 + 4 + 2 + 32 + 1 + 32 + 2;
    strange[suites..suites + 2 * 10].fill(0xaa);
    assert_eq!(answer(b"GET / HTTP/1.1\r\n\r\n", false), (Kind::NotTls, Vec::new()));
    assert_eq!(answer(b"", true), (Kind::Disconnected, Vec::new()));
    assert_eq!(answer(&cut_hello[..100], true), (Kind::Disconnected, Vec::new()));
    assert_eq!(answer(&[22, 3, 1, 0, 4, 2, 0, 0, 0], false), (Kind::Malformed, alert(Alert::DecodeError)));
    assert_eq!(answer(&strange, false), (Kind::NoCommonCipher, alert(Alert::HandshakeFailure)));
    let (kind, wire) = answer(&[&cut_hello[..], &[22, 3, 3, 0, 4, 20, 0, 0, 0]].concat(), false);
    assert_eq!(
        (kind, wire.ends_with(&alert(Alert::UnexpectedMessage)) || wire.len() > 7),
        (Kind::Malformed, true)
    );
}

#[test]
fn takes_what_was_read_ahead() {
    let (acceptor, connector) = usual();
    run(async {
        let (mut left, right) = MemoryStream::pair(1 << 16);
        let server = async {
            let mut ahead = vec![0; 200];
            let len = crate::testing::read(&mut left, &mut ahead).await.expect("read");
            ahead.truncate(len);
            let mut stream = accept(left, ahead, &acceptor).await.expect("accepted");
            write_all(&mut stream, b"hello").await.expect("sent");
            shutdown(&mut stream).await.expect("closed");
        };
        let client = async {
            let mut stream = connector.connect(right, "example.com").await.expect("connected");
            read_all(&mut stream).await.expect("read")
        };
        assert_eq!(tokio::join!(server, client).1, b"hello");
    });
}

#[test]
fn shows_the_proof_that_a_certificate_is_good() {
    let authority = Authority::new("root");
    let plain = authority.certificate(&["example.com"]);
    let stapled = Arc::new(Certificate::clone(&plain).with_ocsp(vec![9; 300]));
    let certificates = Certificates::new();
    certificates.set("test", vec![stapled]);
    let chosen = certificates.choose(Some("example.com"), &[]).expect("chosen");
    assert_eq!(chosen.ocsp.as_deref(), Some(&[9; 300][..]));
}

#[test]
fn servers_are_checked() {
    let (authority, other) = (Authority::new("root"), Authority::new("other"));
    let expired =
        authority.issue(&Wanted { years: (2020, 2021), names: &["old.example"], ..Wanted::default() });
    let acceptor = acceptor(serving(vec![authority.certificate(&["example.com"]), expired.certificate()]));
    let cases = [
        (authority.connector(), "example.com", Ok(())),
        (other.connector(), "example.com", Err("the issuer of the certificate is not trusted")),
        (authority.connector(), "old.example", Err("the certificate is expired")),
        (ConnectorOptions { verify: false, ..other.connector() }, "old.example", Ok(())),
    ];
    for (options, name, expected) in cases {
        let (_, found) = outcome(&acceptor, &connector(options), name);
        assert_eq!(found, expected.map_err(str::to_owned), "{name}");
    }
    let error = run(async {
        connector(authority.connector())
            .connect(MemoryStream::pair(1).0, "no name")
            .await
            .expect_err("refused")
    });
    assert_eq!(error.kind(), Kind::Internal);
    let bad = ConnectorOptions { roots: Some(b"nothing".to_vec()), ..ConnectorOptions::default() };
    assert!(matches!(TlsConnector::new(bad), Err(TlsError::Roots(_))));
}

#[test]
fn quic_gets_its_own_config() {
    let (acceptor, _) = usual();
    let config = acceptor.quic(false).expect("a config");
    assert_eq!((config.alpn_protocols.as_slice(), config.max_early_data_size), (&[b"h3".to_vec()][..], 0));
    assert!(config.ticketer.enabled());
    let config = acceptor.quic(true).expect("a config");
    assert_eq!((config.max_early_data_size, config.ticketer.enabled()), (u32::MAX, false));
    assert!(config.session_storage.can_cache());
}
