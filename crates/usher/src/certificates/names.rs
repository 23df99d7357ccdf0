//! Which names certificates are wanted for.

use std::collections::BTreeMap;

use usher_config::config::{Automatic, Carries, Config, Listener, Route};
use usher_config::{Diagnostic, Span, Spanned};
use usher_net::tls::Certificate;

/// The names of all routes on listeners with automatic certificates, and those that the config adds, each with its
/// place; without those that certificates from files are for.
pub(super) fn wanted(config: &Config, automatic: &Automatic, found: &mut Vec<Diagnostic>) -> Vec<String> {
    let mut names: BTreeMap<String, Span> = BTreeMap::new();
    let mut add = |host: &Spanned<String>| {
        if let Some(name) = certifiable(&host.value) {
            names.entry(name).or_insert(host.span);
        }
    };
    for listener in config.listeners.iter().filter(|listener| is_automatic(listener)) {
        let routes = config.routes.iter().filter(|route| serves(listener, route));
        // Whoever is passed on still encrypted shows a certificate of its own.
        let passed = |host: &str| is_passed_on(listener, host);
        let hosts = routes.flat_map(|route| &route.host).filter(|host| !passed(&host.value));
        hosts.for_each(&mut add);
    }
    automatic.hosts.iter().for_each(&mut add);
    let from_files = in_files(config);
    names.retain(|name, _| !from_files.iter().any(|pattern| covers(pattern, name)));
    let wildcards: Vec<String> = names.keys().filter(|name| name.starts_with("*.")).cloned().collect();
    if automatic.dns.is_none() {
        for name in wildcards.iter().filter(|name| !is_local(name)) {
            let place = names.remove(name).unwrap_or(Span::NONE);
            if automatic.on_demand.is_none() {
                found.push(undue(name, place));
            }
        }
    }
    // Those that a wildcard is for are left out where it is known whether there is one.
    names.into_keys().collect()
}

fn undue(name: &str, place: Span) -> Diagnostic {
    let warning = Diagnostic::warning(format!("no certificate can be obtained for `{name}`"));
    let warning = warning.at(place, "a wildcard needs a DNS record");
    warning.help("set `automatic_https.dns`, name the hosts one by one, or set `automatic_https.on_demand`")
}

/// Whether a listener passes a host on without ending its TLS.
fn is_passed_on(listener: &Listener, host: &str) -> bool {
    let (Some(tls), Some(name)) = (listener.tls.on(), certifiable(host)) else { return false };
    let patterns = tls.passthrough.iter().flat_map(|passed| &passed.value.host);
    patterns.filter_map(|pattern| certifiable(&pattern.value)).any(|pattern| {
        // Of a pattern's subdomains, all are passed on, however deep.
        let below = pattern.strip_prefix('*').is_some_and(|end| name.ends_with(end));
        pattern == name || below
    })
}

fn is_automatic(listener: &Listener) -> bool {
    listener.tls.on().is_some_and(|tls| tls.automatic)
}

pub(super) fn serves(listener: &Listener, route: &Route) -> bool {
    if listener.protocol != Carries::Http {
        return false;
    }
    let name = listener.label();
    route.listener.is_empty() || route.listener.iter().any(|named| named.value == name)
}

/// A host as a certificate names it; none for expressions, and for all hosts at once.
pub(super) fn certifiable(host: &str) -> Option<String> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let stem = host.strip_prefix("*.").unwrap_or(&host);
    let is_name = !stem.is_empty() && !stem.starts_with('~') && !stem.contains(['*', '/', '(']);
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    is_name.then_some(host)
}

/// Names that only the internal authority signs, wildcards too.
fn is_local(name: &str) -> bool {
    const ENDS: [&str; 6] = [".localhost", ".internal", ".local", ".test", ".home.arpa", ".localdomain"];
    ENDS.iter().any(|end| name.ends_with(end))
}

/// Whether a certificate for `pattern` is one for `name`.
pub(super) fn covers(pattern: &str, name: &str) -> bool {
    if pattern == name {
        return true;
    }
    let below = pattern.strip_prefix("*.").and_then(|stem| name.strip_suffix(stem)?.strip_suffix('.'));
    below.is_some_and(|label| !label.is_empty() && !label.contains('.'))
}

/// The names of certificates from files; what cannot be read is reported elsewhere.
pub(super) fn in_files(config: &Config) -> Vec<String> {
    let read = |certificate: &usher_config::config::Certificate| {
        let chain = std::fs::read(&certificate.cert.value).ok()?;
        let key = std::fs::read(&certificate.key.value).ok()?;
        Certificate::from_pem(&chain, &key).ok()
    };
    let all = config.certificates.iter().filter_map(|certificate| read(certificate));
    all.flat_map(|certificate| certificate.names().to_vec()).collect()
}

#[cfg(test)]
mod tests {
    use usher_config::{Format, Input, LoadOptions, load};

    use super::*;

    #[test]
    fn only_names_are_certified() {
        for (host, name) in [
            ("Example.com.", Some("example.com")),
            ("*.example.com", Some("*.example.com")),
            ("~^a", None),
            ("*", None),
            ("127.0.0.1", Some("127.0.0.1")),
            ("[::1]", Some("::1")),
        ] {
            assert_eq!(certifiable(host).as_deref(), name, "{host}");
        }
    }

    #[test]
    fn wildcards_cover_one_label() {
        assert!(covers("*.a.b", "x.a.b") && covers("x.a.b", "x.a.b"));
        assert!(!covers("*.a.b", "a.b") && !covers("*.a.b", "x.y.a.b") && !covers("*.a.b", "xa.b"));
    }

    #[test]
    fn who_is_passed_on_needs_no_certificate_here() {
        let text = r#"
            [[listener]]
            bind = "127.0.0.1:8443"
            [listener.tls]
            passthrough = [{ host = ["old.example.com", "*.vpn.example.com"], to = "127.0.0.1:9443" }]
            [[route]]
            host = ["example.com", "old.example.com", "a.b.vpn.example.com", "vpn.example.com"]
            to = "127.0.0.1:3000"
        "#;
        let options = LoadOptions { format: Some(Format::Toml), env: &|_| None, known_filters: &[] };
        let input = Input::Text { name: "test".to_owned(), bytes: text.into() };
        let config = load(input, &options).expect("readable").sound().expect("sound").config;
        let automatic = config.automatic_https.on().expect("automatic");
        let names = wanted(&config, automatic, &mut Vec::new());
        assert_eq!(names, ["example.com", "vpn.example.com"]);
    }
}
