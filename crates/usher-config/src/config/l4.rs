//! Listeners that carry TCP or UDP, and PROXY headers towards endpoints: what their keys say about one another.

use super::{Cluster, Config, Listener, UpstreamProtocol};
use crate::decode::{Context, Spanned};
use crate::diagnostic::Diagnostic;
use crate::document::{Document, Node};
use crate::source::Span;
use crate::value::Scheme;

crate::names! {
    /// What a listener carries.
    pub enum Carries {
        /// HTTP: requests, of which routes say where they go.
        Http = "http",
        /// TCP: bytes both ways, to an endpoint of `to` or `cluster`. With `tls`, it is ended here.
        Tcp = "tcp",
        /// UDP: datagrams both ways, to an endpoint of `to` or `cluster`.
        Udp = "udp",
    }
}

crate::names! {
    /// A form of the PROXY protocol's header.
    pub enum ProxyVersion {
        /// A line of text with the addresses.
        V1 = "v1",
        /// Binary: the addresses, and for clients that came over TLS that they did, the host that they named and the
        /// protocol that was agreed.
        V2 = "v2",
    }
}

/// Keys of a table of a listener; of the listener itself where that has no name.
type Keys = (&'static str, &'static [&'static str]);

/// Keys of a listener that are about HTTP, and of its tables. `timeouts.head` is also for PROXY headers.
const HTTP_ONLY: [Keys; 4] = [
    ("", &["protocols", "redirect_https"]),
    ("limits", &["streams", "request_line", "head", "fields"]),
    ("timeouts", &["body_idle", "keep_alive", "write_stall"]),
    ("tls", &["early_data"]),
];

/// Keys of a listener that are about connections, which UDP has not; those about HTTP are not for it either.
const STREAMS_ONLY: [Keys; 2] = [
    (
        "",
        &[
            "proxy_protocol",
            "tls",
            "backlog",
            "tcp_nodelay",
            "tcp_keepalive",
            "fast_open",
            "defer_accept",
            "mode",
        ],
    ),
    ("timeouts", &["handshake", "head", "tunnel_idle"]),
];

/// Whether some listener carries TCP or UDP, so that a config makes sense without routes.
pub(super) fn is_any(document: &Document) -> bool {
    listeners(document)
        .filter_map(|listener| listener.get("protocol").and_then(Node::as_str))
        .any(|protocol| [Carries::Tcp, Carries::Udp].iter().any(|carried| carried.name() == protocol))
}

/// All checks.
pub(super) fn all(config: &Config, document: &Document, cx: &mut Context<'_>) {
    for listener in &config.listeners {
        let written = listeners(document).find(|node| node.span == listener.span);
        written.into_iter().for_each(|node| misplaced(node, listener.protocol, cx));
        match listener.protocol {
            Carries::Http => of_http(listener, cx),
            Carries::Tcp => target(listener, "TCP", cx),
            Carries::Udp => {
                target(listener, "UDP", cx);
                unix(listener, cx);
            }
        }
    }
    routes(config, cx);
    config.clusters.iter().for_each(|(_, cluster)| one_client(cluster, cx));
}

fn listeners(document: &Document) -> impl Iterator<Item = &Node> {
    document.root.get("listener").and_then(Node::as_list).unwrap_or_default().iter()
}

/// Keys of a listener that mean nothing for what it carries.
fn misplaced(listener: &Node, carries: Carries, cx: &mut Context<'_>) {
    let sessions: [Keys; 1] = [("", &["sessions"])];
    let (of_http, of_streams) = (&HTTP_ONLY[..], &STREAMS_ONLY[..]);
    let about: &[(&[Keys], &str)] = match carries {
        Carries::Http => &[(&sessions, "UDP, and this listener carries HTTP")],
        Carries::Tcp => &[
            (of_http, "HTTP, and this listener carries TCP"),
            (&sessions, "UDP, and this listener carries TCP"),
        ],
        Carries::Udp => &[
            (of_http, "HTTP, and this listener carries UDP"),
            (of_streams, "connections, and this listener carries UDP"),
        ],
    };
    for (keys, why) in about {
        for (table, names) in *keys {
            let node = if table.is_empty() { Some(listener) } else { listener.get(table) };
            let written = node.and_then(Node::as_table).unwrap_or_default().iter().map(|(key, _)| key);
            for key in written.filter(|key| names.contains(&key.name.as_str())) {
                let name = if table.is_empty() { key.name.clone() } else { format!("{table}.{}", key.name) };
                cx.error_help(key.span, format!("`{name}` is about {why}"), "leave it out");
            }
        }
    }
}

/// Datagrams are not taken from Unix sockets.
fn unix(listener: &Listener, cx: &mut Context<'_>) {
    for bind in listener.bind.iter().filter(|bind| bind.port().is_none()) {
        cx.error_help(bind.span, "a Unix socket has no UDP", "listen on an address, such as `:53`");
    }
}

/// Where a listener says that its connections go.
fn targets(listener: &Listener) -> (Option<Span>, Option<Span>) {
    let first =
        |to: &crate::OneOrMany<Spanned<super::Endpoint>>| to.first().map_or(Span::NONE, |one| one.span);
    (listener.to.as_ref().map(first), listener.cluster.as_ref().map(|name| name.span))
}

/// A listener of HTTP has no target: its routes do.
fn of_http(listener: &Listener, cx: &mut Context<'_>) {
    let (to, cluster) = targets(listener);
    for (key, place) in [("to", to), ("cluster", cluster)] {
        if let Some(place) = place {
            let found = format!("`{key}` on a listener is for TCP and UDP, and this one carries HTTP");
            cx.error_help(
                place,
                found,
                format!("write `protocol = \"tcp\"` or `\"udp\"`, or a `[[route]]` with this `{key}`"),
            );
        }
    }
}

/// A listener of TCP or UDP has exactly one.
fn target(listener: &Spanned<Listener>, carried: &str, cx: &mut Context<'_>) {
    match targets(listener) {
        (Some(to), Some(cluster)) => {
            let error = Diagnostic::error("the listener has two targets: `to` and `cluster`");
            let error = error.at(cluster, "`cluster` here").at(to, "`to` here");
            cx.push(error.help("keep one; for several endpoints, list them in `to` or in the cluster"));
        }
        (None, None) => {
            let place = listener.bind.first().map_or(listener.span, |bind| bind.span);
            let port = if carried == "UDP" { 53 } else { 5432 };
            let help = format!("write `to = \"10.0.0.1:{port}\"`, for instance, or the name of a `cluster`");
            cx.error_help(place, format!("a listener that carries {carried} needs `to` or `cluster`"), help);
        }
        _ => {}
    }
}

/// Routes are for requests, which TCP and UDP have not.
fn routes(config: &Config, cx: &mut Context<'_>) {
    let of_name = |name: &str| {
        config.listeners.iter().find(|one| one.name.as_ref().is_some_and(|own| own.value == name))
    };
    for name in config.routes.iter().flat_map(|route| &route.listener) {
        if let Some(listener) = of_name(name).filter(|listener| listener.protocol != Carries::Http) {
            let carried = if listener.protocol == Carries::Udp { "UDP" } else { "TCP" };
            let found = format!(
                "the listener `{}` carries {carried}, in which there are no requests to route",
                name.value
            );
            cx.error_help(name.span, found, "set `to` or `cluster` on the listener itself");
        }
    }
    let no_http = config.listeners.iter().all(|listener| listener.protocol != Carries::Http);
    if let Some(route) = config.routes.first().filter(|_| no_http && !config.listeners.is_empty()) {
        let found = Diagnostic::warning("no listener carries HTTP, so routes serve nothing");
        cx.push(found.at(route.span, "").help("add a `[[listener]]` without `protocol`"));
    }
}

/// A PROXY header names one client, so requests of others must not follow on its connection.
fn one_client(cluster: &Cluster, cx: &mut Context<'_>) {
    let Some(proxy) = &cluster.proxy_protocol else { return };
    let found = "a PROXY header names one client, and HTTP/2 and 3 carry many on one connection";
    if matches!(cluster.protocol, UpstreamProtocol::H2 | UpstreamProtocol::H3) {
        cx.error_help(proxy.span, found, "set `protocol = \"h1\"`, or leave `proxy_protocol` out");
    } else if let Some(one) = cluster.endpoints.iter().find(|one| one.address.scheme == Scheme::H2c) {
        let error = Diagnostic::error(found).at(proxy.span, "").at(one.address.span, "HTTP/2");
        cx.push(error.help("leave out `h2c://`, or `proxy_protocol`"));
    }
}
