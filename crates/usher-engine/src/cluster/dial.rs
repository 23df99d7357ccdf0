//! To an endpoint: a connection that is there already, a stream of one that carries many, or a new one, with TLS where
//! the endpoint speaks it.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use usher_api::{Client as Visitor, Error, ErrorKind, Side};
use usher_config::config::UpstreamProtocol;
use usher_net::tls::{HandshakeError, HandshakeErrorKind, Secured, TlsConnector};
use usher_net::{Address, Dialer, Transport};
use usher_wire::{Connection, h2, h3};

use super::Endpoint;
use super::link::Link;
use crate::deadline::Deadline;
use crate::l4::introduce;
use crate::snapshot::ClusterSpec;

/// Connections that carry many requests, to one endpoint.
#[derive(Default)]
pub(super) struct Shared {
    clients: RefCell<Vec<SharedConnection>>,
    /// The endpoint took HTTP/2 when it was last connected to.
    speaks_h2: Cell<bool>,
    /// Connections that are being made.
    dialing: Cell<u32>,
    dialed: Notify,
}

struct SharedConnection {
    client: Client,
    used: Cell<Instant>,
}

/// A connection that carries many requests.
enum Client {
    H2(h2::Client),
    H3(h3::Client),
}

impl Client {
    fn open<S: Transport>(&self) -> Option<Link<S>> {
        match self {
            Self::H2(client) => Some(Link::H2(Box::new(client.open()?))),
            Self::H3(client) => Some(Link::H3(Box::new(client.open()?))),
        }
    }

    fn is_open(&self) -> bool {
        match self {
            Self::H2(client) => client.is_open(),
            Self::H3(client) => client.is_open(),
        }
    }

    fn streams(&self) -> usize {
        match self {
            Self::H2(client) => client.streams(),
            Self::H3(client) => client.streams(),
        }
    }

    fn close(&self) {
        match self {
            Self::H2(client) => client.close(),
            Self::H3(client) => client.close(),
        }
    }
}

impl Shared {
    /// Keeps a connection, and opens its first stream.
    fn keep<S: Transport>(&self, client: Client) -> Result<Link<S>, Error> {
        let Some(first) = client.open() else {
            // It takes no requests at all: nobody could use it, and each request would bring one more.
            client.close();
            return Err(failed(ErrorKind::ConnectFailed));
        };
        let used = Cell::new(Instant::now());
        self.clients.borrow_mut().push(SharedConnection { client, used });
        Ok(first)
    }

    /// A stream on a connection that has room for one.
    fn stream<S: Transport>(&self) -> Option<Link<S>> {
        let mut clients = self.clients.borrow_mut();
        clients.retain(|one| one.client.is_open());
        clients.iter().find_map(|one| {
            let stream = one.client.open()?;
            one.used.set(Instant::now());
            Some(stream)
        })
    }

    /// Closes connections on which nothing was asked for a while, and forgets those that ended.
    pub(super) fn sweep(&self, now: Instant, timeout: Duration) {
        let mut clients = self.clients.borrow_mut();
        clients.retain(|one| {
            let is_idle = one.client.streams() == 0 && now.duration_since(one.used.get()) >= timeout;
            if is_idle {
                one.client.close();
            }
            one.client.is_open() && !is_idle
        });
    }

    /// Lets those that are there end with their last stream.
    pub(super) fn retire(&self) {
        self.clients.borrow_mut().drain(..).for_each(|one| one.client.close());
    }
}

/// A connection that is being made; whoever waits for it is told when it is there, or will not be.
struct Dialing<'a>(&'a Shared);

impl<'a> Dialing<'a> {
    fn begin(shared: &'a Shared) -> Self {
        shared.dialing.set(shared.dialing.get() + 1);
        Self(shared)
    }
}

impl Drop for Dialing<'_> {
    fn drop(&mut self) {
        self.0.dialing.set(self.0.dialing.get() - 1);
        self.0.dialed.notify_waiters();
    }
}

/// What a request needs of its way to an endpoint.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// The cluster.
    pub spec: &'a ClusterSpec,
    /// It will become a tunnel by Upgrade, which HTTP/1 is asked for where there is a choice.
    pub tunnel: bool,
    /// No HTTP will be spoken at all.
    pub bare: bool,
    /// For whom, and the host that it asked for in a TLS handshake that was not ended here.
    pub client: (&'a Visitor, &'a str),
    /// How long connecting may take, the handshake included.
    pub patience: Duration,
}

impl<S: Transport> Endpoint<S> {
    /// A way that is there already; not for what will become a tunnel by Upgrade, which has one of its own in HTTP/1.
    pub(crate) fn kept(&self, tunnel: bool) -> Option<Link<S>> {
        let protocol = self.resolved.speech.protocol;
        if tunnel && !matches!(protocol, UpstreamProtocol::H2 | UpstreamProtocol::H3) {
            return None;
        }
        if !self.shared.clients.borrow().is_empty()
            && let Some(link) = self.shared.stream()
        {
            return Some(link);
        }
        self.take_idle().map(Link::H1)
    }

    /// A new way: a connection, with TLS and HTTP/2 where the endpoint speaks them.
    pub(crate) async fn dial<D: Dialer<Stream = S>>(
        &self,
        dialer: &D,
        deadline: &Deadline,
        wanted: Wanted<'_>,
    ) -> Result<Link<S>, Error> {
        let speech = &self.resolved.speech;
        let multiplexed = matches!(speech.protocol, UpstreamProtocol::H2 | UpstreamProtocol::H3);
        let shares = multiplexed || self.shared.speaks_h2.get() && !wanted.tunnel;
        deadline.set(wanted.patience);
        // Requests that come together shall not each make a connection that can carry them all.
        while shares && self.shared.dialing.get() > 0 {
            let mut told = std::pin::pin!(self.shared.dialed.notified());
            let waited = poll_fn(|cx| match told.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(true),
                Poll::Pending => deadline.poll(cx).map(|_| false),
            });
            if !waited.await {
                return Err(failed(ErrorKind::ConnectTimeout));
            }
            if let Some(link) = self.shared.stream() {
                return Ok(link);
            }
        }
        let _dialing = Dialing::begin(&self.shared);
        // Less, if another request's connection was waited for.
        let patience = deadline.left();
        if speech.protocol == UpstreamProtocol::H3 {
            let connecting = self.connect_quic(dialer, wanted);
            let connected = deadline.limit(patience, connecting).await;
            return connected.unwrap_or_else(|_| Err(failed(ErrorKind::ConnectTimeout)));
        }
        let connecting = self.connect(dialer, wanted);
        match deadline.limit(patience, connecting).await {
            Ok(stream) => self.link(stream?, wanted),
            Err(_) => Err(failed(ErrorKind::ConnectTimeout)),
        }
    }

    /// A connection, with TLS where the endpoint speaks it. Without a limit of time.
    pub(crate) async fn connect<D: Dialer<Stream = S>>(
        &self,
        dialer: &D,
        wanted: Wanted<'_>,
    ) -> Result<Secured<S>, Error> {
        let speech = &self.resolved.speech;
        let dialed = dialer.dial(&self.resolved.address).await;
        let mut stream = dialed.map_err(|cause| failed(ErrorKind::ConnectFailed).caused_by(cause))?;
        if let Some(version) = speech.proxy {
            let introduced = introduce::write(&mut stream, version, wanted.client).await;
            introduced.map_err(|cause| failed(ErrorKind::ConnectFailed).caused_by(cause))?;
        }
        let Some(name) = &speech.tls else { return Ok(Secured::Plain(stream)) };
        let tls: Option<&TlsConnector> = match &wanted.spec.tls {
            Some(tls) if wanted.bare => tls.bare.as_deref(),
            Some(tls) if wanted.tunnel && speech.protocol == UpstreamProtocol::Auto => Some(&tls.http1),
            Some(tls) => Some(&tls.usual),
            None => None,
        };
        let tls =
            tls.ok_or_else(|| Error::new(Side::Proxy, ErrorKind::Internal).detail("no TLS for an endpoint"))?;
        match tls.connect(stream, name).await {
            Ok(stream) => Ok(stream.into()),
            Err(error) => {
                Err(failed(ErrorKind::ConnectFailed).caused_by(std::io::Error::other(of_tls(&error, name))))
            }
        }
    }

    /// What a fresh stream carries: what was agreed, or what the config says.
    fn link(&self, stream: Secured<S>, wanted: Wanted<'_>) -> Result<Link<S>, Error> {
        let agreed = stream.session().and_then(|session| session.alpn.as_deref());
        let is_h2 = match self.resolved.speech.protocol {
            UpstreamProtocol::H2 => true,
            UpstreamProtocol::Auto => agreed == Some(b"h2"),
            UpstreamProtocol::H1 | UpstreamProtocol::H3 => false,
        };
        if !wanted.tunnel {
            self.shared.speaks_h2.set(is_h2);
        }
        if !is_h2 {
            return Ok(Link::H1(Box::new(Connection::new(stream))));
        }
        let (client, driver) = h2::Client::new(stream, h2::Limits::default());
        tokio::task::spawn_local(async move {
            // How it ended shows on its streams.
            let _ = driver.await;
        });
        self.shared.keep(Client::H2(client))
    }

    /// A new connection of HTTP/3.
    async fn connect_quic<D: Dialer<Stream = S>>(
        &self,
        dialer: &D,
        wanted: Wanted<'_>,
    ) -> Result<Link<S>, Error> {
        let lost = |why: String| failed(ErrorKind::ConnectFailed).caused_by(std::io::Error::other(why));
        let (Some(tls), Some(name), Address::Ip(address)) =
            (&wanted.spec.tls, &self.resolved.speech.tls, &self.resolved.address)
        else {
            return Err(lost("HTTP/3 needs TLS and an IP address".to_owned()));
        };
        let connection = dialer
            .dial_quic(*address, tls.usual.client_config(), name)
            .map_err(|cause| failed(ErrorKind::ConnectFailed).caused_by(cause))?;
        poll_fn(|cx| connection.poll_handshake(cx)).await.map_err(|error| lost(error.to_string()))?;
        let (client, driver) = h3::Client::new(connection, h3::Limits::default());
        tokio::task::spawn_local(async move {
            // How it ended shows on its streams.
            let _ = driver.await;
        });
        self.shared.keep(Client::H3(client))
    }
}

fn failed(kind: ErrorKind) -> Error {
    Error::new(Side::Upstream, kind).untouched()
}

/// What went wrong in a handshake with an endpoint; where its certificate is at fault, with the name that it was asked for.
fn of_tls(error: &HandshakeError, name: &str) -> String {
    match error.kind() {
        HandshakeErrorKind::BadServerCertificate => {
            format!("TLS: {} (the endpoint shall be `{name}`)", error.text())
        }
        _ => format!("TLS: {}", error.text()),
    }
}
