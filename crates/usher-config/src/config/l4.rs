//! Listeners that carry TCP, and PROXY headers towards endpoints: what their keys say about one another.

use super::{Cluster, Config, Listener, UpstreamProtocol};
use crate::decode::{Context, Spanned};
use crate::diagnostic::Diagnostic;
use crate::document::{Document, Key, Node};
use crate::source::Span;
use crate::value::Scheme;

crate::names! {
    /// What a listener carries.
    pub enum Carries {
        /// HTTP: requests, of which routes say where they go.
        Http = "http",
        /// TCP: bytes both ways, to an endpoint of `to` or `cluster`. With `tls`, it is ended here.
        Tcp = "tcp",
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

/// Keys of a listener that are about HTTP, and of its tables. `timeouts.head` is also for PROXY headers.
const HTTP_ONLY: [(&str, &[&str]); 4] = [
    ("", &["protocols", "redirect_https"]),
    ("limits", &["streams", "request_line", "head", "fields"]),
    ("timeouts", &["body_idle", "keep_alive", "write_stall"]),
    ("tls", &["early_data"]),
];

/// Whether some listener carries TCP, so that a config makes sense without routes.
pub(super) fn is_any(document: &Document) -> bool {
    listeners(document)
        .any(|listener| listener.get("protocol").and_then(Node::as_str) == Some(Carries::Tcp.name()))
}

/// All checks.
pub(super) fn all(config: &Config, document: &Document, cx: &mut Context<'_>) {
    for listener in &config.listeners {
        match listener.protocol {
            Carries::Http => of_http(listener, cx),
            Carries::Tcp => {
                target(listener, cx);
                let written = listeners(document).find(|node| node.span == listener.span);
                written.into_iter().flat_map(misplaced).for_each(|(key, name)| about_http(key, &name, cx));
            }
        }
    }
    routes(config, cx);
    config.clusters.iter().for_each(|(_, cluster)| one_client(cluster, cx));
}

fn listeners(document: &Document) -> impl Iterator<Item = &Node> {
    document.root.get("listener").and_then(Node::as_list).unwrap_or_default().iter()
}

/// Keys of a listener that are about HTTP, each with its name.
fn misplaced(listener: &Node) -> Vec<(&Key, String)> {
    let of_table = |(table, names): (&str, &[&str])| {
        let node = if table.is_empty() { Some(listener) } else { listener.get(table) };
        let keys = node.and_then(Node::as_table).unwrap_or_default().iter().map(|(key, _)| key);
        let found = keys.filter(|key| names.contains(&key.name.as_str()));
        let named =
            |key: &Key| if table.is_empty() { key.name.clone() } else { format!("{table}.{}", key.name) };
        found.map(|key| (key, named(key))).collect::<Vec<_>>()
    };
    HTTP_ONLY.into_iter().flat_map(of_table).collect()
}

fn about_http(key: &Key, name: &str, cx: &mut Context<'_>) {
    cx.error_help(key.span, format!("`{name}` is about HTTP, and this listener carries TCP"), "leave it out");
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
            let found = format!("`{key}` on a listener is for TCP, and this one carries HTTP");
            cx.error_help(
                place,
                found,
                format!("write `protocol = \"tcp\"`, or a `[[route]]` with this `{key}`"),
            );
        }
    }
}

/// A listener of TCP has exactly one.
fn target(listener: &Spanned<Listener>, cx: &mut Context<'_>) {
    match targets(listener) {
        (Some(to), Some(cluster)) => {
            let error = Diagnostic::error("the listener has two targets: `to` and `cluster`");
            let error = error.at(cluster, "`cluster` here").at(to, "`to` here");
            cx.push(error.help("keep one; for several endpoints, list them in `to` or in the cluster"));
        }
        (None, None) => {
            let place = listener.bind.first().map_or(listener.span, |bind| bind.span);
            let help = "write `to = \"10.0.0.1:5432\"`, for instance, or the name of a `cluster`";
            cx.error_help(place, "a listener that carries TCP needs `to` or `cluster`", help);
        }
        _ => {}
    }
}

/// Routes are for requests, which TCP has not.
fn routes(config: &Config, cx: &mut Context<'_>) {
    let of_name = |name: &str| {
        config.listeners.iter().find(|one| one.name.as_ref().is_some_and(|own| own.value == name))
    };
    for name in config.routes.iter().flat_map(|route| &route.listener) {
        if of_name(name).is_some_and(|listener| listener.protocol == Carries::Tcp) {
            let found =
                format!("the listener `{}` carries TCP, in which there are no requests to route", name.value);
            cx.error_help(name.span, found, "set `to` or `cluster` on the listener itself");
        }
    }
    let no_http = config.listeners.iter().all(|listener| listener.protocol == Carries::Tcp);
    if let Some(route) = config.routes.first().filter(|_| no_http && !config.listeners.is_empty()) {
        let found = Diagnostic::warning("no listener carries HTTP, so routes serve nothing");
        cx.push(found.at(route.span, "").help("add a `[[listener]]` without `protocol = \"tcp\"`"));
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
