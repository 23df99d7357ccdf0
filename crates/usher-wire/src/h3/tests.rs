//! Over real QUIC connections of the loopback: both sides with each other, and each against bytes made by hand.

mod against_client;
mod against_server;
mod early;
mod ending;
mod floods;
mod frames;
mod table;
mod together;

use std::future::{Future, poll_fn};
use std::net::Ipv4Addr;
use std::sync::Arc;

use bytes::Bytes;
use rustls::pki_types::PrivateKeyDer;
use usher_http::{Fields, Framing, Method, Request, Response};
use usher_net::quic::{
    Connection, ConnectionError, QuicConnector, QuicKeys, QuicListener, QuicOptions, RecvStream, SendStream,
    StreamError, UdpOptions, bind_udp,
};

use super::frame::{self, write_head, write_headers, write_integer};
use super::{Client, ClientStream, Limits, Server, ServerStream};
use crate::body::{Sink, Source};
use crate::error::WireError;
use crate::h1::{Downstream, NotTrailers, ReplyContext, RequestContext};
use crate::qpack::encode;
use crate::testing::{finish, pattern, receive, send};
use crate::upstream::Upstream;

/// Runs a future as a worker would.
fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(Default::default())
        .expect("a runtime");
    runtime.block_on(future)
}

/// A listener and a connector that trust each other.
struct Ground {
    listener: QuicListener,
    connector: QuicConnector,
    tls: Arc<rustls::ClientConfig>,
}

impl Ground {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        let (certificate, key) = (made.cert.der().clone(), made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut server = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], PrivateKeyDer::try_from(key).expect("a key"))
            .expect("a server's configuration");
        server.alpn_protocols = vec![b"h3".to_vec()];
        server.max_early_data_size = u32::MAX;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate).expect("a root");
        let mut client = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![b"h3".to_vec()];
        client.enable_early_data = true;
        let address = (Ipv4Addr::LOCALHOST, 0).into();
        let bound = bind_udp(address, UdpOptions::default(), 1).expect("a socket").remove(0);
        let options = QuicOptions::new(Arc::new(QuicKeys::random().expect("keys")));
        let listener = QuicListener::new(bound, Arc::new(server), &options).expect("a listener");
        Self { listener, connector: QuicConnector::new(options), tls: Arc::new(client) }
    }

    fn begin(&self) -> Connection {
        self.connector.connect(self.listener.address(), "localhost", self.tls.clone()).expect("a connection")
    }

    /// Both ends of a connection, client first.
    async fn connect(&self) -> (Connection, Connection) {
        let client = self.begin();
        let server = self.listener.accept().await.expect("an arrival");
        poll_fn(|cx| client.poll_handshake(cx)).await.expect("a handshake");
        (client, server)
    }
}

async fn closed(connection: &Connection) -> ConnectionError {
    poll_fn(|cx| connection.poll_closed(cx)).await
}

/// The next request.
async fn next(server: &mut Server, request: &mut Request) -> Result<Option<ServerStream>, WireError> {
    poll_fn(|cx| server.poll_request(cx, request)).await
}

/// Trailers may pass, all of them.
fn all_trailers() -> NotTrailers {
    Arc::from([])
}

fn respond(stream: &mut ServerStream, status: u16, framing: Framing) {
    let mut response = Response::default();
    response.status = status;
    response.fields.add(b"Server", b"test").expect("a field");
    let trailers = all_trailers();
    let context = ReplyContext {
        version: usher_http::Version::Http3,
        persistent: true,
        date: b"Sat, 01 Jan 2000 00:00:00 GMT",
        trailers: Some(&trailers),
        switches: status == 101,
    };
    stream.begin_response(&response, framing, context);
}

/// Answers with what was sent, and its trailers.
async fn echo(mut stream: ServerStream) -> Result<(), WireError> {
    if let Some(error) = stream.refused() {
        respond(&mut stream, error.status(), Framing::None);
        return finish(&mut stream, None).await;
    }
    let body = receive(&mut stream, usize::MAX).await?;
    let mut trailers = Fields::default();
    for field in stream.trailers().into_iter().flat_map(Fields::iter) {
        trailers.add(field.name, field.value).expect("a field");
    }
    respond(&mut stream, 200, Framing::Chunked);
    send(&mut stream, &body).await?;
    finish(&mut stream, Some(&trailers)).await
}

/// Echoes every request of a connection; what became of it at the end.
fn echo_all(connection: Connection) -> tokio::task::JoinHandle<Result<(), WireError>> {
    tokio::task::spawn_local(async move {
        let mut server = Server::new(connection, Limits::default());
        let mut request = Request::default();
        while let Some(stream) = next(&mut server, &mut request).await? {
            tokio::task::spawn_local(echo(stream));
        }
        Ok(())
    })
}

/// The client of a connection, with its driver spawned.
fn client_of(connection: Connection) -> Client {
    let (client, driver) = Client::new(connection, Limits::default());
    tokio::task::spawn_local(driver);
    client
}

fn request(method: &str, path: &str) -> Request {
    let mut request = Request::default();
    request.method = Method::from_token(method.as_bytes());
    request.scheme = "https";
    path.clone_into(&mut request.path);
    request
}

fn begin(stream: &mut ClientStream, request: &Request, framing: Framing) {
    let trailers = all_trailers();
    let context = RequestContext { trailers: Some(&trailers), takes_trailers: true, upgrade: None };
    stream.begin_request(request, b"localhost", framing, context);
}

async fn response(stream: &mut ClientStream) -> Result<Response, WireError> {
    let mut response = Response::default();
    poll_fn(|cx| stream.poll_response(cx, &Limits::default().head, &mut response)).await?;
    Ok(response)
}

/// A GET that is answered by [`echo`] with nothing.
async fn get(client: &Client) -> Result<u16, WireError> {
    let mut stream = client.open().expect("a stream");
    begin(&mut stream, &request("GET", "/"), Framing::None);
    finish(&mut stream, None).await?;
    let head = response(&mut stream).await?;
    stream.begin_receive(Framing::Close);
    assert!(receive(&mut stream, usize::MAX).await?.is_empty());
    Ok(head.status)
}

/// A client made by hand.
struct Raw {
    connection: Connection,
    control: SendStream,
}

impl Raw {
    /// Sends its settings, which are empty.
    async fn new(connection: Connection) -> Self {
        let control = uni(&connection, &[0x00, 0x04, 0x00]).await;
        Self { connection, control }
    }

    /// Opens a request and sends `bytes`; ends it if `ends`.
    async fn ask(&self, bytes: &[u8], ends: bool) -> (SendStream, RecvStream) {
        let (mut to, from) = poll_fn(|cx| self.connection.poll_open_bi(cx)).await.expect("a stream");
        let _ = put(&mut to, bytes).await;
        if ends {
            let _ = to.finish();
        }
        (to, from)
    }
}

async fn put(stream: &mut SendStream, bytes: &[u8]) -> Result<(), StreamError> {
    let mut bytes = Bytes::copy_from_slice(bytes);
    poll_fn(|cx| stream.poll_write(cx, &mut bytes)).await
}

/// A unidirectional stream that begins with `bytes`, to be kept open.
async fn uni(connection: &Connection, bytes: &[u8]) -> SendStream {
    loop {
        if let Some(mut stream) = connection.open_uni() {
            let _ = put(&mut stream, bytes).await;
            return stream;
        }
        assert!(!connection.is_closed());
        tokio::task::yield_now().await;
    }
}

/// Everything that comes on a stream.
async fn take(stream: &mut RecvStream) -> Result<Vec<u8>, StreamError> {
    let (mut all, mut buf) = (Vec::new(), [0; 4096]);
    loop {
        match poll_fn(|cx| stream.poll_read(cx, &mut buf)).await? {
            0 => return Ok(all),
            len => all.extend_from_slice(&buf[..len]),
        }
    }
}

fn headers(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    write_headers(&mut out, |out| {
        encode::begin(out);
        fields.iter().for_each(|(name, value)| encode::field(name.as_bytes(), value.as_bytes(), out));
    });
    out
}

const GET: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/")];

/// A GET with more fields.
fn get_with(more: &[(&str, &str)]) -> Vec<u8> {
    headers(&[&GET, more].concat())
}

fn frame_of(kind: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_head(kind, payload.len(), &mut out);
    out.extend_from_slice(payload);
    out
}

/// A frame whose payload is a number.
fn numbered(kind: u64, number: u64) -> Vec<u8> {
    let mut payload = Vec::new();
    write_integer(number, &mut payload);
    frame_of(kind, &payload)
}

/// The `:status` of what came on a stream; static entries and literals as our encoder writes them.
fn status(bytes: &[u8]) -> String {
    let head = frame::head(bytes).expect("a frame");
    assert_eq!(head.kind, frame::HEADERS);
    let mut decoder = crate::qpack::Decoder::new(0);
    let mut status = String::new();
    let section = &bytes[head.taken..head.taken + head.len as usize];
    let done = decoder.section(0, section, |name, value| {
        if name == b":status" {
            status = String::from_utf8_lossy(value).into_owned();
        }
        Ok::<_, ()>(())
    });
    done.expect("a head");
    status
}

/// Gives every other task of the thread a few turns.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}
