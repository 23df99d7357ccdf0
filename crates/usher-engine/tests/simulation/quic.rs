//! HTTP/3 among strangers: by real QUIC, where a request is seen to have ended after its response has gone.

use std::future::{Future, poll_fn};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_local};
use usher_engine::accept;
use usher_http::parse::HeadLimits;
use usher_http::{Framing, Method, Request, Response, framing};
use usher_net::quic::{QuicConnector, QuicKeys, QuicListener, QuicOptions, UdpOptions, bind_udp};
use usher_net::tls::{Certificate, ConnectorOptions, TlsConnector};
use usher_wire::{NotTrailers, RequestContext, Sink as _, Source as _, Upstream as _, h3};

use crate::client::{answer, endpoints};
use crate::world::World;

const CONFIG: &str = r#"
automatic_https = false
[[listener]]
bind = "127.0.0.1:8443"
tls = true
[[route]]
to = "127.0.0.1:9000"
"#;
const LIMITS: HeadLimits = HeadLimits { line: 8 << 10, head: 64 << 10, fields: 200 };
/// So many ask in a turn that nobody has used before.
const AT_ONCE: usize = 4;
/// Whoever has waited for so long waits in vain.
const PATIENCE: Duration = Duration::from_secs(20);

/// A proxy whose next turn comes when it is told so.
struct Scene {
    world: Rc<World>,
    next_turn: Rc<Notify>,
    address: SocketAddr,
    tls: TlsConnector,
}

impl Scene {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let next_turn = Rc::new(Notify::new());
        let told = next_turn.clone();
        let reception = endpoints(|_, port, reader, writer| answer(port, reader, writer));
        let world = World::with_turns(CONFIG, reception, async move || told.notified().await);
        let key = made.signing_key.serialize_pem();
        let certificate = Certificate::from_pem(made.cert.pem().as_bytes(), key.as_bytes()).unwrap();
        world.worker.local().shared.trust.certificates.set_default(Some(Arc::new(certificate)));
        let options = ConnectorOptions {
            roots: Some(made.cert.pem().into()),
            alpn: vec!["h3".into()],
            ..ConnectorOptions::default()
        };
        Self { address: listen(&world), world, next_turn, tls: TlsConnector::new(options).unwrap() }
    }
}

/// Serves HTTP/3 at a port of the loopback.
fn listen(world: &World) -> SocketAddr {
    let spec = world.worker.local().shared.listeners[0].clone();
    let tls = spec.tls.as_ref().and_then(|tls| tls.quic.clone()).unwrap();
    let bound = bind_udp((Ipv4Addr::LOCALHOST, 0).into(), UdpOptions::default(), 1).unwrap().remove(0);
    let listener = QuicListener::new(bound, tls, &quic_options()).unwrap();
    let address = listener.address();
    spawn_local(accept::run_quic(world.worker.clone(), listener, spec, 0, Rc::default()));
    address
}

fn quic_options() -> QuicOptions {
    QuicOptions::new(QuicKeys::random().unwrap().into())
}

/// A connection of HTTP/3.
struct Client {
    h3: h3::Client,
    _quic: QuicConnector,
}

impl Client {
    async fn connect(scene: &Scene) -> Self {
        let quic = QuicConnector::new(quic_options());
        let connection = quic.connect(scene.address, "localhost", scene.tls.client_config()).unwrap();
        poll_fn(|cx| connection.poll_handshake(cx)).await.unwrap();
        let (h3, driver) = h3::Client::new(connection, h3::Limits { head: LIMITS, ..h3::Limits::default() });
        spawn_local(driver);
        Self { h3, _quic: quic }
    }

    /// Asks, and takes the whole response: its status.
    async fn ask(&self) -> u16 {
        let mut stream = loop {
            match self.h3.open() {
                Some(stream) => break stream,
                // The server has not said yet how many there may be.
                None => tokio::task::yield_now().await,
            }
        };
        let mut request = Request::default();
        request.method = Method::from_token(b"GET");
        (request.scheme, request.path) = ("https", "/".into());
        let trailers: NotTrailers = [].into();
        let context = RequestContext { upgrade: None, takes_trailers: false, trailers: Some(&trailers) };
        stream.begin_request(&request, b"localhost", Framing::None, context);
        poll_fn(|cx| stream.poll_finish(cx, None)).await.unwrap();
        let mut response = Response::default();
        poll_fn(|cx| stream.poll_response(cx, &LIMITS, &mut response)).await.unwrap();
        stream.begin_receive(framing::of_response(&mut response, &request.method).unwrap());
        loop {
            match poll_fn(|cx| stream.poll_fill(cx)).await.unwrap() {
                0 => return response.status,
                length => stream.consume(length),
            }
        }
    }
}

/// Asks once as somebody new.
async fn stranger(scene: &Scene) -> JoinHandle<u16> {
    let client = Client::connect(scene).await;
    spawn_local(async move { client.ask().await })
}

async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waits in vain: {what}"))
}

#[test]
fn a_connection_that_has_taken_a_response_waits_for_no_turn() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default());
    runtime.unwrap().block_on(async {
        let scene = Scene::new();
        // The first of them begin the turn that is theirs; nobody waits before there are turns.
        tokio::task::yield_now().await;
        let mut known = Vec::new();
        for _ in 0..AT_ONCE {
            let client = Client::connect(&scene).await;
            assert_eq!(in_time("who fits into the turn", client.ask()).await, 200);
            known.push(client);
        }
        let waiting = stranger(&scene).await;
        for client in &known {
            assert_eq!(in_time("who is known", client.ask()).await, 200);
        }
        assert!(!waiting.is_finished() && scene.world.endpoint_requests() == 2 * AT_ONCE as u64);
        scene.next_turn.notify_one();
        assert_eq!(in_time("the stranger, whose turn has come", waiting).await.unwrap(), 200);
    });
}
