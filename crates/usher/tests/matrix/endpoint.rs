//! The endpoint: one of each protocol, in the runtime of the test. Requests go to the pair that is named in them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use usher_http::Request;
use usher_http::parse::HeadLimits;
use usher_net::Stream;
use usher_net::quic::{Connection, QuicKeys, QuicListener, QuicOptions, UdpOptions, bind_udp};
use usher_net::tls::{
    AcceptorOptions, Certificate, Certificates, QuicTls, Secured, TicketKeys, TlsAcceptor, accept,
};
use usher_testkit::{Leaf, Port};
use usher_wire::{h2, h3};

use crate::hand::Outcome;
use crate::served::{H1, Served};
use crate::speech::Speech;

const ANY_PORT: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);
/// Heads as large as any test has them.
const LIMITS: HeadLimits = HeadLimits { line: 8 << 10, head: 64 << 10, fields: 200 };

/// Requests by the pair that they are for.
#[derive(Default)]
struct Arrivals(RefCell<HashMap<String, mpsc::UnboundedSender<Served>>>);

impl Arrivals {
    fn give(&self, served: Result<Served, &'static str>) {
        match served {
            Err(wrong) => eprintln!("the endpoint does not understand a request: {wrong}"),
            Ok(served) => {
                let to = served.field("x-pair").and_then(|pair| self.0.borrow().get(&pair).cloned());
                match to {
                    // Nobody waits for it at the end of a test.
                    Some(to) => drop(to.send(served)),
                    None => {
                        eprintln!("the endpoint does not know whose request this is: {:?}", served.request)
                    }
                }
            }
        }
    }
}

/// All endpoints.
pub(crate) struct Endpoints {
    arrivals: Rc<Arrivals>,
    /// By TLS, HTTP/1 or 2 as agreed.
    secure: SocketAddr,
    plain: SocketAddr,
    h2c: SocketAddr,
    quic: SocketAddr,
    /// Refuses every client.
    quic_refusing: QuicListener,
    /// Nobody listens there.
    nobody: Port,
}

impl Endpoints {
    pub(crate) async fn start(leaf: &Leaf) -> Outcome<Self> {
        let certificates = Certificates::new();
        let certificate = Certificate::from_pem(leaf.cert.as_bytes(), leaf.key.as_bytes())?;
        certificates.set_default(Some(Arc::new(certificate)));
        let mut options = AcceptorOptions::new(certificates, TicketKeys::new());
        options.alpn = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = Rc::new(TlsAcceptor::new(options)?);
        let arrivals = Rc::new(Arrivals::default());
        let tls = acceptor.quic(false)?;
        let quic = quic_listener(&tls)?;
        let quic_refusing = quic_listener(&tls)?;
        quic_refusing.refuse_new();
        let (secure, plain, h2c) = (listener().await?, listener().await?, listener().await?);
        let this = Self {
            secure: secure.local_addr()?,
            plain: plain.local_addr()?,
            h2c: h2c.local_addr()?,
            quic: quic.address(),
            arrivals: arrivals.clone(),
            quic_refusing,
            nobody: Port::reserve()?,
        };
        tokio::task::spawn_local(accept_secure(secure, acceptor, arrivals.clone()));
        tokio::task::spawn_local(accept_plain(plain, false, arrivals.clone()));
        tokio::task::spawn_local(accept_plain(h2c, true, arrivals.clone()));
        tokio::task::spawn_local(accept_quic(quic, arrivals));
        Ok(this)
    }

    pub(crate) fn address(&self, speech: Speech) -> SocketAddr {
        match speech {
            Speech::H1 | Speech::H2 => self.secure,
            Speech::H3 => self.quic,
            Speech::Plain => self.plain,
            Speech::H2c => self.h2c,
        }
    }

    /// Where connecting fails at once.
    pub(crate) fn refusing(&self, speech: Speech) -> SocketAddr {
        if speech == Speech::H3 { self.quic_refusing.address() } else { self.nobody.address() }
    }

    /// Requests that name this pair.
    pub(crate) fn arrivals(&self, pair: &str) -> mpsc::UnboundedReceiver<Served> {
        let (give, take) = mpsc::unbounded_channel();
        self.arrivals.0.borrow_mut().insert(pair.to_owned(), give);
        take
    }
}

async fn listener() -> io::Result<TcpListener> {
    TcpListener::bind(ANY_PORT).await
}

fn quic_listener(tls: &Arc<QuicTls>) -> io::Result<QuicListener> {
    let bound = bind_udp(ANY_PORT.into(), UdpOptions::default(), 1)?.remove(0);
    let options = QuicOptions::new(Arc::new(QuicKeys::random()?));
    QuicListener::new(bound, tls.clone(), &options)
}

async fn accept_secure(listener: TcpListener, acceptor: Rc<TlsAcceptor>, arrivals: Rc<Arrivals>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, arrivals) = (acceptor.clone(), arrivals.clone());
        tokio::task::spawn_local(async move {
            let _ = stream.set_nodelay(true);
            let Ok(stream) = accept(Stream::Tcp(stream), Vec::new(), &acceptor).await else { return };
            if stream.session().alpn.as_deref() == Some(b"h2") {
                serve_h2(stream.into(), arrivals).await;
            } else {
                serve_h1(stream.into(), arrivals).await;
            }
        });
    }
}

async fn accept_plain(listener: TcpListener, is_h2: bool, arrivals: Rc<Arrivals>) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let (stream, arrivals) = (Secured::Plain(Stream::Tcp(stream)), arrivals.clone());
        if is_h2 {
            tokio::task::spawn_local(serve_h2(stream, arrivals));
        } else {
            tokio::task::spawn_local(serve_h1(stream, arrivals));
        }
    }
}

async fn accept_quic(listener: QuicListener, arrivals: Rc<Arrivals>) {
    while let Some(connection) = listener.accept().await {
        tokio::task::spawn_local(serve_h3(connection, arrivals.clone()));
    }
}

async fn serve_h1(stream: Secured<Stream>, arrivals: Rc<Arrivals>) {
    let mut connection = H1::new(stream);
    loop {
        let mut request = Request::default();
        if poll_fn(|cx| connection.poll_request(cx, &LIMITS, &mut request)).await.is_err() {
            return;
        }
        let (back, returned) = oneshot::channel();
        arrivals.give(Served::on(request, connection, back));
        match returned.await {
            Ok(given) => connection = given,
            Err(_) => return,
        }
    }
}

async fn serve_h2(stream: Secured<Stream>, arrivals: Rc<Arrivals>) {
    let limits = h2::Limits { head: LIMITS, ..h2::Limits::default() };
    let mut server = h2::Server::new(stream, &[], limits);
    loop {
        let mut request = Request::default();
        match poll_fn(|cx| server.poll_request(cx, &mut request)).await {
            Ok(Some(stream)) => arrivals.give(Served::new(request, Box::new(stream))),
            Ok(None) => return,
            Err(error) => return eprintln!("the endpoint's connection of HTTP/2 failed: {error}"),
        }
    }
}

async fn serve_h3(connection: Connection, arrivals: Rc<Arrivals>) {
    let mut server = h3::Server::new(connection, h3::Limits { head: LIMITS, ..h3::Limits::default() });
    loop {
        let mut request = Request::default();
        match poll_fn(|cx| server.poll_request(cx, &mut request)).await {
            Ok(Some(stream)) => arrivals.give(Served::new(request, Box::new(stream))),
            Ok(None) => return,
            Err(error) => return eprintln!("the endpoint's connection of HTTP/3 failed: {error}"),
        }
    }
}
