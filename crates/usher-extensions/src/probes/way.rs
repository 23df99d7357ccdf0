//! To an endpoint and back: a connection of its own for one question, with TLS and HTTP as the cluster speaks them.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Poll, ready};

use usher_api::{ProbeTarget, Unwell};
use usher_config::config::UpstreamProtocol;
use usher_http::parse::HeadLimits;
use usher_http::{Framing, Request, Response, framing};
use usher_net::tls::{HandshakeErrorKind, Secured};
use usher_net::{Address, Dialer as _, Stream, SystemDialer, Transport};
use usher_wire::{Connection, RequestContext, Upstream, WireError, h2, h3};

/// Informational responses before the final one.
const MAX_INFORMATIONAL: u32 = 8;

/// What is asked.
pub(super) struct Question<'a> {
    /// The head, without a Host field.
    pub(super) request: &'a Request,
    /// What the Host field says.
    pub(super) host: &'a str,
    /// The body; empty is none.
    pub(super) body: &'a [u8],
    /// How much of the answer's body is wanted (bytes).
    pub(super) wanted: usize,
    /// It is a call of gRPC: over HTTP/2 or 3, with trailers.
    pub(super) is_call: bool,
}

/// What came back.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// The final head.
    pub(super) response: Response,
    /// The body, up to what was wanted.
    pub(super) body: Vec<u8>,
    /// `grpc-status` and `grpc-message` of the trailers, if the body was read to its end.
    pub(super) outcome: (Option<Vec<u8>>, Option<Vec<u8>>),
}

/// A connection, with TLS where the cluster speaks it.
pub(super) async fn connect(target: &ProbeTarget, dialer: &SystemDialer) -> Result<Secured<Stream>, Unwell> {
    let mut stream = dialer.dial(&target.address).await.map_err(|error| of_io(&error))?;
    send(&mut stream, &target.introduction).await?;
    let Some((tls, name)) = &target.tls else { return Ok(Secured::Plain(stream)) };
    match tls.connect(stream, name).await {
        Ok(stream) => Ok(stream.into()),
        Err(error) if error.kind() == HandshakeErrorKind::BadServerCertificate => {
            Err(Unwell::new(format!("TLS: {} (the endpoint shall be `{name}`)", error.text())))
        }
        Err(error) => Err(Unwell::new(format!("TLS: {}", error.text()))),
    }
}

/// Sends these bytes.
pub(super) async fn send(stream: &mut impl Transport, mut bytes: &[u8]) -> Result<(), Unwell> {
    while !bytes.is_empty() {
        let sent = poll_fn(|cx| stream.poll_write(cx, bytes)).await.map_err(|error| of_io(&error))?;
        if sent == 0 {
            return Err(Unwell::new("it takes nothing"));
        }
        bytes = bytes.get(sent..).unwrap_or_default();
    }
    Ok(())
}

/// Asks, over a connection that ends afterwards.
pub(super) async fn ask(
    target: &ProbeTarget,
    dialer: &SystemDialer,
    question: &Question<'_>,
) -> Result<Answer, Unwell> {
    if target.protocol == UpstreamProtocol::H3 {
        return ask_h3(target, dialer, question).await;
    }
    let stream = connect(target, dialer).await?;
    let agreed_h2 = stream.session().map(|session| session.alpn.as_deref() == Some(b"h2"));
    let is_h2 = match (target.protocol, agreed_h2) {
        (UpstreamProtocol::H2, _) | (_, Some(true)) => true,
        // Without TLS nothing is agreed: who calls by gRPC knows that the endpoint speaks HTTP/2.
        (_, None) => question.is_call,
        (_, Some(false)) if question.is_call => return Err(Unwell::new("it does not speak HTTP/2 over TLS")),
        (_, Some(false)) => false,
    };
    if !is_h2 {
        return exchange(Connection::new(stream), question).await;
    }
    let (client, driver) = h2::Client::new(stream, h2::Limits::default());
    let stream = client.open().ok_or_else(|| Unwell::new("it takes no requests"))?;
    driven(driver, exchange(stream, question), || client.close()).await
}

async fn ask_h3(
    target: &ProbeTarget,
    dialer: &SystemDialer,
    question: &Question<'_>,
) -> Result<Answer, Unwell> {
    let (Some((tls, name)), Address::Ip(address)) = (&target.tls, &target.address) else {
        return Err(Unwell::new("HTTP/3 needs TLS and an IP address"));
    };
    let connection = dialer.dial_quic(*address, tls.client_config(), name).map_err(|error| of_io(&error))?;
    let shaken = poll_fn(|cx| connection.poll_handshake(cx)).await;
    shaken.map_err(|error| Unwell::new(format!("QUIC: {error}")))?;
    let (client, driver) = h3::Client::new(connection, h3::Limits::default());
    let stream = client.open().ok_or_else(|| Unwell::new("it takes no requests"))?;
    driven(driver, exchange(stream, question), || client.close()).await
}

/// Does the work, and drives the connection that it is done over. At the end the peer is told, without a wait.
async fn driven<D: Future + Unpin, T>(mut driver: D, work: impl Future<Output = T>, close: impl Fn()) -> T {
    let mut ended = false;
    let mut done = None;
    {
        let mut work = pin!(work);
        poll_fn(|cx| {
            ended = ended || Pin::new(&mut driver).poll(cx).is_ready();
            work.as_mut().poll(cx).map(|outcome| done = Some(outcome))
        })
        .await;
    }
    close();
    poll_fn(|cx| {
        let _ = !ended && Pin::new(&mut driver).poll(cx).is_ready();
        Poll::Ready(())
    })
    .await;
    #[expect(clippy::expect_used, reason = "the first wait ends when there is an outcome")]
    done.expect("an outcome")
}

async fn exchange(mut way: impl Upstream, question: &Question<'_>) -> Result<Answer, Unwell> {
    let framing = if question.body.is_empty() { Framing::None } else { Framing::Chunked };
    let context = RequestContext { takes_trailers: question.is_call, ..RequestContext::default() };
    way.begin_request(question.request, question.host.as_bytes(), framing, context);
    let mut left = question.body;
    let sent = poll_fn(|cx| {
        while !left.is_empty() {
            let taken = ready!(way.poll_send(cx, left))?;
            left = left.get(taken..).unwrap_or_default();
        }
        way.poll_finish(cx, None)
    });
    // Who answers before it has heard everything has answered.
    let unsent = sent.await.err();
    let mut answer = Answer::default();
    head(&mut way, &mut answer.response).await.map_err(|error| of_wire(&unsent.unwrap_or(error)))?;
    let framing = framing::of_response(&mut answer.response, &question.request.method);
    way.begin_receive(framing.map_err(|error| Unwell::new(format!("it answered with {}", error.as_str())))?);
    if question.wanted > 0 {
        body(&mut way, question.wanted, &mut answer).await.map_err(|error| of_wire(&error))?;
    }
    Ok(answer)
}

/// The final head.
async fn head(way: &mut impl Upstream, response: &mut Response) -> Result<(), WireError> {
    let limits = HeadLimits::default();
    for _ in 0..=MAX_INFORMATIONAL {
        poll_fn(|cx| way.poll_response(cx, &limits, response)).await?;
        if !response.is_informational() || response.status == 101 {
            return Ok(());
        }
        response.clear();
    }
    Err(WireError::Protocol("flood of informational responses"))
}

/// The body, as far as it is wanted, and the trailers if that is all of it.
async fn body(way: &mut impl Upstream, wanted: usize, answer: &mut Answer) -> Result<(), WireError> {
    while answer.body.len() < wanted {
        let len = poll_fn(|cx| way.poll_fill(cx)).await?;
        if len == 0 {
            let trailer = |name: &[u8]| Some(way.trailers()?.get_named(name)?.to_vec());
            answer.outcome = (trailer(b"grpc-status"), trailer(b"grpc-message"));
            return Ok(());
        }
        let chunk = way.chunk();
        let taken = chunk.len().min(wanted - answer.body.len());
        answer.body.extend_from_slice(chunk.get(..taken).unwrap_or_default());
        way.consume(len);
    }
    Ok(())
}

/// What the system says, in words.
pub(super) fn of_io(error: &io::Error) -> Unwell {
    let known = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::ConnectionReset => "connection reset",
        io::ErrorKind::HostUnreachable => "no route to host",
        io::ErrorKind::NetworkUnreachable => "network unreachable",
        io::ErrorKind::TimedOut => "connection timed out",
        io::ErrorKind::NotFound => "no such socket",
        io::ErrorKind::UnexpectedEof => "connection closed",
        _ => return Unwell::new(error.to_string()),
    };
    Unwell::new(known)
}

fn of_wire(error: &WireError) -> Unwell {
    match error {
        WireError::Io(error) => of_io(error),
        WireError::Closed => Unwell::new("connection closed without an answer"),
        WireError::Truncated => Unwell::new("connection closed within the answer"),
        error if error.is_malformed() => Unwell::new(format!("its answer is malformed: {error}")),
        error => Unwell::new(error.to_string()),
    }
}
