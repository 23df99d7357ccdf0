//! What a config became: live objects, immutable, shared by all workers and swapped whole.

mod build;
mod endpoint;
mod filters;
mod habits;
mod health;
mod manner;
mod mirror;
mod onward;
mod retry;
mod routes;
mod split;
mod udp;
mod websocket;
mod zone;

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use usher_api::standing::Standings;
use usher_api::{
    AccessSink, Balance, Error, ErrorKind, Filter, HttpChallenges, OnDemand, Phase, Reply, Side, Template,
};
use usher_config::config::{
    AmbiguousPaths, ClusterLimits, Criticality, HostPolicy, Outliers, PanicThreshold, Pool, RetryBudget,
    StatusPattern, UpstreamTimeouts,
};
use usher_config::value::{BindAddress, Percent, TrustedPeer};
use usher_http::Framing;
use usher_http::parse::HeadLimits;
use usher_net::quic::QuicKeys;
use usher_net::tls::{Certificates, QuicTls, TlsAcceptor, TlsConnector};
use usher_net::{ListenOptions, SocketOptions};
use usher_route::Router;
use usher_wire::NotTrailers;

use crate::cluster::{Circuit, Crowd};

pub use build::{Builder, Built};
pub use endpoint::{EndpointSpec, Origin, ResolvedEndpoint, Speech};
pub use health::HealthSpec;
pub use manner::Manner;
pub use mirror::Mirror;
pub use onward::{Onward, Passthrough};
pub use retry::RetryPolicy;
pub use split::ShiftPlan;
pub use udp::{Datagrams, Ration};
pub use websocket::WebSocketPolicy;
pub use zone::Zone;

/// All that is needed to serve requests.
pub struct Snapshot {
    /// Grows with every reload.
    pub generation: u64,
    /// Where clients connect; a listener's number in the router is its index here.
    pub listeners: Vec<Arc<ListenerSpec>>,
    /// Finds the route of a request.
    pub router: Router,
    /// The routes, in the order of the router's rules.
    pub routes: Vec<Route>,
    /// What holds for the responses to requests without a route: `[defaults]`. No request is sent anywhere by it.
    pub unrouted: Route,
    /// The clusters.
    pub clusters: Vec<Arc<ClusterSpec>>,
    /// Certificates, and whoever obtains them; the same over all reloads.
    pub trust: Arc<Trust>,
    /// Whose forwarding fields are believed.
    pub trusted_proxies: Vec<TrustedPeer>,
    /// Where records of finished exchanges go.
    pub access_log: Option<Arc<dyn AccessSink>>,
    /// How long exchanges may go on when the process ends.
    pub drain: Duration,
    /// Connections of clients in all (over all workers).
    pub max_connections: u32,
    /// Some endpoints are told by PROXY headers who the client is, and what it connected to.
    pub introduces: bool,
}

/// Where clients connect, and what they may do there.
pub struct ListenerSpec {
    /// For logs, metrics and explanations.
    pub name: Arc<str>,
    /// The addresses.
    pub bind: Vec<BindAddress>,
    /// How the sockets are opened.
    pub listen: ListenOptions,
    /// Options of every connection.
    pub socket: SocketOptions,
    /// Whose PROXY headers are read.
    pub proxy_protocol: Option<ProxyRule>,
    /// TLS, if it is spoken.
    pub tls: Option<TlsSpec>,
    /// Where connections go, if it carries TCP rather than HTTP.
    pub tcp: Option<Onward>,
    /// Where datagrams go, if it carries UDP.
    pub udp: Option<Datagrams>,
    /// The versions of HTTP that are spoken.
    pub protocols: ListenerProtocols,
    /// Where clients without TLS are sent.
    pub redirect: Option<ToHttps>,
    /// What tells clients of HTTP/3 (RFC 7838), if it is spoken.
    pub alt_svc: Option<Box<str>>,
    /// Requests at once on one connection of HTTP/2 or HTTP/3.
    pub streams: u32,
    /// TLS handshakes at once, over all listeners and workers.
    pub max_handshakes: u32,
    /// What a head may cost.
    pub head: HeadLimits,
    /// Connections open at once on this listener; 0 is no limit.
    pub max_connections: u32,
    /// Connections per client address; 0 is no limit.
    pub per_client: u32,
    /// How long clients may take.
    pub timeouts: ClientTimeouts,
    /// Whether requests are logged, unless their route says otherwise.
    pub logged: bool,
    /// The connections that are open, counted over all workers and reloads.
    pub counts: Counts,
}

/// What TLS needs beside the config: shared by all workers, and the same over all reloads.
#[derive(Default)]
pub struct Trust {
    /// All certificates, by name. Whoever obtains one puts it here.
    pub certificates: Arc<Certificates>,
    /// Answers to challenges of certificate authorities.
    pub challenges: Arc<HttpChallenges>,
    /// Who obtains certificates for names that are first heard of in a handshake.
    pub on_demand: OnceLock<Arc<dyn OnDemand>>,
    /// TLS handshakes that are under way.
    pub handshakes: AtomicU32,
    quic_keys: OnceLock<Option<Arc<QuicKeys>>>,
}

impl Trust {
    /// What workers share for QUIC; none if the system gave no random bytes. Made when it is first asked for: who has no
    /// TLS does not wait for its random numbers at the start.
    pub fn quic_keys(&self) -> Option<Arc<QuicKeys>> {
        self.quic_keys.get_or_init(|| QuicKeys::random().ok().map(Arc::new)).clone()
    }
}

/// Where clients without TLS are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToHttps {
    /// The port.
    pub port: u16,
    /// Whatever route they ask for; else only on hosts with an automatic certificate.
    pub always: bool,
}

/// TLS on a listener.
pub struct TlsSpec {
    /// What handshakes are made with.
    pub acceptor: TlsAcceptor,
    /// Whose connections are passed on still encrypted.
    pub passthrough: Vec<Passthrough>,
    /// The same for QUIC, if HTTP/3 is spoken.
    pub quic: Option<Arc<QuicTls>>,
}

/// The versions of HTTP that a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerProtocols {
    /// HTTP/1.0 and 1.1.
    pub h1: bool,
    /// HTTP/2.
    pub h2: bool,
    /// HTTP/3.
    pub h3: bool,
}

/// Connections that are open now, shared by all workers. Touched when a connection begins and ends, never on the path
/// of a request.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// On this listener.
    pub listener: Arc<AtomicU32>,
    /// By client address, over all listeners. Only addresses with a connection are in it.
    pub clients: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

/// Whose PROXY headers are read.
#[derive(Clone, Debug)]
pub struct ProxyRule {
    /// The load balancers.
    pub trusted: Vec<TrustedPeer>,
    /// Connections without a header are refused.
    pub required: bool,
}

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub struct ClientTimeouts {
    /// For a TLS handshake, from connecting.
    pub handshake: Duration,
    /// For a head, from its first byte.
    pub head: Duration,
    /// Between requests.
    pub keep_alive: Duration,
    /// Without a byte of a body arriving.
    pub body_idle: Duration,
    /// Without taking a byte of the response.
    pub write_stall: Duration,
    /// A tunnel without a byte.
    pub tunnel_idle: Duration,
}

/// What happens to the requests of a route.
pub struct Route {
    /// For logs, metrics and explanations.
    pub name: Arc<str>,
    /// Its filters, in the order in which they run.
    pub filters: Vec<RouteFilter>,
    /// Where requests go; none if a filter responds.
    pub target: Option<Target>,
    /// Where copies of them go.
    pub mirrors: Vec<Mirror>,
    /// Pages in place of the proxy's own errors, the nearest first; shared by the routes that inherit them.
    pub error_pages: Vec<(StatusPattern, Arc<Page>)>,
    /// What happens with paths that some endpoints read in another way.
    pub ambiguous_paths: AmbiguousPaths,
    /// Whether its requests are refused first when memory is short.
    pub criticality: Criticality,
    /// Whether its requests are logged, where it differs from the listener's.
    pub logged: Option<bool>,
    /// Names of fields that filters write or take away: trailers of requests do not have them.
    pub request_trailers: NotTrailers,
    /// The same for trailers of responses.
    pub response_trailers: NotTrailers,
    /// Clients without TLS are sent to HTTPS, where their listener does that.
    pub to_https: bool,
    /// The largest request body.
    pub max_body: Option<u64>,
    /// Largest body that a filter wants whole.
    pub buffer_body: Option<u64>,
    /// How long clients may take, where it differs from the listener's.
    pub body_idle: Option<Duration>,
    /// As above.
    pub write_stall: Option<Duration>,
    /// As above.
    pub tunnel_idle: Option<Duration>,
    /// When its requests are sent again.
    pub retry: RetryPolicy,
    /// How its WebSockets are kept and closed.
    pub websocket: WebSocketPolicy,
}

/// A filter of a route.
pub struct RouteFilter {
    /// The key on the route.
    pub name: &'static str,
    /// When it runs.
    pub phase: Phase,
    /// The filter.
    pub filter: Arc<dyn Filter>,
}

/// A custom error page.
pub struct Page {
    /// The type of the content.
    pub content_type: String,
    /// The page.
    pub content: Template,
}

/// Where a route sends requests.
pub enum Target {
    /// To one cluster.
    Cluster(Destination),
    /// To one of several, by weight.
    Split {
        /// The destinations and their weights; the sum is above 0.
        between: Vec<(Destination, u32)>,
        /// The cookie that keeps a visitor at one of them, and how long it lives.
        sticky: Option<(String, Option<Duration>)>,
        /// What moves visitors from one of two destinations to the other, in place of the weights.
        shift: Option<ShiftPlan>,
    },
}

/// A cluster as one route uses it.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The cluster's index in the snapshot.
    pub cluster: u32,
    /// How long its endpoints may take, for this route.
    pub timeouts: UpstreamTimeouts,
}

/// A cluster as it is configured.
#[derive(Clone)]
pub struct ClusterSpec {
    /// For logs, metrics and explanations.
    pub name: Arc<str>,
    /// Its endpoints, as far as they are in the config.
    pub endpoints: Vec<EndpointSpec>,
    /// The file that names more.
    pub endpoints_file: Option<PathBuf>,
    /// The cluster that it is a part of, if it is one.
    pub part: Option<Part>,
    /// How its endpoints are spoken to.
    pub manner: Manner,
    /// How an endpoint is chosen.
    pub balance: Arc<dyn Balance>,
    /// The balancer's name.
    pub balance_name: &'static str,
    /// What endpoints see as Host.
    pub host: HostPolicy,
    /// Connections that are kept.
    pub pool: Pool,
    /// TLS towards those endpoints that speak it.
    pub tls: Option<Connectors>,
    /// Bounds for resolving names again.
    pub dns: (Duration, Duration),
    /// How many of its requests may be sent again.
    pub retry_budget: RetryBudget,
    /// What is known of its endpoints; the same over all reloads.
    pub standings: Arc<Standings>,
    /// Who is asked while some are not well.
    pub care: Care,
    /// How its endpoints are probed, if they are.
    pub health: Option<HealthSpec>,
    /// How many requests its endpoints are given at once.
    pub limits: ClusterLimits,
    /// The requests at its endpoints and those that wait, over all workers; the same over all reloads.
    pub crowd: Arc<Crowd>,
    /// When none is sent any, because too many fail.
    pub circuit: Option<Circuit>,
    /// When endpoints are left out because of what their requests say.
    pub outliers: Option<Outliers>,
    /// The endpoints by address, as far as they are known when the snapshot is built.
    pub resolved: Vec<ResolvedEndpoint>,
}

/// Endpoints of a cluster that have some labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The cluster.
    pub whole: Arc<str>,
    /// The labels.
    pub labels: BTreeMap<String, String>,
}

/// Who is asked while endpoints are not well, or are fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Care {
    /// How long a fresh endpoint is given less than its share.
    pub slow_start: Duration,
    /// The next group is asked too when less than this share of a group is well.
    pub spill_over: Percent,
    /// When no more than this share of all is well, everybody is asked.
    pub panic: PanicThreshold,
    /// Where set, the own zone is preferred, and others are asked too when less than this share of it is well.
    pub locality: Option<Percent>,
}

impl Default for Care {
    fn default() -> Self {
        Self {
            slow_start: Duration::ZERO,
            spill_over: Percent::NONE,
            panic: PanicThreshold::Share(Percent::NONE),
            locality: None,
        }
    }
}

/// TLS towards endpoints.
#[derive(Clone)]
pub struct Connectors {
    /// With what the cluster speaks.
    pub usual: Arc<TlsConnector>,
    /// With HTTP/1 alone, for tunnels.
    pub http1: Arc<TlsConnector>,
    /// Without any protocol named, for TCP; none where no listener carries it.
    pub bare: Option<Arc<TlsConnector>>,
}

impl ClusterSpec {
    /// What an endpoint sees as Host; `authority` is what the client asked for.
    pub fn host_for<'a>(&'a self, authority: &'a str, endpoint: &'a ResolvedEndpoint) -> &'a str {
        match &self.host {
            HostPolicy::Preserve => authority,
            HostPolicy::Endpoint => &endpoint.host,
            HostPolicy::Literal(host) => host,
        }
    }
}

impl Route {
    /// Refuses a body that says itself to be larger than the route takes, or than the filter takes that collects it
    /// (`collected`).
    pub fn check_length(&self, framing: Framing, collected: Option<u64>) -> Result<(), Error> {
        let Framing::Length(length) = framing else { return Ok(()) };
        match self.max_body.into_iter().chain(collected).min() {
            Some(limit) if length > limit => {
                Err(Error::new(Side::Downstream, ErrorKind::TooLarge).detail("request body"))
            }
            _ => Ok(()),
        }
    }

    /// The page for a status, the nearest first.
    pub fn page(&self, status: u16) -> Option<&Page> {
        let covers = |pattern: &StatusPattern| match pattern {
            StatusPattern::Exact(code) => *code == status,
            StatusPattern::Class(class) => *class == status / 100,
        };
        self.error_pages.iter().find(|(pattern, _)| covers(pattern)).map(|(_, page)| &**page)
    }
}

impl Snapshot {
    /// The route of a number, or what holds for requests without one.
    pub fn route(&self, index: Option<u32>) -> &Route {
        index.and_then(|index| self.routes.get(index as usize)).unwrap_or(&self.unrouted)
    }

    /// Whether a connection's own end must be asked for: an endpoint will be told of it, and the listener does not know
    /// it, as it listens on all addresses.
    pub fn wants_local(&self, local: Option<SocketAddr>) -> bool {
        self.introduces && local.is_some_and(|local| local.ip().is_unspecified())
    }

    /// Whether a peer is a trusted proxy; it has no address if it came through a Unix socket.
    pub fn trusts(&self, peer: Option<IpAddr>) -> bool {
        self.trusted_proxies.iter().any(|trusted| trusted.covers(peer))
    }
}

impl ProxyRule {
    /// Whether the PROXY header of a peer is read; it has no address if it came through a Unix socket.
    pub fn trusts(&self, peer: Option<IpAddr>) -> bool {
        self.trusted.iter().any(|trusted| trusted.covers(peer))
    }
}

/// The plain answer to an error: what a client sees without a custom page.
pub fn plain_page(status: u16, id: &str) -> Reply {
    let reason = usher_http::status::Status::new(status).map_or("Error", usher_http::status::Status::reason);
    let id = if id.is_empty() { String::new() } else { format!("<p>Request {id}</p>") };
    let body = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>{status} {reason}</title>\
         <h1>{status} {reason}</h1>{id}</html>\n"
    );
    let piece = usher_api::Piece::Bytes(std::borrow::Cow::Owned(body.into_bytes()));
    Reply::new(status, "").field("Content-Type", "text/html; charset=utf-8").piece(piece)
}
