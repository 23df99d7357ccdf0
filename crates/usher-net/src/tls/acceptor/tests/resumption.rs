//! Sessions that go on.

use std::time::Duration;

use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

use super::*;

/// Whether a second connection resumes, where the first is made to `first` and the second to `second`.
fn resumes(first: &TlsAcceptor, second: &TlsAcceptor, options: ConnectorOptions) -> bool {
    let connector = connector(options);
    run(async {
        drop(shaken(first, &connector, "example.com").await);
        let (server, client) = shake(second, &connector, "example.com", 1 << 16).await;
        match (server, client) {
            (Ok(server), Ok(client)) => {
                assert_eq!(server.session().resumed, client.session().resumed);
                server.session().resumed
            }
            _ => false,
        }
    })
}

fn both_versions(authority: &Authority) -> [ConnectorOptions; 2] {
    let tls12 = vec!["ECDHE-ECDSA-AES128-GCM-SHA256".to_owned()];
    [authority.connector(), ConnectorOptions { cipher_suites: tls12, ..authority.connector() }]
}

#[test]
fn sessions_go_on_at_every_acceptor_with_the_same_keys() {
    let authority = Authority::new("root");
    let certificate = authority.certificate(&["example.com"]);
    let keys = TicketKeys::new();
    let make = |keys: &Arc<TicketKeys>, session_tickets| {
        let certificates = Certificates::new();
        certificates.set("test", vec![Arc::clone(&certificate)]);
        acceptor(AcceptorOptions { session_tickets, ..AcceptorOptions::new(certificates, Arc::clone(keys)) })
    };
    let (one, two) = (make(&keys, true), make(&keys, true));
    for options in both_versions(&authority) {
        assert!(resumes(&one, &one, options.clone()));
        assert!(resumes(&one, &two, options.clone()));
        assert!(!resumes(&one, &make(&TicketKeys::new(), true), options.clone()));
        assert!(!resumes(&make(&keys, false), &one, options.clone()));
        assert!(!resumes(&one, &make(&keys, false), options.clone()));
        let connector = connector(options);
        run(async {
            drop(shaken(&one, &connector, "example.com").await);
            keys.rotate();
            assert!(shaken(&two, &connector, "example.com").await.0.session().resumed);
            keys.rotate();
            keys.rotate();
            assert!(!shaken(&two, &connector, "example.com").await.0.session().resumed);
        });
    }
}

#[test]
fn nobody_resumes_into_where_clients_are_checked_otherwise() {
    let authority = Authority::new("root");
    let client = authority.issue(&Wanted::default()).certificate();
    let keys = TicketKeys::new();
    let make = |auth: Option<(bool, Vec<Vec<u8>>)>| {
        let mut options = serving(vec![authority.certificate(&["example.com"])]);
        options.tickets = Arc::clone(&keys);
        options.client_auth = auth.map(|(required, crls)| ClientAuth {
            roots: authority.pem.clone().into_bytes(),
            required,
            crls,
        });
        acceptor(options)
    };
    let crl = authority.crl(&[99], 2040).into_bytes();
    let acceptors =
        [make(None), make(Some((false, vec![]))), make(Some((true, vec![]))), make(Some((true, vec![crl])))];
    for options in both_versions(&authority) {
        for (from, first) in acceptors.iter().enumerate() {
            for (to, second) in acceptors.iter().enumerate() {
                let shows = ConnectorOptions { client: Some(Arc::clone(&client)), ..options.clone() };
                assert_eq!(resumes(first, second, shows), from == to, "{from} {to}");
            }
        }
        // Without a certificate, none gets into where one is required, however often it comes.
        let connector = connector(options);
        run(async {
            drop(shaken(&acceptors[1], &connector, "example.com").await);
            assert!(shake(&acceptors[2], &connector, "example.com", 1 << 16).await.0.is_err());
        });
    }
}

#[test]
fn who_the_client_is_stays_known() {
    let authority = Authority::new("root");
    let certificate = authority.issue(&Wanted { serial: 42, ..Wanted::default() }).certificate();
    let mut options = serving(vec![authority.certificate(&["example.com"])]);
    options.client_auth =
        Some(ClientAuth { roots: authority.pem.clone().into_bytes(), required: true, crls: vec![] });
    let acceptor = acceptor(options);
    for options in both_versions(&authority) {
        let connector = connector(ConnectorOptions { client: Some(Arc::clone(&certificate)), ..options });
        run(async {
            for resumed in [false, true] {
                let (server, _) = shaken(&acceptor, &connector, "example.com").await;
                let session = server.session();
                assert_eq!(session.resumed, resumed);
                assert_eq!(session.client.as_ref().expect("a client").serial, "2A");
            }
        });
    }
}

/// A clock that is far ahead.
#[derive(Debug)]
struct Later;

impl TimeProvider for Later {
    fn current_time(&self) -> Option<UnixTime> {
        let years = Duration::from_hours(30 * 365 * 24);
        Some(UnixTime::since_unix_epoch(Duration::from_secs(UnixTime::now().as_secs()) + years))
    }
}

#[test]
fn nobody_resumes_with_a_certificate_that_is_over() {
    let authority = Authority::new("root");
    let certificate = authority.issue(&Wanted::default()).certificate();
    let mut options = serving(vec![authority.certificate(&["example.com"])]);
    options.client_auth =
        Some(ClientAuth { roots: authority.pem.clone().into_bytes(), required: true, crls: vec![] });
    let acceptor = acceptor(options);
    let mut config = ServerConfig::clone(&acceptor.config);
    config.time_provider = Arc::new(Later);
    let later = TlsAcceptor {
        config: Arc::new(config),
        challenge: Arc::clone(&acceptor.challenge),
        certificates: Arc::clone(&acceptor.certificates),
    };
    for options in both_versions(&authority) {
        let connector = connector(ConnectorOptions { client: Some(Arc::clone(&certificate)), ..options });
        run(async {
            drop(shaken(&acceptor, &connector, "example.com").await);
            assert!(shaken(&acceptor, &connector, "example.com").await.0.session().resumed);
            let (server, client) = shake(&later, &connector, "example.com", 1 << 16).await;
            assert_eq!(server.expect_err("it is over").text(), "the certificate is expired");
            assert!(client.is_err());
        });
    }
}
