//! Connections of HTTP/2 and HTTP/3, opened with Usher's own clients, and one request on them.

use std::fs;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::task::{spawn_local, yield_now};
use usher_http::framing;
use usher_http::parse::{HeadLimits, HeadParser};
use usher_http::{Framing, Request, Response};
use usher_net::Stream;
use usher_net::quic::{QuicConnector, QuicKeys, QuicOptions};
use usher_net::tls::{ConnectorOptions, Policy, TlsConnector};
use usher_wire::{NotTrailers, RequestContext, Sink, Upstream, h2, h3};

use super::{Job, Target};
use crate::http::HOST;
use crate::works::Door;

/// The one suite that is offered, so that all proxies use the same.
const SUITE: &str = "TLS_AES_128_GCM_SHA256";
/// The one group that is offered.
const GROUP: &str = "X25519";

/// Where requests become streams.
pub(super) trait Carrier: Clone + 'static {
    type Stream: Upstream;

    /// A stream, if the proxy allows another one now.
    fn open(&self) -> Option<Self::Stream>;

    /// Whether there will ever be another one.
    fn is_open(&self) -> bool;
}

impl Carrier for h2::Client {
    type Stream = h2::ClientStream;

    fn open(&self) -> Option<Self::Stream> {
        Self::open(self)
    }

    fn is_open(&self) -> bool {
        Self::is_open(self)
    }
}

impl Carrier for h3::Client {
    type Stream = h3::ClientStream;

    fn open(&self) -> Option<Self::Stream> {
        Self::open(self)
    }

    fn is_open(&self) -> bool {
        Self::is_open(self)
    }
}

/// Says how TLS is spoken with `target`. One per connection: what one has learned, no other resumes.
fn connector(target: &Target, protocol: &str) -> io::Result<TlsConnector> {
    let options = ConnectorOptions {
        roots: Some(fs::read(&target.certificate)?),
        alpn: vec![protocol.as_bytes().to_vec()],
        policy: Policy::Modern,
        cipher_suites: vec![SUITE.to_owned()],
        groups: vec![GROUP.to_owned()],
        ..ConnectorOptions::default()
    };
    TlsConnector::new(options).map_err(|error| io::Error::other(error.to_string()))
}

/// Opens a connection of HTTP/2 and lets it be driven; within a local runtime.
pub(super) async fn h2(target: &Target) -> io::Result<h2::Client> {
    let socket = TcpStream::connect(target.address).await?;
    socket.set_nodelay(true)?;
    let stream = Stream::Tcp(socket);
    let client = if target.door == Door::H2c {
        let (client, driver) = h2::Client::new(stream, h2::Limits::default());
        spawn_local(driver);
        client
    } else {
        let connector = connector(target, "h2")?;
        let secured =
            connector.connect(stream, HOST).await.map_err(|error| io::Error::other(error.to_string()))?;
        let session = secured.session();
        let agreed = (session.alpn.as_deref(), session.cipher, session.group);
        if agreed != (Some(&b"h2"[..]), SUITE, GROUP) || session.resumed {
            return Err(io::Error::other(format!("a handshake of another kind: {agreed:?}")));
        }
        let (client, driver) = h2::Client::new(secured, h2::Limits::default());
        spawn_local(driver);
        client
    };
    while client.is_open() && !client.is_greeted() {
        yield_now().await;
    }
    Ok(client)
}

/// The options of all connections of HTTP/3.
pub(super) fn quic() -> io::Result<QuicConnector> {
    Ok(QuicConnector::new(QuicOptions::new(Arc::new(QuicKeys::random()?))))
}

/// Opens a connection of HTTP/3 and lets it be driven; within a local runtime.
pub(super) async fn h3(target: &Target, quic: &QuicConnector) -> io::Result<h3::Client> {
    let tls = connector(target, "h3")?.client_config();
    let connection = quic.connect(target.address, HOST, tls)?;
    poll_fn(|cx| connection.poll_handshake(cx)).await.map_err(io::Error::other)?;
    let (client, driver) = h3::Client::new(connection, h3::Limits::default());
    spawn_local(driver);
    Ok(client)
}

/// A job as heads are written here.
pub(super) struct Message {
    request: Request,
    framing: Framing,
    /// For gRPC: trailers are passed on, all of them.
    trailers: Option<NotTrailers>,
    job: Job,
}

impl Message {
    pub(super) fn new(job: &Job, door: Door) -> io::Result<Self> {
        let mut request = Request::default();
        let head = job.request.get(..job.head).unwrap_or_default();
        HeadParser::default()
            .request(head, &HeadLimits::default(), &mut request)
            .map_err(|error| io::Error::other(error.as_str()))?;
        request.path = String::from_utf8_lossy(request.raw_target()).into_owned();
        request.scheme = if door.is_encrypted() { "https" } else { "http" };
        let framing = match job.request.len() - head.len() {
            _ if job.grpc => Framing::Chunked,
            0 => Framing::None,
            length => Framing::Length(length as u64),
        };
        let trailers = job.grpc.then(|| NotTrailers::from([]));
        Ok(Self { request, framing, trailers, job: job.clone() })
    }
}

/// Sends a request and checks its response.
pub(super) async fn exchange(carrier: &impl Carrier, message: &Message) -> io::Result<()> {
    let mut stream = loop {
        match carrier.open() {
            Some(stream) => break stream,
            None if carrier.is_open() => yield_now().await,
            None => return Err(io::Error::other("the connection ended")),
        }
    };
    let job = &message.job;
    let context =
        RequestContext { upgrade: None, takes_trailers: job.grpc, trailers: message.trailers.as_ref() };
    stream.begin_request(&message.request, HOST.as_bytes(), message.framing, context);
    let mut upload = job.request.get(job.head..).unwrap_or_default();
    while !upload.is_empty() {
        let taken = poll_fn(|cx| stream.poll_send(cx, upload)).await.map_err(broken)?;
        upload = upload.get(taken..).unwrap_or_default();
    }
    poll_fn(|cx| stream.poll_finish(cx, None)).await.map_err(broken)?;
    let mut response = Response::default();
    poll_fn(|cx| stream.poll_response(cx, &HeadLimits::default(), &mut response)).await.map_err(broken)?;
    let framing = check_head(&mut response, &message.request, job)?;
    stream.begin_receive(framing);
    check_body(&mut stream, job).await
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn broken(error: usher_wire::WireError) -> io::Error {
    io::Error::other(format!("{error:?}"))
}

fn check_head(response: &mut Response, request: &Request, job: &Job) -> io::Result<Framing> {
    if response.status != 200 {
        return Err(io::Error::other(format!("status {}", response.status)));
    }
    let framing =
        framing::of_response(response, &request.method).map_err(|error| io::Error::other(error.as_str()))?;
    let expected = job.body.len() as u64;
    match framing {
        Framing::Length(length) if length == expected => Ok(framing),
        Framing::Chunked if job.grpc => Ok(framing),
        other => Err(io::Error::other(format!("{other:?} instead of {expected} bytes"))),
    }
}

async fn check_body(stream: &mut impl Upstream, job: &Job) -> io::Result<()> {
    let mut expected = &job.body[..];
    loop {
        let count = poll_fn(|cx| stream.poll_fill(cx)).await.map_err(broken)?;
        if count == 0 {
            break;
        }
        if !expected.starts_with(stream.chunk()) {
            return Err(io::Error::other("the body has other bytes than the endpoint sent"));
        }
        expected = &expected[count..];
        stream.consume(count);
    }
    if !expected.is_empty() {
        let left = expected.len();
        return Err(io::Error::other(format!("ended with {left} bytes of the body to come")));
    }
    let status = stream.trailers().and_then(|trailers| trailers.get_named(b"grpc-status"));
    if job.grpc && status != Some(&b"0"[..]) {
        return Err(io::Error::other(format!("grpc-status {status:?} in the trailers")));
    }
    Ok(())
}
