//! The client: one connection for each protocol that carries many requests, a new one for each request of the other.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use usher_http::parse::HeadLimits;
use usher_http::{Framing, Method, Request, Response, framing};
use usher_net::quic::{QuicConnector, QuicKeys, QuicOptions};
use usher_net::tls::{ConnectorOptions, Secured, TlsConnector};
use usher_net::{Address, Dialer as _, Stream, SystemDialer};
use usher_wire::{Connection, NotTrailers, RequestContext, Sink, Source, Upstream, h2, h3};

use crate::ground::Pair;
use crate::hand::{Hand, Outcome, Step, fields, same};
use crate::speech::Speech;

/// The host that is asked for.
const HOST: &str = "localhost";
/// How often it is looked again whether there is room for a stream.
const LOOK: Duration = Duration::from_millis(2);
/// Heads as large as any test has them.
const LIMITS: HeadLimits = HeadLimits { line: 8 << 10, head: 64 << 10, fields: 200 };

/// Ways to the proxy.
pub(crate) struct Clients {
    front: SocketAddr,
    plain: SocketAddr,
    http1: TlsConnector,
    h2: h2::Client,
    h2c: h2::Client,
    h3: h3::Client,
    /// The socket of QUIC lives as long as this.
    _quic: QuicConnector,
}

impl Clients {
    pub(crate) async fn connect(front: SocketAddr, plain: SocketAddr, ca: &str) -> Outcome<Self> {
        let connector = |protocol: &str| {
            TlsConnector::new(ConnectorOptions {
                roots: Some(ca.into()),
                alpn: vec![protocol.into()],
                ..ConnectorOptions::default()
            })
        };
        let secure =
            connector("h2")?.connect(dial(front).await?, HOST).await.map_err(|e| e.text().to_owned())?;
        let quic = QuicConnector::new(QuicOptions::new(Arc::new(QuicKeys::random()?)));
        let connection = quic.connect(front, HOST, connector("h3")?.client_config())?;
        poll_fn(|cx| connection.poll_handshake(cx)).await?;
        let (h3, driver) = h3::Client::new(connection, h3::Limits { head: LIMITS, ..h3::Limits::default() });
        tokio::task::spawn_local(driver);
        Ok(Self {
            front,
            plain,
            http1: connector("http/1.1")?,
            h2: multiplexed(secure.into()),
            h2c: multiplexed(Secured::Plain(dial(plain).await?)),
            h3,
            _quic: quic,
        })
    }

    /// A way for one request; for protocols with many streams, one more stream of their connection.
    pub(crate) async fn open(&self, speech: Speech) -> Outcome<Box<dyn Upstream>> {
        Ok(match speech {
            Speech::H1 => {
                let stream = self.http1.connect(dial(self.front).await?, HOST).await;
                let stream = stream.map_err(|error| error.text().to_owned())?;
                Box::new(Connection::new(Secured::from(stream)))
            }
            Speech::Plain => Box::new(Connection::new(Secured::Plain(dial(self.plain).await?))),
            Speech::H2 => Box::new(stream(|| (self.h2.open(), self.h2.is_open())).await?),
            Speech::H2c => Box::new(stream(|| (self.h2c.open(), self.h2c.is_open())).await?),
            Speech::H3 => Box::new(stream(|| (self.h3.open(), self.h3.is_open())).await?),
        })
    }

    /// Waits until the proxy has said that it takes extended CONNECT.
    pub(crate) async fn greeted(&self, speech: Speech) -> Outcome {
        loop {
            let (greeted, takes) = match speech {
                Speech::H1 | Speech::Plain => return Ok(()),
                Speech::H2 => (self.h2.is_greeted(), self.h2.takes_connect_protocol()),
                Speech::H2c => (self.h2c.is_greeted(), self.h2c.takes_connect_protocol()),
                Speech::H3 => (self.h3.is_greeted(), self.h3.takes_connect_protocol()),
            };
            if greeted {
                return same("takes extended CONNECT", takes, true);
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

async fn dial(address: SocketAddr) -> std::io::Result<Stream> {
    SystemDialer::default().dial(&Address::Ip(address)).await
}

fn multiplexed(stream: Secured<Stream>) -> h2::Client {
    let limits = h2::Limits { head: LIMITS, ..h2::Limits::default() };
    let (client, driver) = h2::Client::new(stream, limits);
    tokio::task::spawn_local(driver);
    client
}

async fn stream<T>(mut open: impl FnMut() -> (Option<T>, bool)) -> Outcome<T> {
    loop {
        match open() {
            (Some(stream), _) => return Ok(stream),
            (None, true) => tokio::time::sleep(LOOK).await,
            (None, false) => return Err("the client's connection has ended".into()),
        }
    }
}

/// What is asked for.
pub(crate) struct Asked<'a> {
    /// The beginning of the path, which chooses a route; then comes the cluster.
    pub(crate) prefix: &'a str,
    pub(crate) method: &'a str,
    pub(crate) framing: Framing,
    pub(crate) fields: &'a [(&'a str, &'a str)],
    /// The protocol to switch to.
    pub(crate) upgrade: Option<&'a str>,
}

impl Default for Asked<'_> {
    fn default() -> Self {
        Self { prefix: "to", method: "GET", framing: Framing::None, fields: &[], upgrade: None }
    }
}

/// The client's hand in an exchange.
pub(crate) struct Ask {
    pub(crate) up: Box<dyn Upstream>,
    method: Method,
    step: Step,
}

impl Ask {
    /// Queues a request's head on `up`.
    pub(crate) fn begin(pair: &Pair, mut up: Box<dyn Upstream>, asked: &Asked<'_>) -> Self {
        let mut request = Request::default();
        request.method = Method::from_token(asked.method.as_bytes());
        request.scheme = pair.front.scheme();
        request.path = pair.path(asked.prefix);
        request.fields = fields(asked.fields);
        request.fields.add(b"X-Pair", pair.id().as_bytes()).expect("a field");
        if let Framing::Length(length) = asked.framing {
            request.fields.add(b"Content-Length", length.to_string().as_bytes()).expect("a field");
        }
        let trailers: NotTrailers = Arc::from([]);
        let upgrade = asked.upgrade.map(str::as_bytes);
        let context =
            RequestContext { upgrade, takes_trailers: upgrade.is_none(), trailers: Some(&trailers) };
        up.begin_request(&request, HOST.as_bytes(), asked.framing, context);
        Self { up, method: request.method, step: pair.step().clone() }
    }

    /// The next head, informational ones too.
    pub(crate) async fn head(&mut self) -> Outcome<Response> {
        self.step.set("client", "waits for a head");
        let mut response = Response::default();
        poll_fn(|cx| self.up.poll_response(cx, &LIMITS, &mut response)).await?;
        self.understand(response)
    }

    /// The next head has this status.
    pub(crate) async fn sees(&mut self, status: u16) -> Outcome<Response> {
        let response = self.head().await?;
        same("status", response.status, status)?;
        Ok(response)
    }

    /// The next head and a body that is whole.
    pub(crate) async fn answer(&mut self) -> Outcome<(Response, Vec<u8>)> {
        let head = self.head().await?;
        Ok((head, self.body().await?))
    }

    /// Sends until a head comes or it can send no more. Gives the head.
    pub(crate) async fn sends_until_head(&mut self, data: &[u8]) -> Outcome<Response> {
        self.step.set("client", "sends until a head comes");
        let (mut rest, mut response) = (data, Response::default());
        let came = poll_fn(|cx| {
            while !rest.is_empty()
                && let Poll::Ready(sent) = self.up.poll_send(cx, rest)
            {
                rest = rest.get(sent.unwrap_or(rest.len())..).unwrap_or_default();
            }
            self.up.poll_response(cx, &LIMITS, &mut response)
        });
        came.await?;
        self.understand(response)
    }

    fn understand(&mut self, mut response: Response) -> Outcome<Response> {
        if !response.is_informational() || response.status == 101 {
            let framing = framing::of_response(&mut response, &self.method);
            self.up.begin_receive(framing.map_err(|error| error.as_str())?);
        }
        Ok(response)
    }

    /// Breaks off.
    pub(crate) fn abort(mut self) {
        self.up.abort();
    }
}

impl Hand for Ask {
    fn who(&self) -> &'static str {
        "client"
    }

    fn step(&self) -> &Step {
        &self.step
    }

    fn source(&mut self) -> &mut dyn Source {
        &mut *self.up
    }

    fn sink(&mut self) -> &mut dyn Sink {
        &mut *self.up
    }
}
