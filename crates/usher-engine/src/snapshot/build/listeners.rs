//! Where clients connect.

use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use usher_config::Spanned;
use usher_config::config::{Carries, DEFAULT_PORT, DEFAULT_TLS_PORT, Limits, Listener, Timeouts};
use usher_http::parse::HeadLimits;
use usher_net::{Keepalive, ListenOptions, SocketOptions};

use super::secrets::protocols;
use super::{Building, Clusters, Names};
use crate::snapshot::{ClientTimeouts, Counts, ListenerSpec, ProxyRule, ToHttps};

/// Once a client was silent for `tcp_keepalive`: how often it is asked for a sign of life, and how many questions may
/// stay without an answer.
const PROBE_INTERVAL: Duration = Duration::from_secs(15);
const PROBES: u32 = 4;
/// Sessions of a listener of UDP, unless its `limits.connections` says otherwise: whoever forges addresses must not take the
/// places of all other clients.
pub(super) const MAX_SESSIONS: u32 = 10_000;

impl Building<'_> {
    /// The listeners, in the order of the config.
    pub(super) fn listeners(&mut self, clusters: &mut Clusters) -> Vec<Arc<ListenerSpec>> {
        let config = &self.loaded.config;
        let given = config.listeners.iter().filter_map(|listener| listener.name.as_ref());
        let mut names = Names::taken(given.map(|name| name.as_str()));
        let clients = self.carry.keep("connections by client".to_owned(), Mutex::default);
        // Only where there is TLS: its random numbers take a moment at the start.
        let has_tls = config.listeners.iter().any(|listener| listener.tls.on().is_some());
        let tickets = if has_tls { self.tickets() } else { None };
        let all = &config.listeners;
        let specs = config.listeners.iter().map(|listener| {
            let name = match &listener.name {
                Some(name) => name.value.clone(),
                None => names.unique(listener.label()),
            };
            let limits = config.limits.with_listener(&listener.limits);
            let timeouts = config.timeouts.with_listener(&listener.timeouts);
            let tls = self.tls(listener, tickets.as_ref(), clusters);
            let tcp = self.tcp(listener, clusters);
            let udp = self.udp(&name, listener, clusters);
            let open = self.carry.keep(format!("connections of listener {name}"), AtomicU32::default);
            let counts = Counts { listener: open, clients: clients.clone() };
            let redirect = to_https(listener, all);
            Arc::new(ListenerSpec {
                counts,
                tls,
                tcp,
                udp,
                redirect,
                ..spec(name, listener, &limits, &timeouts)
            })
        });
        specs.collect()
    }
}

fn spec(name: String, listener: &Listener, limits: &Limits, timeouts: &Timeouts) -> ListenerSpec {
    let counts = Counts::default();
    let keepalive = |idle| Keepalive { idle, interval: PROBE_INTERVAL, probes: PROBES };
    let proxy_protocol = listener.proxy_protocol.as_ref();
    ListenerSpec {
        name: name.into(),
        bind: listener.bind.iter().map(|bind| bind.value.clone()).collect(),
        listen: ListenOptions {
            backlog: listener.backlog,
            only_v6: listener.ipv6_only,
            fast_open: listener.fast_open,
            defer_accept: listener.defer_accept,
            unix_mode: listener.mode.map(|mode| mode.0),
            ..ListenOptions::default()
        },
        socket: SocketOptions {
            nodelay: listener.tcp_nodelay,
            keepalive: listener.tcp_keepalive.map(keepalive),
        },
        proxy_protocol: proxy_protocol
            .map(|rule| ProxyRule { trusted: rule.trusted.value.clone(), required: rule.required }),
        tls: None,
        tcp: None,
        udp: None,
        protocols: protocols(listener),
        redirect: None,
        alt_svc: alt_svc(listener),
        streams: limits.streams,
        max_handshakes: limits.handshakes,
        head: HeadLimits {
            line: limits.request_line.bytes(),
            head: limits.head.bytes(),
            fields: limits.fields as usize,
        },
        logged: listener.access_log.is_on(),
        max_connections: listener.limits.connections.unwrap_or(match listener.protocol {
            Carries::Udp => MAX_SESSIONS,
            _ => 0,
        }),
        per_client: limits.connections_per_client,
        timeouts: ClientTimeouts {
            handshake: timeouts.handshake,
            head: timeouts.head,
            keep_alive: timeouts.keep_alive,
            body_idle: timeouts.body_idle,
            write_stall: timeouts.write_stall,
            tunnel_idle: timeouts.tunnel_idle,
        },
        counts,
    }
}

/// Where a listener sends clients without TLS: where it says so, everywhere; else on the port that browsers try first, to
/// the listener with automatic certificates.
fn to_https(listener: &Listener, all: &[Spanned<Listener>]) -> Option<ToHttps> {
    let usual = || listener.bind.iter().any(|bind| bind.port() == Some(DEFAULT_PORT));
    let always = listener.redirect_https == Some(true);
    let is_http = |listener: &Listener| listener.protocol == Carries::Http;
    if listener.tls.on().is_some() || !is_http(listener) || !listener.redirect_https.unwrap_or_else(usual) {
        return None;
    }
    let port = |listener: &Spanned<Listener>| {
        let tls = listener.tls.on().filter(|_| is_http(listener))?;
        listener.bind.iter().find_map(|bind| bind.port()).filter(|_| tls.automatic || always)
    };
    let port = all.iter().find_map(port).or(always.then_some(DEFAULT_TLS_PORT))?;
    Some(ToHttps { port, always })
}

/// How long clients may remember that there is HTTP/3 (seconds).
const ALT_SVC_AGE: u32 = 86_400;

/// What tells clients of HTTP/3 on the same port.
fn alt_svc(listener: &Listener) -> Option<Box<str>> {
    let port = listener.bind.iter().find_map(|bind| bind.port())?;
    let told = format!("h3=\":{port}\"; ma={ALT_SVC_AGE}");
    protocols(listener).h3.then(|| told.into())
}
