//! What sections say about one another: names that must exist, names and addresses that must not repeat.
//!
//! Which names there are is read from the document rather than from the decoded config, so that a cluster with a
//! mistake in it does not count as missing.

mod protection;
mod secure;

use std::collections::{BTreeSet, HashMap};

use super::route::is_token_byte;
use super::{Bundle, Carries, Config, Listener, Protocol, Route, SplitTarget};
use crate::decode::table::unknown_key;
use crate::decode::{Context, Decode as _, Section, Spanned};
use crate::diagnostic::Diagnostic;
use crate::document::{Document, Key, Node};
use crate::schema::Schema;
use crate::source::Span;
use crate::suggest;
use crate::value::{BindAddress, TrustedPeer};

/// All checks.
pub(super) fn all(config: &Config, document: &Document, known_filters: &[&str], cx: &mut Context<'_>) {
    let names = Names::of(document);
    routes(document, cx);
    super::nginx::all(config, document, cx);
    for route in &config.routes {
        targets(route, cx);
        super::shift::check(route, cx);
        references(route, &names, cx);
        methods(route, cx);
        filters(&route.extensions, (Route::KEYS, Route::schema), known_filters, cx);
    }
    let bundles = config.bundles.iter().map(|(_, bundle)| bundle);
    for bundle in bundles.chain([&config.defaults]) {
        filters(&bundle.extensions, (Bundle::KEYS, Bundle::schema), known_filters, cx);
    }
    repeated("route", config.routes.iter().filter_map(|route| route.name.as_ref()), cx);
    repeated("listener", config.listeners.iter().filter_map(|listener| listener.name.as_ref()), cx);
    for listener in &config.listeners {
        proxy_protocol(listener, cx);
        let passed = listener.tls.on().into_iter().flat_map(|tls| &tls.passthrough);
        for cluster in passed.filter_map(|one| one.cluster.as_ref()).chain(&listener.cluster) {
            exists("cluster", cluster, &names.clusters, "define it as `[cluster.NAME]`", cx);
        }
    }
    super::l4::all(config, document, cx);
    secure::all(config, cx);
    binds(config, cx);
    clusters(config, (&names, document), cx);
}

/// The names that others refer to.
struct Names<'d> {
    clusters: BTreeSet<&'d str>,
    bundles: BTreeSet<&'d str>,
    listeners: BTreeSet<&'d str>,
}

impl<'d> Names<'d> {
    fn of(document: &'d Document) -> Self {
        let keys = |name: &str| {
            let entries = document.root.get(name).and_then(Node::as_table).unwrap_or_default();
            entries.iter().map(|(key, _)| key.name.as_str()).collect()
        };
        let listeners = document.root.get("listener").and_then(Node::as_list).unwrap_or_default();
        let listeners = listeners.iter().filter_map(|listener| listener.get("name")?.as_str()).collect();
        Self { clusters: keys("cluster"), bundles: keys("bundle"), listeners }
    }
}

/// Without routes every request would be answered with 404, which nobody wants: the file was emptied, or is not the one
/// that was meant. Routes that could not be read have been reported, and so have keys that may have been meant for them.
fn routes(document: &Document, cx: &mut Context<'_>) {
    let written = document.root.get("route");
    let keys = document.root.as_table().unwrap_or_default();
    if keys.iter().any(|(key, _)| !Config::KEYS.contains(&key.name.as_str())) {
        return;
    }
    let is_none = written.is_none_or(|routes| routes.as_list().is_some_and(<[Node]>::is_empty));
    if is_none && !super::l4::is_any(document) {
        let place = written.map_or(document.root.span, |routes| routes.span);
        let error = Diagnostic::error("no routes: nothing would be served").at(place, "");
        cx.push(error.help("write a `[[route]]`, such as one with `to = \"localhost:3000\"`"));
    }
}

/// Mirrors of one route: each is a copy of all that visitors send.
const MAX_MIRRORS: usize = 4;

/// At most one of `to`, `cluster` and `split`; exactly one in each target of a split.
fn targets(route: &Route, cx: &mut Context<'_>) {
    let to =
        |to: &crate::OneOrMany<Spanned<super::Endpoint>>| to.first().map_or(Span::NONE, |first| first.span);
    let mut places = Vec::new();
    places.extend(route.to.as_ref().map(|found| ("to", to(found))));
    places.extend(route.cluster.as_ref().map(|name| ("cluster", name.span)));
    places.extend(route.split.as_ref().map(|split| ("split", split.span)));
    if let [(first, at), (second, again), ..] = places.as_slice() {
        let error = Diagnostic::error(format!("the route has two targets: `{first}` and `{second}`"));
        let error = error.at(*again, format!("`{second}` here")).at(*at, format!("`{first}` here"));
        cx.push(error.help("keep one; to send requests to several, use `split`"));
    }
    for mirror in &route.mirror {
        if mirror.cluster.is_some() == mirror.to.is_some() {
            cx.error_help(mirror.span, "a mirror has either `cluster` or `to`", "write one of the two");
        }
    }
    if let (Some(mirror), true) = (route.mirror.first(), places.is_empty()) {
        let help = "give the route a target too: `to`, `cluster` or `split`";
        cx.error_help(mirror.span, "the route has a `mirror`, but sends requests nowhere else", help);
    }
    if let Some(beyond) = route.mirror.get(MAX_MIRRORS) {
        cx.error(beyond.span, format!("a route can have {MAX_MIRRORS} mirrors"));
    }
    let Some(split) = &route.split else { return };
    for target in &split.between {
        if target.cluster.is_some() == target.to.is_some() {
            let error = "a target of a split has either `cluster` or `to`";
            cx.error_help(target.span, error, "write one of the two");
        }
    }
    let total: u64 = split.between.iter().filter_map(|target| target.weight).map(u64::from).sum();
    // A split without targets may have lost them to mistakes.
    let complete = !split.between.is_empty() || !cx.has_errors();
    let weighted = split.shift.is_none() && split.between.iter().all(|target| target.weight.is_some());
    if total == 0 && weighted && complete {
        cx.error_help(
            split.span,
            "the weights of the split add up to nothing",
            "give at least one target a weight",
        );
    }
}

fn references(route: &Route, names: &Names<'_>, cx: &mut Context<'_>) {
    let of_split = |target: &'_ Spanned<SplitTarget>| target.cluster.clone();
    let split = route.split.iter().flat_map(|split| split.between.iter().filter_map(of_split));
    let mirrors = route.mirror.iter().filter_map(|mirror| mirror.cluster.clone());
    for cluster in route.cluster.iter().cloned().chain(split).chain(mirrors) {
        exists("cluster", &cluster, &names.clusters, "define it as `[cluster.NAME]`", cx);
    }
    for bundle in &route.bundles {
        exists("bundle", bundle, &names.bundles, "define it as `[bundle.NAME]`", cx);
    }
    for listener in &route.listener {
        exists("listener", listener, &names.listeners, "give a `[[listener]]` this name", cx);
    }
}

fn exists(what: &str, name: &Spanned<String>, known: &BTreeSet<&str>, otherwise: &str, cx: &mut Context<'_>) {
    if known.contains(&name.as_str()) || cx.is_full() {
        return;
    }
    let known: Vec<&str> = known.iter().copied().collect();
    let help = suggest::help(name, &known).unwrap_or_else(|| otherwise.to_owned());
    cx.error_help(name.span, format!("there is no {what} `{}`", name.value), help);
}

/// Methods are tokens and case matters (RFC 9110, section 9.1), so `get` would never match.
fn methods(route: &Route, cx: &mut Context<'_>) {
    for method in &route.method {
        if method.is_empty() || method.len() > 32 || !method.bytes().all(is_token_byte) {
            cx.error(method.span, format!("`{}` is not a method", method.value));
        } else if method.bytes().all(|byte| byte.is_ascii_lowercase()) {
            let help = format!("write `{}`: the case of methods matters", method.to_ascii_uppercase());
            cx.error_help(method.span, format!("no client sends the method `{}`", method.value), help);
        }
    }
}

fn filters(
    extensions: &[(Key, Node)],
    (own, schema): (&[&str], fn() -> Schema),
    known_filters: &[&str],
    cx: &mut Context<'_>,
) {
    let all: Vec<&str> = own.iter().chain(known_filters).copied().collect();
    for (key, _) in extensions.iter().filter(|(key, _)| !known_filters.contains(&key.name.as_str())) {
        cx.push(unknown_key(key, &all, schema));
    }
}

fn repeated<'a>(what: &str, names: impl Iterator<Item = &'a Spanned<String>>, cx: &mut Context<'_>) {
    let mut seen: HashMap<&str, Span> = HashMap::new();
    for name in names {
        if name.is_empty() {
            cx.error(name.span, format!("the name of a {what} is empty"));
        } else if let Some(first) = seen.insert(&name.value, name.span) {
            let error = Diagnostic::error(format!("two {what}s have the name `{}`", name.value));
            cx.push(
                error.at(name.span, "again here").at(first, "first here").help("give each a name of its own"),
            );
        }
    }
}

/// With nobody trusted, every header would be refused, and so every connection. The same goes for peers on Unix sockets.
fn proxy_protocol(listener: &Listener, cx: &mut Context<'_>) {
    let Some(proxy) = listener.proxy_protocol.as_ref() else { return };
    let span = proxy.trusted.span;
    if proxy.trusted.is_empty() {
        let help = "name your load balancers: whoever is trusted here can claim any client address";
        cx.error_help(span, "`proxy_protocol` trusts nobody, so no connection could be used", help);
        return;
    }
    let unix = listener.bind.iter().any(|bind| matches!(bind.value, BindAddress::Unix(_)));
    if unix && !proxy.trusted.contains(&TrustedPeer::Unix) {
        let found = "peers on the Unix socket are not trusted, so a PROXY header from there is refused";
        cx.push(Diagnostic::warning(found).at(span, "").help("add `\"unix\"` if they may send one"));
    }
}

/// An address, and whether it takes only IPv6.
type Bound<'a> = (&'a Spanned<BindAddress>, bool);

/// No address twice. Compared by port first, so that many listeners cost little.
fn binds(config: &Config, cx: &mut Context<'_>) {
    let mut seen: HashMap<(Option<u16>, bool), Vec<Bound<'_>>> = HashMap::new();
    for listener in &config.listeners {
        for bind in &listener.bind {
            let mut clashes = false;
            // TCP and UDP have ports of their own, and HTTP/3 takes both.
            let is_udp = listener.protocol == Carries::Udp;
            let takes = [(false, !is_udp), (true, is_udp || listener.speaks(Protocol::H3))];
            for (udp, _) in takes.into_iter().filter(|(_, takes)| *takes) {
                let others = seen.entry((bind.port(), udp)).or_default();
                let clash =
                    others.iter().find(|(other, only)| bind.overlaps(other, (listener.ipv6_only, *only)));
                if let Some((other, _)) = clash.filter(|_| !clashes) {
                    let quic = udp && (!is_udp || is_quic(other, config));
                    cx.push(if quic { over_quic(bind, other) } else { clashing(bind, other) });
                    clashes = true;
                }
                others.push((bind, listener.ipv6_only));
            }
        }
    }
}

/// Whether HTTP/3 is what takes UDP there.
fn is_quic(bind: &Spanned<crate::BindAddress>, config: &Config) -> bool {
    let has = |listener: &&Spanned<Listener>| listener.bind.iter().any(|one| std::ptr::eq(one, bind));
    config.listeners.iter().find(has).is_some_and(|listener| listener.protocol != Carries::Udp)
}

fn over_quic(again: &Spanned<crate::BindAddress>, first: &Spanned<crate::BindAddress>) -> Diagnostic {
    let error = Diagnostic::error(format!("two listeners want the datagrams of `{}`", again.value));
    let error = error.at(again.span, "again here").at(first.span, "first here");
    error.help("HTTP/3 takes UDP too: set `protocols = [\"h1\", \"h2\"]` there, or choose another port")
}

fn clashing(again: &Spanned<crate::BindAddress>, first: &Spanned<crate::BindAddress>) -> Diagnostic {
    if again.value == first.value {
        let error = Diagnostic::error(format!("`{}` is bound twice", again.value));
        return error.at(again.span, "again here").at(first.span, "first here").help("keep one of the two");
    }
    let error = Diagnostic::error(format!("`{}` and `{}` cannot both be bound", first.value, again.value));
    let error =
        error.at(again.span, "this also takes what the other one takes").at(first.span, "the other one");
    error.help("`:PORT` and `[::]:PORT` take IPv4 too; set `ipv6_only = true` or keep one of the two")
}

/// Those that could not be read have been reported.
fn no_endpoints(key: &Key, cluster: Option<&Node>, cx: &mut Context<'_>) {
    let has = |name: &str| cluster.is_some_and(|node| node.get(name).is_some());
    if !has("endpoints") && !has("endpoints_file") {
        let error = Diagnostic::error("the key `endpoints` is required");
        let place = cluster.map_or(key.span, |node| node.span);
        cx.push(error.at(place, "neither `endpoints` nor `endpoints_file` is here"));
    }
}

fn clusters(config: &Config, (names, document): (&Names<'_>, &Document), cx: &mut Context<'_>) {
    let written = document.root.get("cluster");
    for (key, cluster) in &config.clusters {
        if cluster.endpoints.is_empty() && cluster.endpoints_file.is_none() {
            no_endpoints(key, written.and_then(|all| all.get(&key.name)), cx);
        }
        if cluster.dns.min_ttl > cluster.dns.max_ttl {
            let message =
                format!("in the cluster `{}`, `dns.min_ttl` is longer than `dns.max_ttl`", key.name);
            cx.error(key.span, message);
        }
        protection::of((key, cluster), &names.clusters, config, cx);
        repeated("endpoint", cluster.endpoints.iter().filter_map(|endpoint| endpoint.name.as_ref()), cx);
    }
}
