//! The sections that Usher itself knows. Their doc comments are the manual: they are written for operators.

mod access_log;
mod admin;
mod automatic;
mod breaker;
mod check;
mod cluster;
mod cluster_limits;
mod endpoints_file;
mod error_page;
mod health;
mod l4;
mod limits;
mod listener;
mod locality;
mod mirror;
mod nginx;
mod outliers;
mod pattern;
mod resolve;
mod retry;
mod route;
mod sessions;
mod shift;
mod timeouts;
mod tls;
mod websocket;

use std::path::PathBuf;

pub use access_log::{AccessLog, AccessLogTo, LogFormat, LogTarget, RouteLog, SyslogAddress};
pub use admin::{Admin, AdminListener};
pub use automatic::{
    Automatic, AutomaticHttps, CertificateAuthority, ChallengeKind, DnsProvider, DnsProviderName, KeyType,
    OnDemand, TsigAlgorithm,
};
pub use breaker::{Breaker, FailedStatus};
pub use cluster::{Cluster, DnsRefresh, Endpoint, HostPolicy, PanicThreshold, Pool};
pub use cluster_limits::{Adaptive, ClusterLimits};
pub use endpoints_file::{EndpointsFile, MAX_ENDPOINTS_FILE};
pub use error_page::{ErrorPage, ErrorPages, PageContent, StatusPattern};
pub use health::Health;
pub use l4::{Carries, ProxyVersion};
pub use limits::{Limits, ListenerLimits, RouteLimits};
pub use listener::{FileMode, Listener, ProxyProtocol};
pub use locality::Locality;
pub use mirror::{Mirror, MirrorHost};
pub use outliers::Outliers;
pub use pattern::ValuePattern;
pub use resolve::RouteSettings;
pub use retry::{Backoff, Hedge, HedgeAfter, Retry, RetryBudget, RetryOn};
pub use route::{AmbiguousPaths, Bundle, Criticality, Route, Split, SplitTarget, Sticky, Target};
pub use sessions::Sessions;
pub use shift::{Shift, Start, Tolerance, Unsure};
pub use timeouts::{ListenerTimeouts, RouteTimeouts, Timeouts, UpstreamTimeouts};
pub use tls::{
    Certificate, ClientCertificate, ClientCertificateMode, ClusterTls, ListenerTls, Passthrough, Protocol,
    Switch, Tls, TlsPolicy, UpstreamProtocol,
};
pub use websocket::{WebSocket, WebSocketDrain};

use crate::decode::{Context, Decode, Named, OneOrMany, Spanned};
use crate::document::Document;
use crate::value::{BindAddress, ByteSize, SizeLimit, TrustedPeer};

/// Where Usher listens if the config names no listener.
pub const DEFAULT_PORT: u16 = 80;
/// Where it listens with TLS then, if a route names a host.
pub const DEFAULT_TLS_PORT: u16 = 443;

/// The lowest ceiling that can be set: the process alone takes about as much.
pub const LOWEST_MEMORY: ByteSize = ByteSize::mib(16);

/// A ceiling that the process alone would pass is a mistake.
fn memory(memory: &Option<SizeLimit>) -> Result<(), String> {
    match memory {
        Some(SizeLimit::Max(size)) if *size < LOWEST_MEMORY => Err(format!(
            "`{size}` is less than the process itself takes: write {LOWEST_MEMORY} or more, better 128MiB"
        )),
        _ => Ok(()),
    }
}

crate::section! {
    /// The configuration of Usher. It is written in TOML, YAML or JSON; the keys are the same.
    pub default struct Config {
        /// Further files to read, relative to this one. `*` and `?` stand for parts of a file's name; the files are
        /// read in the order of their names. Their listeners and routes are added behind those of this file, their
        /// clusters and bundles beside them; what two files set is an error. A pattern with a wildcard may match
        /// nothing.
        pub include: Option<OneOrMany<Spanned<String>>>,
        /// Threads that serve requests. Without it, one for each CPU that the process may use.
        #[range(1..=256)]
        pub workers: Option<u16>,
        /// Where there are several workers, one for each CPU that the process may use, each stays on its own. `false`
        /// leaves that to the system, as when other programs keep these CPUs busy.
        pub pin_workers: bool = true,
        /// The most memory that the process may take. Near it, connections at rest are closed, buffers become small, and
        /// requests of routes with a low `criticality` are refused; then nobody new comes in and the slowest clients are
        /// ended. Without it, 75 % of what the system grants: of the cgroup's limit, or else of the machine's memory.
        /// `unlimited` is no ceiling.
        #[check(memory)]
        pub memory: Option<SizeLimit>,
        /// Read the config again when one of its files changes. A config with errors is reported and changes nothing.
        pub watch: bool = false,
        /// A file to write the process's number to.
        pub pid_file: Option<PathBuf>,
        /// The proxies in front of Usher: networks whose `X-Forwarded-*` and `Forwarded` fields are believed, and `unix`
        /// for whoever connects through a Unix socket. What anybody else sends in them is replaced.
        pub trusted_proxies: OneOrMany<TrustedPeer> = OneOrMany::default(),
        /// The zone that this proxy is in, such as `"eu-1a"` or `"${ZONE}"`: clusters with `locality` prefer endpoints
        /// with the same label `zone`.
        pub zone: Option<Spanned<String>>,
        /// Where a line about each request goes: `stdout`, `off`, a file, a table, or several of these.
        pub access_log: AccessLog = AccessLog::default(),
        /// The listener for metrics, health and control: an address, a table, or `off`. Whoever reaches it can control
        /// this process, so it belongs on a loopback address or a Unix socket.
        pub admin: Admin = Admin::default(),
        /// What one client may ask for, and all of them together.
        pub limits: Limits = Limits::default(),
        /// How long to wait for what.
        pub timeouts: Timeouts = Timeouts::default(),
        /// TLS on all listeners that have it.
        pub tls: Tls = Tls::default(),
        /// Certificates from files.
        #[key("certificate")]
        pub certificates: Vec<Spanned<Certificate>> = Vec::new(),
        /// Certificates that are obtained and renewed automatically: `false`, or a table. Without it, that is done for
        /// listeners with `tls`.
        pub automatic_https: AutomaticHttps = Switch::On(Automatic::default()),
        /// Where to listen. Without any, Usher listens on `:443` with TLS and automatic
        /// certificates if a route names a host, and on `:80`; on all addresses, IPv4 and IPv6.
        #[key("listener")]
        pub listeners: Vec<Spanned<Listener>> = Vec::new(),
        /// Which requests go where. The most specific route that matches takes the request.
        #[key("route")]
        pub routes: Vec<Spanned<Route>> = Vec::new(),
        /// Settings of all routes. A route's own, and those of its bundles, come before these.
        pub defaults: Bundle = Bundle::default(),
        /// Settings that routes share by naming the bundle in `use`.
        #[key("bundle")]
        pub bundles: Named<Bundle> = Named::default(),
        /// Groups of endpoints that serve the same thing.
        #[key("cluster")]
        pub clusters: Named<Cluster> = Named::default(),
    }
}

impl Config {
    /// Decodes a document and checks what its sections say about one another. An unknown key of a route, of a bundle
    /// or of `defaults` must be in `known_filters`.
    ///
    /// The result is only usable if `cx` has no errors; see [`Decode::decode`].
    pub fn from_document(document: &Document, known_filters: &[&str], cx: &mut Context<'_>) -> Option<Self> {
        let mut config = Self::decode(&document.root, cx)?;
        check::all(&config, document, known_filters, cx);
        if config.listeners.is_empty() && document.root.get("listener").is_none() {
            config.listeners.push(Spanned::nowhere(Listener::on(BindAddress::Any(DEFAULT_PORT))));
            if config.serves_hosts() {
                let mut secure = Listener::on(BindAddress::Any(DEFAULT_TLS_PORT));
                secure.tls = Switch::On(ListenerTls::default());
                config.listeners.push(Spanned::nowhere(secure));
            }
        }
        Some(config)
    }

    /// Whether there are hosts to have certificates for: from files, or that some route names.
    fn serves_hosts(&self) -> bool {
        let automatic = self.automatic_https.on().is_some_and(|automatic| {
            let named = |host: &Spanned<String>| !host.starts_with('~') && host.value != "*";
            automatic.on_demand.is_some() || self.routes.iter().flat_map(|route| &route.host).any(named)
        });
        automatic || !self.certificates.is_empty()
    }

    /// Whether it names no listener, and so gets the one on [`DEFAULT_PORT`].
    pub fn listens_by_default(&self) -> bool {
        self.listeners.iter().all(|listener| listener.span.is_none())
    }
}
