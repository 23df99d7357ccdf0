//! A client's connection to the proxy, or a stream of one, whatever the protocol.

use std::cell::RefCell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Semaphore;
use usher_http::parse::HeadLimits;
use usher_http::{Framing, Method, Request, Response, framing};
use usher_net::quic::{QuicConnector, QuicKeys, QuicOptions};
use usher_net::tls::{ConnectorOptions, Secured, TlsConnector};
use usher_net::{Address, Dialer as _, Stream, SystemDialer};
use usher_wire::{Connection, NotTrailers, RequestContext, Upstream, h2, h3};

const LIMITS: HeadLimits = HeadLimits { line: 8 << 10, head: 32 << 10, fields: 100 };
/// How often it is looked again whether a connection of HTTP/2 can carry one more.
const LOOK: Duration = Duration::from_millis(2);
/// WebSockets of one connection of HTTP/2; Usher takes 100 streams.
const STREAMS: usize = 25;
const OPENING: usize = 20;

pub(super) type Broken = Box<dyn std::error::Error>;

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speech {
    Plain,
    Tls,
    H2,
    H3,
}

impl Speech {
    pub(super) const ALL: [Self; 4] = [Self::Plain, Self::Tls, Self::H2, Self::H3];
}

/// Where bytes go and come from.
pub(super) trait Way {
    async fn send(&mut self, data: &[u8]) -> Result<(), Broken>;
    /// What comes next; nothing at the end.
    async fn receive(&mut self) -> Result<Vec<u8>, Broken>;
}

pub(super) type Up = Box<dyn Upstream>;

impl Way for Up {
    async fn send(&mut self, mut data: &[u8]) -> Result<(), Broken> {
        while !data.is_empty() {
            let taken = poll_fn(|cx| self.poll_send(cx, data)).await?;
            data = &data[taken..];
        }
        Ok(poll_fn(|cx| self.poll_flush(cx)).await?)
    }

    async fn receive(&mut self) -> Result<Vec<u8>, Broken> {
        let len = poll_fn(|cx| self.poll_fill(cx)).await?;
        let piece = self.chunk()[..len].to_vec();
        self.consume(len);
        Ok(piece)
    }
}

/// The listeners, and how they are spoken to.
pub(super) struct Doors {
    plain: SocketAddr,
    secure: SocketAddr,
    h1: TlsConnector,
    h2: TlsConnector,
    h3: TlsConnector,
    quic: QuicConnector,
    /// How many WebSockets may be opened at once: a machine has only so many handshakes a second.
    pub(super) opening: Semaphore,
    /// Connections of HTTP/2 and 3 for WebSockets, and how many each has been asked to carry.
    shared: RefCell<Vec<(Rc<Carrier>, usize)>>,
}

/// A connection that carries many.
enum Carrier {
    H2(h2::Client),
    H3(h3::Client),
}

impl Carrier {
    fn speech(&self) -> Speech {
        match self {
            Self::H2(_) => Speech::H2,
            Self::H3(_) => Speech::H3,
        }
    }

    fn is_open(&self) -> bool {
        match self {
            Self::H2(client) => client.is_open(),
            Self::H3(client) => client.is_open(),
        }
    }

    fn open(&self) -> Option<Up> {
        Some(match self {
            Self::H2(client) => Box::new(client.open()?),
            Self::H3(client) => Box::new(client.open()?),
        })
    }
}

impl Doors {
    pub(super) fn new(plain: SocketAddr, secure: SocketAddr, ca: &str) -> Self {
        let connector = |protocol: &str| {
            let alpn = vec![protocol.into()];
            let roots = Some(ca.into());
            TlsConnector::new(ConnectorOptions { roots, alpn, ..ConnectorOptions::default() }).unwrap()
        };
        let (h1, h2, h3) = (connector("http/1.1"), connector("h2"), connector("h3"));
        let quic = QuicConnector::new(QuicOptions::new(QuicKeys::random().unwrap().into()));
        Self { plain, secure, h1, h2, h3, quic, opening: Semaphore::new(OPENING), shared: RefCell::default() }
    }

    /// A new connection that carries one request after another.
    pub(super) async fn connect(&self, speech: Speech) -> Result<Up, Broken> {
        Ok(match speech {
            Speech::Plain => Box::new(Connection::new(Secured::Plain(dial(self.plain).await?))),
            _ => {
                let stream = self.h1.connect(dial(self.secure).await?, "localhost").await;
                let stream = stream.map_err(|error| error.text().to_owned())?;
                Box::new(Connection::new(Secured::from(stream)))
            }
        })
    }

    /// A new connection of HTTP/2.
    pub(super) async fn connect_h2(&self) -> Result<h2::Client, Broken> {
        let stream = self.h2.connect(dial(self.secure).await?, "localhost").await;
        let stream: Secured<Stream> = stream.map_err(|error| error.text().to_owned())?.into();
        let limits = h2::Limits { head: LIMITS, ..h2::Limits::default() };
        let (client, driver) = h2::Client::new(stream, limits);
        tokio::task::spawn_local(driver);
        while !client.is_greeted() {
            if !client.is_open() {
                return Err("the connection ended before it began".into());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(client)
    }

    async fn connect_h3(&self) -> Result<h3::Client, Broken> {
        let connection = self.quic.connect(self.secure, "localhost", self.h3.client_config())?;
        poll_fn(|cx| connection.poll_handshake(cx)).await?;
        let (client, driver) =
            h3::Client::new(connection, h3::Limits { head: LIMITS, ..h3::Limits::default() });
        tokio::task::spawn_local(driver);
        while !client.is_greeted() {
            if !client.is_open() {
                return Err("the connection ended before it began".into());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(client)
    }

    /// A way for a WebSocket.
    pub(super) async fn for_socket(&self, speech: Speech) -> Result<Up, Broken> {
        if matches!(speech, Speech::Plain | Speech::Tls) {
            return self.connect(speech).await;
        }
        loop {
            let free = {
                let mut shared = self.shared.borrow_mut();
                shared.retain(|(client, count)| client.is_open() && *count < STREAMS);
                shared.iter_mut().find(|(client, _)| client.speech() == speech).map(|(client, count)| {
                    *count += 1;
                    client.clone()
                })
            };
            match free {
                Some(client) => {
                    if let Some(stream) = client.open() {
                        return Ok(stream);
                    }
                }
                None => {
                    let client = match speech {
                        Speech::H3 => Carrier::H3(self.connect_h3().await?),
                        _ => Carrier::H2(self.connect_h2().await?),
                    };
                    self.shared.borrow_mut().push((client.into(), 0));
                }
            }
        }
    }
}

async fn dial(address: SocketAddr) -> std::io::Result<Stream> {
    SystemDialer::default().dial(&Address::Ip(address)).await
}

/// Asks, and gives the head of the answer.
pub(super) async fn ask(up: &mut Up, path: &str, upgrade: bool) -> Result<Response, Broken> {
    let mut request = Request::default();
    request.method = Method::from_token(b"GET");
    request.scheme = "https";
    request.path = path.into();
    let add = |request: &mut Request, name: &str, value: &str| {
        request.fields.add(name.as_bytes(), value.as_bytes()).map_err(|_| "a field")
    };
    if upgrade {
        add(&mut request, "Sec-WebSocket-Version", "13")?;
        add(&mut request, "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")?;
    }
    let trailers: NotTrailers = [].into();
    let upgrade = upgrade.then_some(&b"websocket"[..]);
    let context = RequestContext { upgrade, takes_trailers: false, trailers: Some(&trailers) };
    up.begin_request(&request, b"localhost", Framing::None, context);
    match upgrade {
        Some(_) => poll_fn(|cx| up.poll_flush(cx)).await?,
        None => poll_fn(|cx| up.poll_finish(cx, None)).await?,
    }
    let mut response = Response::default();
    poll_fn(|cx| up.poll_response(cx, &LIMITS, &mut response)).await?;
    if upgrade.is_none() {
        let framing = framing::of_response(&mut response, &request.method).map_err(|_| "framing")?;
        up.begin_receive(framing);
    }
    Ok(response)
}

pub(super) fn local<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default());
    runtime.unwrap().block_on(future)
}
