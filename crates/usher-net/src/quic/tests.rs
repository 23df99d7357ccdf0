//! Over real sockets of the loopback: a listener per worker and a connector, all in one thread.

mod clients;
mod early;
mod generations;
mod ids;
mod life;
mod moving;
mod stateless;
mod streams;

use std::future::{Future, poll_fn};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use rustls::pki_types::PrivateKeyDer;

use super::{
    BoundUdp, Connection, ConnectionError, QuicConnector, QuicKeys, QuicListener, QuicOptions, RecvStream,
    SendStream, StreamError, UdpOptions, bind_udp,
};

/// Runs a future as a worker would.
fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(Default::default())
        .expect("a runtime");
    runtime.block_on(future)
}

/// Configurations of both ends that trust each other.
#[derive(Clone)]
struct Tls {
    server: Arc<rustls::ServerConfig>,
    client: Arc<rustls::ClientConfig>,
}

impl Tls {
    fn new() -> Self {
        Self::with(|_| {}, |_| {})
    }

    fn with(
        server: impl FnOnce(&mut rustls::ServerConfig),
        client: impl FnOnce(&mut rustls::ClientConfig),
    ) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        let (certificate, key) = (made.cert.der().clone(), made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let only13 = [&rustls::version::TLS13];
        let mut servers = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&only13)
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], PrivateKeyDer::try_from(key).expect("a key"))
            .expect("a server's configuration");
        servers.alpn_protocols = vec![b"h3".to_vec()];
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate).expect("a root");
        let mut clients = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&only13)
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        clients.alpn_protocols = vec![b"h3".to_vec()];
        server(&mut servers);
        client(&mut clients);
        Self { server: Arc::new(servers), client: Arc::new(clients) }
    }
}

fn options() -> QuicOptions {
    QuicOptions::new(Arc::new(QuicKeys::random().expect("keys")))
}

fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn bind(workers: usize) -> Vec<BoundUdp> {
    bind_udp(loopback(), UdpOptions::default(), workers).expect("sockets")
}

/// One listener, with a connector whose connections it can be asked for.
struct Pair {
    listener: QuicListener,
    connector: QuicConnector,
    tls: Tls,
}

impl Pair {
    fn new() -> Self {
        Self::with(&options(), Tls::new())
    }

    fn with(options: &QuicOptions, tls: Tls) -> Self {
        let listener = QuicListener::new(bind(1).remove(0), tls.server.clone(), options).expect("a listener");
        Self { listener, connector: QuicConnector::new(self::options()), tls }
    }

    fn begin(&self) -> Connection {
        self.connector
            .connect(self.listener.address(), "localhost", self.tls.client.clone())
            .expect("a connection")
    }

    /// Both ends of a connection, client first.
    async fn connect(&self) -> (Connection, Connection) {
        let client = self.begin();
        let server = self.listener.accept().await.expect("an arrival");
        handshake(&client).await.expect("a handshake");
        (client, server)
    }
}

async fn handshake(connection: &Connection) -> Result<(), ConnectionError> {
    poll_fn(|cx| connection.poll_handshake(cx)).await
}

async fn closed(connection: &Connection) -> ConnectionError {
    poll_fn(|cx| connection.poll_closed(cx)).await
}

async fn open(connection: &Connection) -> (SendStream, RecvStream) {
    poll_fn(|cx| connection.poll_open_bi(cx)).await.expect("a stream")
}

async fn accept(connection: &Connection) -> (SendStream, RecvStream) {
    poll_fn(|cx| connection.poll_accept_bi(cx)).await.expect("a stream")
}

async fn write(stream: &mut SendStream, bytes: &[u8]) -> Result<(), StreamError> {
    let mut bytes = Bytes::copy_from_slice(bytes);
    poll_fn(|cx| stream.poll_write(cx, &mut bytes)).await
}

async fn send(stream: &mut SendStream, bytes: &[u8]) -> Result<(), StreamError> {
    write(stream, bytes).await?;
    stream.finish()
}

async fn read(stream: &mut RecvStream) -> Result<Vec<u8>, StreamError> {
    let (mut all, mut buf) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        match poll_fn(|cx| stream.poll_read(cx, &mut buf)).await? {
            0 => return Ok(all),
            len => all.extend_from_slice(&buf[..len]),
        }
    }
}

/// Answers every stream of a connection with what it sends.
fn echo(connection: Connection) {
    tokio::task::spawn_local(async move {
        while let Ok((mut to, mut from)) = poll_fn(|cx| connection.poll_accept_bi(cx)).await {
            tokio::task::spawn_local(async move {
                let mut buf = vec![0; 32 << 10];
                while let Ok(len) = poll_fn(|cx| from.poll_read(cx, &mut buf)).await {
                    if len == 0 {
                        return to.finish();
                    }
                    write(&mut to, &buf[..len]).await?;
                }
                Ok(())
            });
        }
    });
}

/// Answers every stream of every connection with what it sends.
fn echo_all(listener: QuicListener) {
    tokio::task::spawn_local(async move {
        while let Some(connection) = listener.accept().await {
            echo(connection);
        }
    });
}

/// Sends `bytes` on a new stream, and reads until the end at the same time.
async fn ask(connection: &Connection, bytes: &[u8]) -> Result<Vec<u8>, StreamError> {
    let (mut to, mut from) = open(connection).await;
    let sends = send(&mut to, bytes);
    let (sent, read) = tokio::join!(sends, read(&mut from));
    sent?;
    read
}

/// Bytes that differ from their neighbours, so that a lost or doubled one shows.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect()
}

/// Gives every other task of the thread a few turns.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// Polls once.
async fn once<T>(mut poll: impl FnMut(&mut std::task::Context<'_>) -> Poll<T>) -> Poll<T> {
    poll_fn(|cx| Poll::Ready(poll(cx))).await
}
