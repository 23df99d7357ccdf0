//! `[cluster.NAME]`

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::l4::ProxyVersion;
use super::{
    Breaker, ClusterLimits, ClusterTls, Health, Locality, Outliers, RetryBudget, RouteTimeouts, Switch,
    UpstreamProtocol,
};
use crate::decode::{Context, Decode, OneOrMany, Spanned};
use crate::document::Node;
use crate::schema::Schema;
use crate::value::{EndpointUrl, Percent, ValueError};

crate::section! {
    /// A group of endpoints that serve the same thing.
    pub struct Cluster {
        /// The endpoints: addresses, or tables with more about each. Required where there is no `endpoints_file`.
        pub endpoints: OneOrMany<Spanned<Endpoint>> = OneOrMany::default(),
        /// A file with further endpoints, which is read again whenever it changes, without a reload: `endpoints = […]` in
        /// TOML, YAML or JSON, with all that an endpoint has here; or, in a file with another ending, an address in each
        /// line.
        pub endpoints_file: Option<Spanned<PathBuf>>,
        /// How an endpoint is chosen: the name of a balancer, or a table with the name as `policy` and its options.
        /// Without it, requests go round all endpoints by weight.
        pub balance: Option<Node>,
        /// What endpoints see as `Host`: what the client sent (`preserve`), the endpoint's own address (`endpoint`),
        /// or this text.
        pub host: HostPolicy = HostPolicy::Preserve,
        /// TLS towards the endpoints: `true`, or a table with more. Endpoints that are written as `https://…` have it
        /// without this.
        pub tls: Switch<ClusterTls> = Switch::Off,
        /// How endpoints are spoken to.
        pub protocol: UpstreamProtocol = UpstreamProtocol::Auto,
        /// Begin each connection to an endpoint with a PROXY protocol header of this version, which tells it who the
        /// client is. Such a connection carries the requests of one client only: it is not kept for others.
        pub proxy_protocol: Option<Spanned<ProxyVersion>>,
        /// Timeouts for this cluster in place of those in `[timeouts]`.
        pub timeouts: RouteTimeouts = RouteTimeouts::default(),
        /// Connections to the endpoints that are kept and used again.
        pub pool: Pool = Pool::default(),
        /// How many of its requests may be sent again: a share, or a table.
        pub retry_budget: RetryBudget = RetryBudget::default(),
        /// How often names of endpoints are resolved again.
        pub dns: DnsRefresh = DnsRefresh::default(),
        /// How many requests endpoints are given at once, and the queue of those that wait.
        pub limits: ClusterLimits = ClusterLimits::default(),
        /// Endpoints that do worse than they may are left out for a while: `true`, or a table with the limits.
        pub outliers: Switch<Outliers> = Switch::Off,
        /// When too many requests of the cluster fail, none is sent to it for a while: `true`, or a table with the limits.
        pub breaker: Switch<Breaker> = Switch::Off,
        /// Endpoints of the proxy's own zone (their label `zone`) are preferred, and those of others asked the more the
        /// fewer of them are well: `true`, or a table.
        pub locality: Spanned<Switch<Locality>> = Spanned::nowhere(Switch::Off),
        /// Endpoints are asked again and again whether they are well: `true`, or a table such as `{ path = "/healthz" }`.
        pub health: Spanned<Switch<Health>> = Spanned::nowhere(Switch::Off),
        /// How long an endpoint that was out is given less than its share: it begins with a tenth, and has all of it
        /// at the end. `0s` gives it everything at once.
        #[range(Duration::ZERO..=Duration::from_secs(3600))]
        pub slow_start: Duration = Duration::ZERO,
        /// The next group of endpoints (see `priority`) gets requests when less than this share of a group is well,
        /// and more of them the fewer are. `0%` waits until nobody in a group is well.
        pub spill_over: Percent = Percent::NONE,
        /// When no more than this share of the endpoints is well, all are asked, well or not: too few would drown in
        /// the requests of all others, and probes may be what is wrong. `off` answers 503 when nobody is well.
        pub panic_threshold: PanicThreshold = PanicThreshold::Share(Percent::NONE),
    }
}

crate::section! {
    /// One server behind Usher.
    #[bare(address)]
    pub struct Endpoint {
        /// Where it is: `10.0.0.1:3000`, `[2001:db8::1]:3000`, `name:3000` or `unix:/run/app.sock`. A name stands for
        /// all addresses that it resolves to, `srv:_web._tcp.name` for all hosts and ports that its SRV records name.
        /// `https://name:3000` speaks TLS, `h2c://name:3000` HTTP/2 without it.
        pub address: Spanned<EndpointUrl>,
        /// Its share of the requests, compared with the others'. `0` takes no new requests.
        #[range(0..=65_535)]
        pub weight: u32 = 1,
        /// Its group. Requests go to the endpoints of the lowest number, and to the next ones only when those fail:
        /// see `spill_over`. `1` makes an endpoint a backup of those without a number.
        #[range(0..=15)]
        pub priority: u8 = 0,
        /// A name for logs and metrics, in place of the address.
        pub name: Option<Spanned<String>>,
        /// Labels by which the `subset` of a route chooses it. The label `zone` says where it is: see `locality`.
        pub labels: BTreeMap<String, String> = BTreeMap::new(),
    }
}

crate::section! {
    /// Connections to the endpoints of a cluster.
    pub default struct Pool {
        /// Connections without a request that are kept, per endpoint and worker. `0` keeps none. No more are ever
        /// kept than were in use at once; where fewer are kept than that, connections are opened and closed all the
        /// time.
        #[range(0..=65_535)]
        pub idle: u32 = 1024,
        /// How long a connection without a request is kept. It should be shorter than the endpoint's own keep-alive
        /// time, or a request may meet a connection that is just being closed.
        #[range(Duration::from_millis(1)..=Duration::from_secs(86_400))]
        pub idle_timeout: Duration = Duration::from_secs(60),
        /// Connections that may be open at once to one endpoint, per worker; `0` is no limit.
        pub connections: u32 = 0,
    }
}

crate::section! {
    /// How often names are resolved again. Between these bounds, the time that the name server tells counts.
    pub default struct DnsRefresh {
        /// Not more often than this.
        #[range(Duration::from_millis(100)..=Duration::from_secs(86_400))]
        pub min_ttl: Duration = Duration::from_secs(5),
        /// Not less often than this.
        #[range(Duration::from_millis(100)..=Duration::from_secs(86_400))]
        pub max_ttl: Duration = Duration::from_secs(300),
    }
}

/// What endpoints see as `Host`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPolicy {
    /// What the client sent.
    Preserve,
    /// The endpoint's address as it is written in the config.
    Endpoint,
    /// This text.
    Literal(String),
}

impl Decode for HostPolicy {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        cx.parse(node, "`preserve`, `endpoint` or a host name", |text| match text {
            "preserve" => Ok(Self::Preserve),
            "endpoint" => Ok(Self::Endpoint),
            _ if is_host(text) => Ok(Self::Literal(text.to_owned())),
            _ => {
                let error = ValueError::new(format!("`{text}` is not a host name"));
                Err(error.help("write `preserve`, `endpoint`, or a name such as `app.example.com`"))
            }
        })
    }

    fn schema() -> Schema {
        let names = [
            ("preserve", "What the client sent."),
            ("endpoint", "The endpoint's address as it is written in the config."),
        ];
        Schema::any_of(vec![Schema::names(&names), Schema::text("host name").example("app.example.com")])
    }

    fn encode(&self) -> serde_json::Value {
        match self {
            Self::Preserve => json!("preserve"),
            Self::Endpoint => json!("endpoint"),
            Self::Literal(text) => json!(text),
        }
    }
}

/// How few endpoints may be well before all are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PanicThreshold {
    /// Those that are not well are never asked.
    Off,
    /// This share, or less.
    Share(Percent),
}

impl Decode for PanicThreshold {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        match node.as_str() {
            Some("off") => Some(Self::Off),
            _ => Percent::decode(node, cx).map(Self::Share),
        }
    }

    fn schema() -> Schema {
        Schema::any_of(vec![
            Percent::schema(),
            Schema::names(&[("off", "Those that are not well are never asked.")]),
        ])
    }

    fn encode(&self) -> serde_json::Value {
        match self {
            Self::Off => json!("off"),
            Self::Share(share) => share.encode(),
        }
    }
}

/// The characters of `uri-host [":" port]` (RFC 9110, section 7.2) that real hosts use.
pub(super) fn is_host(text: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'[' | b']');
    !text.is_empty() && text.len() <= 255 && text.bytes().all(allowed)
}
