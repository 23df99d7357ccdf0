//! `[[listener]]`

use std::time::Duration;

use serde_json::json;

use super::l4::Carries;
use super::{Endpoint, ListenerLimits, ListenerTimeouts, ListenerTls, Protocol, RouteLog, Sessions, Switch};
use crate::decode::{Context, Decode, OneOrMany, Spanned};
use crate::document::{Node, Value};
use crate::schema::Schema;
use crate::value::{BindAddress, TrustedPeer, ValueError};

/// Connections that may wait to be accepted, unless the config says otherwise.
const BACKLOG: u32 = 4096;

crate::section! {
    /// A place where clients connect.
    pub struct Listener {
        /// A name by which routes can say that they are for this listener only. It is also the name in logs and
        /// metrics; without one, that is the first address.
        pub name: Option<Spanned<String>>,
        /// Where to listen: `:80` (all addresses, IPv4 and IPv6), `192.0.2.1:80`, `[2001:db8::1]:80`, `[::]:80` (all
        /// IPv6 addresses, and IPv4 unless `ipv6_only`) or `unix:/run/usher.sock`.
        pub bind: OneOrMany<Spanned<BindAddress>>,
        /// What it carries: `http`, or `tcp` or `udp` for anything else.
        pub protocol: Carries = Carries::Http,
        /// Where connections go, if it carries TCP or UDP: one or more endpoints, as a cluster without a name.
        pub to: Option<OneOrMany<Spanned<Endpoint>>>,
        /// The same by the name of a cluster.
        pub cluster: Option<Spanned<String>>,
        /// Sessions of UDP: how long they last, and how many may begin.
        pub sessions: Sessions = Sessions::default(),
        /// Read a PROXY protocol header (version 1 or 2) in front of each connection, as load balancers send it.
        pub proxy_protocol: Option<Spanned<ProxyProtocol>>,
        /// TLS: `true`, or a table with more. Its certificates are those of `[[certificate]]`, and automatic ones.
        pub tls: Switch<ListenerTls> = Switch::Off,
        /// The versions of HTTP that are spoken: `h1`, `h2`, `h3`. Without it, all three with TLS, else `h1` and `h2`. With
        /// `proxy_protocol`, `h3` is not spoken, as that header is for TCP only.
        pub protocols: OneOrMany<Spanned<Protocol>> = OneOrMany::default(),
        /// Send clients that come without TLS to HTTPS, whatever they ask for. Without it, that is done on port 80, for
        /// hosts whose certificate is automatic.
        pub redirect_https: Option<bool>,
        /// Connections that may wait to be accepted. The system may cut it (`net.core.somaxconn`).
        #[range(1..=1_000_000)]
        pub backlog: u32 = BACKLOG,
        /// Send small pieces at once rather than waiting for more (`TCP_NODELAY`).
        pub tcp_nodelay: bool = true,
        /// Ask a silent client whether it is still there, after this long (`SO_KEEPALIVE`).
        #[range(Duration::from_secs(1)..=Duration::from_secs(32_767))]
        pub tcp_keepalive: Option<Duration>,
        /// Accept data with the first packet of a client that has been here before (TCP Fast Open, RFC 7413): how
        /// many such connections may be pending. Such data may arrive twice.
        #[range(1..=65_535)]
        pub fast_open: Option<u32>,
        /// Only wake up when a new connection has sent something, at the latest after this long
        /// (`TCP_DEFER_ACCEPT`, whole seconds).
        #[range(Duration::from_secs(1)..=Duration::from_secs(3600))]
        pub defer_accept: Option<Duration>,
        /// Take only IPv6 on IPv6 addresses (`IPV6_V6ONLY`). It matters for `[::]:PORT`.
        pub ipv6_only: bool = false,
        /// The permissions of a Unix socket, in octal digits: `"0660"`.
        pub mode: Option<FileMode>,
        /// Whether requests are logged, unless their route says otherwise, connections of TCP and sessions of UDP: `on` or
        /// `off`.
        pub access_log: RouteLog = RouteLog::On,
        /// Limits for this listener in place of those in `[limits]`.
        pub limits: ListenerLimits = ListenerLimits::default(),
        /// Timeouts for this listener in place of those in `[timeouts]`.
        pub timeouts: ListenerTimeouts = ListenerTimeouts::default(),
    }
}

crate::section! {
    /// Who may send a PROXY protocol header.
    pub struct ProxyProtocol {
        /// The load balancers: networks, and `unix` for whoever connects through a Unix socket. A header from anybody
        /// else is refused, as it could claim any client address.
        pub trusted: Spanned<Vec<TrustedPeer>>,
        /// Refuse connections of trusted load balancers that come without a header.
        pub required: bool = true,
    }
}

impl Listener {
    /// A listener on one address, with defaults for the rest.
    pub fn on(bind: BindAddress) -> Self {
        Self {
            name: None,
            bind: OneOrMany(vec![Spanned::nowhere(bind)]),
            protocol: Carries::Http,
            to: None,
            cluster: None,
            sessions: Sessions::default(),
            proxy_protocol: None,
            tls: Switch::Off,
            protocols: OneOrMany::default(),
            redirect_https: None,
            backlog: BACKLOG,
            tcp_nodelay: true,
            tcp_keepalive: None,
            fast_open: None,
            defer_accept: None,
            ipv6_only: false,
            mode: None,
            access_log: RouteLog::On,
            limits: ListenerLimits::default(),
            timeouts: ListenerTimeouts::default(),
        }
    }

    /// Whether it speaks a version of HTTP.
    pub fn speaks(&self, protocol: Protocol) -> bool {
        if self.protocol != Carries::Http {
            return false;
        }
        if self.protocols.is_empty() {
            return protocol != Protocol::H3 || self.tls.on().is_some();
        }
        self.protocols.iter().any(|spoken| spoken.value == protocol)
    }

    /// What logs and metrics call it.
    pub fn label(&self) -> String {
        // The same address may be another listener's of TCP, as with DNS.
        let suffix = if self.protocol == Carries::Udp { "/udp" } else { "" };
        let address = || self.bind.first().map_or_else(String::new, |bind| format!("{}{suffix}", bind.value));
        self.name.as_ref().map_or_else(address, |name| name.value.clone())
    }
}

/// Permissions of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileMode(pub u32);

impl Decode for FileMode {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        if let Value::Integer(_) = &node.value {
            cx.error_help(
                node.span,
                "permissions are a text",
                "write the octal digits in quotes: `\"0660\"`",
            );
            return None;
        }
        cx.parse(node, "permissions such as `\"0660\"`", |text| {
            let mode =
                u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777 && !text.starts_with('+'));
            let error = || ValueError::new(format!("`{text}` is not a set of permissions"));
            mode.map(Self)
                .ok_or_else(|| error().help("write octal digits, as `chmod` takes them: `\"0660\"`"))
        })
    }

    fn schema() -> Schema {
        Schema::text("permissions").example("0660")
    }

    fn encode(&self) -> serde_json::Value {
        json!(format!("{:04o}", self.0))
    }
}
