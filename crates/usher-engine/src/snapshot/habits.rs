//! Patterns of paths that are read in another way than whoever knows other servers may think.

use std::collections::{HashMap, HashSet};

use usher_config::config;
use usher_config::{Diagnostic, Spanned};
use usher_route::{HostPattern, PathPattern, Rule};

use super::build::Building;

impl Building<'_> {
    /// Warns of them. `rules` are those of the routes, in their order.
    pub(super) fn habits(&mut self, rules: &[Rule]) {
        let routes = &self.loaded.config.routes;
        let wide = Wide::of(rules);
        for (route, rule) in routes.iter().zip(rules) {
            for (text, pattern) in route.path.iter().zip(&rule.paths) {
                if let Some(repair) = never(text) {
                    let found = Diagnostic::warning(format!("`{}` matches no path", text.value));
                    let found = found
                        .at(text.span, "a regular expression matches the whole path, which begins with `/`");
                    self.push(found.help(format!("write `{repair}`")));
                } else if is_alone(route, text) && !wide.takes_below(rule, pattern) {
                    let found = Diagnostic::warning(format!("`{}` matches this one path only", text.value));
                    let found = found.at(text.span, "no route of this host takes what is below");
                    self.push(found.help(format!("write `{}*` for all below", text.value)));
                }
            }
        }
    }
}

/// Whether a path ends in a slash as prefixes do elsewhere, on a route that takes whatever comes there. Beside an exact
/// path, it is likely one too.
fn is_alone(route: &config::Route, path: &Spanned<String>) -> bool {
    let all_end_so = route.path.iter().all(|path| path.ends_with(['/', '*']));
    let conditions = [&route.header, &route.query, &route.cookie].into_iter().any(|all| !all.is_empty());
    path.ends_with('/')
        && all_end_so
        && !path.starts_with('~')
        && !path.contains('{')
        && route.target().is_some()
        && route.method.is_empty()
        && !conditions
}

/// The regular expression in place of one that begins with a character which no path begins with. Only what is plain at
/// first sight is found: a literal at the beginning, and no alternatives.
fn never(path: &str) -> Option<String> {
    let regex = path.strip_prefix('~')?;
    let inner = regex.strip_prefix('^').unwrap_or(regex);
    let mut chars = inner.chars();
    let (first, escaped) = match chars.next()? {
        '\\' => (chars.next().filter(char::is_ascii_punctuation)?, true),
        plain => (plain, false),
    };
    let literal =
        if escaped { first != '/' } else { first.is_alphanumeric() || matches!(first, '-' | '_' | '%') };
    let optional = chars.next().is_some_and(|next| matches!(next, '*' | '?' | '{'));
    if !literal || optional || inner.contains('|') {
        return None;
    }
    let end = inner.strip_suffix('$').unwrap_or(inner);
    Some(if regex == inner { format!("~.*{end}") } else { format!("~/{end}") })
}

/// The patterns that take more than one path, by the host that they are for.
struct Wide<'r> {
    hosts: HashMap<&'r str, Below<'r>>,
    /// Those hosts that stand for several, which may cover others.
    covering: Vec<&'r HostPattern>,
    any: Below<'r>,
}

/// What is taken on one host.
#[derive(Default)]
struct Below<'r> {
    /// All paths are.
    all: bool,
    /// Those like `/api/*`, as they are written.
    prefixes: HashSet<&'r str>,
    /// All others.
    others: Vec<&'r PathPattern>,
}

impl<'r> Wide<'r> {
    fn of(rules: &'r [Rule]) -> Self {
        let mut wide = Self { hosts: HashMap::new(), covering: Vec::new(), any: Below::default() };
        for rule in rules {
            if rule.hosts.is_empty() {
                wide.any.add(rule);
            }
            for host in &rule.hosts {
                let text = host.as_str();
                if !wide.hosts.contains_key(text) && text.starts_with(['*', '~']) {
                    wide.covering.push(host);
                }
                wide.hosts.entry(text).or_default().add(rule);
            }
        }
        wide
    }

    /// Whether a rule takes what is below a path of this one, on one of its hosts.
    fn takes_below(&self, rule: &Rule, path: &PathPattern) -> bool {
        let on = |host: &str| {
            let others = self.covering.iter().filter(|pattern| pattern.matches(host)).map(|one| one.as_str());
            let mut hosts = others.chain([host]).filter_map(|host| self.hosts.get(host));
            hosts.any(|below| below.takes(path))
        };
        self.any.takes(path) || rule.hosts.iter().any(|host| on(host.as_str()))
    }
}

impl<'r> Below<'r> {
    fn add(&mut self, rule: &'r Rule) {
        self.all |= rule.paths.is_empty();
        for path in &rule.paths {
            match path.as_str().strip_suffix('*') {
                Some(prefix) if !prefix.contains(['{', '~']) => drop(self.prefixes.insert(prefix)),
                _ if path.as_str().contains(['{', '~']) => self.others.push(path),
                _ => {}
            }
        }
    }

    /// Whether something below a path that ends in a slash is taken.
    fn takes(&self, path: &PathPattern) -> bool {
        let path = path.as_str();
        let mut above = path.match_indices('/').map(|(at, _)| &path[..=at]);
        self.all
            || above.any(|prefix| self.prefixes.contains(prefix))
            || self.others.iter().any(|other| other.matches(&format!("{path}x")))
    }
}
