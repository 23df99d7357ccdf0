//! Whom nobody can reach: listeners and hosts without a certificate, routes that want one of clients who are not asked.

use usher_certs::Options;
use usher_config::config::{Config, Listener, Route};
use usher_config::{Diagnostic, Node, Span, Spanned, Value};

use super::names;

/// The filter that looks at clients' certificates.
const CLIENT_CERTIFICATE: &str = "client_certificate";

/// Warnings, each at the listener or route. `told` is whether it was said already why there is no certificate.
pub(super) fn findings(config: &Config, options: &Options, told: bool) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let has_any = !options.files.is_empty() || !options.managed.is_empty() || options.on_demand.is_some();
    if has_any {
        hosts(config, options, &mut found);
    } else if !told {
        config.listeners.iter().filter_map(|listener| bare(listener)).for_each(|warning| found.push(warning));
    }
    clients(config, &mut found);
    found
}

/// A listener with TLS, where there is no certificate at all.
fn bare(listener: &Listener) -> Option<Diagnostic> {
    let place = listener.bind.first().map_or(Span::NONE, |bind| bind.span);
    listener.tls.on().filter(|tls| tls.passthrough.is_empty())?;
    let found =
        Diagnostic::warning("there is no certificate, so every handshake on this listener is refused");
    Some(
        found
            .at(place, "")
            .help("give a route a `host` that one can be obtained for, or write a `[[certificate]]`"),
    )
}

/// Hosts that are served over TLS only, where no certificate is for them and none is obtained.
fn hosts(config: &Config, options: &Options, found: &mut Vec<Diagnostic>) {
    if options.on_demand.is_some() || config.certificates.iter().any(|one| one.default) {
        return;
    }
    let mut known = names::in_files(config);
    known.extend(options.managed.iter().flat_map(|managed| managed.names.iter().cloned()));
    let automatic = config.automatic_https.on().is_some();
    let from_files = |one: &Spanned<Listener>| one.tls.on().is_some_and(|tls| !(automatic && tls.automatic));
    for route in &config.routes {
        let mut serving =
            config.listeners.iter().filter(|listener| names::serves(listener, route)).peekable();
        let only_tls = serving.peek().is_some() && serving.all(from_files);
        for host in route.host.iter().filter(|_| only_tls) {
            let Some(name) = names::certifiable(&host.value) else { continue };
            if !known.iter().any(|pattern| names::covers(pattern, &name)) {
                let warning = Diagnostic::warning(format!("no certificate is for `{}`", host.value));
                let warning = warning.at(host.span, "handshakes for it are refused");
                found.push(
                    warning.help("add a `[[certificate]]` for it, or let `automatic_https` obtain one"),
                );
            }
        }
    }
}

/// Routes that want a certificate of clients, on listeners that never ask for one.
fn clients(config: &Config, found: &mut Vec<Diagnostic>) {
    let asks =
        |listener: &Spanned<Listener>| listener.tls.on().is_some_and(|tls| tls.client_certificate.is_some());
    for route in &config.routes {
        let settings = config.settings(route);
        let Some((key, _)) = settings
            .extensions
            .iter()
            .find(|(key, node)| key.name == CLIENT_CERTIFICATE && is_required(node))
        else {
            continue;
        };
        if !config.listeners.iter().filter(|listener| names::serves(listener, route)).any(asks) {
            let message = "no listener of this route asks clients for a certificate: all are answered 403";
            let warning = Diagnostic::warning(message).at(key.span, "");
            let warning =
                if key_is_own(route, key.span) { warning } else { warning.at(route.span, "this route") };
            found.push(warning.help("set `tls = { client_certificate = \"ca.pem\" }` on the listener"));
        }
    }
}

fn key_is_own(route: &Route, key: Span) -> bool {
    route.extensions.iter().any(|(own, _)| own.span == key)
}

/// As the filter reads its section: `false`, `"optional"` and `required = false` want none.
fn is_required(node: &Node) -> bool {
    match (&node.value, node.as_str()) {
        (Value::Bool(on), _) => *on,
        (_, Some(text)) => text == "required",
        _ => !node.get("required").is_some_and(|set| matches!(set.value, Value::Bool(false))),
    }
}
