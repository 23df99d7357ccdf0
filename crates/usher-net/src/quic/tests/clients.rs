//! Clients that show a certificate.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rustls::pki_types::{PrivateKeyDer, UnixTime};
use rustls::time_provider::TimeProvider;

use super::{
    Connection, ConnectionError, Pair, Tls, ask, closed, echo, handshake, once, options, read, run, send,
};

/// A clock that goes ahead when it is told to.
#[derive(Debug, Default)]
struct Clock {
    ahead: AtomicU64,
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let ahead = Duration::from_secs(self.ahead.load(Ordering::Relaxed));
        UnixTime::now()
            .as_secs()
            .checked_add(ahead.as_secs())
            .map(Duration::from_secs)
            .map(UnixTime::since_unix_epoch)
    }
}

const HOUR: Duration = Duration::from_secs(3600);

/// Both ends where a client shows a certificate that is good for an hour, and the server's clock.
fn showing(early_data: bool) -> (Tls, Arc<Clock>) {
    let mut params = rcgen::CertificateParams::new(vec!["client.example".to_owned()]).expect("names");
    params.not_after = (SystemTime::now() + HOUR).into();
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate").der().clone();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let verifier = verifier.build().expect("a verifier");
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let signer = provider.key_provider.load_private_key(key).expect("a signer");
    let own = rustls::sign::CertifiedKey::new(vec![certificate], signer);
    let mut resolver = None;
    let tls = Tls::with(
        |server| resolver = Some(server.cert_resolver.clone()),
        |client| {
            client.client_auth_cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(own));
            client.enable_early_data = early_data;
        },
    );
    let clock = Arc::new(Clock::default());
    let mut server = rustls::ServerConfig::builder_with_details(provider, clock.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("versions")
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(resolver.expect("a server"));
    server.alpn_protocols = vec![b"h3".to_vec()];
    if early_data {
        server.max_early_data_size = u32::MAX;
    }
    (Tls { server: Arc::new(server), client: tls.client }, clock)
}

/// A connection that leaves a ticket behind.
async fn visit(pair: &Pair) -> Connection {
    let (client, server) = pair.connect().await;
    echo(server.clone());
    ask(&client, b"for the ticket").await.expect("an answer");
    server
}

#[test]
fn certificate_of_the_client_is_told() {
    run(async {
        let pair = Pair::with(&options(), showing(false).0);
        for resumed in [false, true] {
            let session = visit(&pair).await.session().expect("what was agreed on");
            assert_eq!(session.resumed, resumed);
            let shown = session.client.expect("the client's certificate");
            assert_eq!(shown.sans, ["DNS:client.example"]);
        }
    });
}

/// CERTIFICATE_EXPIRED of TLS, as an error of QUIC (RFC 9001 section 4.8).
const EXPIRED: u64 = 0x100 + 45;

#[test]
fn nobody_resumes_with_a_certificate_that_is_over() {
    run(async {
        let (tls, clock) = showing(false);
        let pair = Pair::with(&options(), tls);
        assert!(!visit(&pair).await.session().expect("agreed").resumed);
        clock.ahead.store(HOUR.as_secs() + 60, Ordering::Relaxed);
        let client = pair.begin();
        let refused = handshake(&client).await.expect_err("the certificate is over");
        assert!(matches!(&refused, ConnectionError::Closed(EXPIRED, _)), "{refused:?}");
        let failed = pair.listener.failed().await.expect("a failure");
        assert!(failed.text().contains("the certificate is expired"), "{}", failed.text());
    });
}

#[test]
fn early_data_of_a_client_whose_certificate_is_over_is_not_read() {
    run(async {
        let (tls, clock) = showing(true);
        let pair = Pair::with(&options(), tls);
        assert!(!visit(&pair).await.session().expect("agreed").resumed);
        clock.ahead.store(HOUR.as_secs() + 60, Ordering::Relaxed);
        let client = pair.begin();
        assert!(client.may_send_early(), "a ticket is at hand");
        let (mut to, mut from) = client.open_bi().expect("a stream before the handshake");
        send(&mut to, b"early").await.expect("sent");
        let refused = closed(&client).await;
        assert!(matches!(&refused, ConnectionError::Closed(EXPIRED, _)), "{refused:?}");
        assert!(read(&mut from).await.is_err());
        let mut arrival = pin!(pair.listener.accept());
        assert!(once(|cx| arrival.as_mut().poll(cx)).await.is_pending(), "nobody has arrived");
    });
}
