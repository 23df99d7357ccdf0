//! The routes, and their rules for the router.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use usher_config::config::{self, RouteLog, RouteSettings, RouteTimeouts, ValuePattern};
use usher_config::{Diagnostic, Named, Span, Spanned};
use usher_route::{
    BuildError, FieldTest, HostPattern, Network, PathPattern, PatternError, Router, Rule, ValueTest,
};

use super::build::{Building, Clusters, Names, Pages};
use super::{Destination, Route, Target};

/// The longest name that is derived from a route's conditions, in characters.
const MAX_NAME: usize = 100;

/// Where requests go, and what the clusters there say of clients' timeouts.
type Aim = (Option<Target>, RouteTimeouts);

impl<'a> Building<'a> {
    /// The routes, what holds for requests without one, and the router, whose rules have the same order as the routes.
    /// No router if the rules do not make one.
    pub(super) fn routes(&mut self, clusters: &mut Clusters) -> (Vec<Route>, Route, Option<Router>) {
        let config = &self.loaded.config;
        let mut pages = Pages::default();
        let (mut routes, mut rules) = (Vec::new(), Vec::new());
        for (route, name) in config.routes.iter().zip(names(&config.routes)) {
            rules.push(self.rule(route, &name));
            routes.push(self.route(route, name, clusters, &mut pages));
        }
        (routes, self.unrouted(&mut pages), self.router(rules))
    }

    /// What holds where no route was found: the pages of `[defaults]`, and those of its filters that edit responses.
    fn unrouted(&mut self, pages: &mut Pages) -> Route {
        let settings = self.loaded.config.unrouted();
        let filters = self.editing(&settings, "no route");
        let trailers = filters.iter().flat_map(|entry| entry.filter.response_fields()).collect();
        Route {
            name: "".into(),
            target: None,
            mirrors: Vec::new(),
            request_trailers: Arc::default(),
            response_trailers: trailers,
            filters,
            error_pages: self.pages(&settings, pages),
            ambiguous_paths: settings.ambiguous_paths,
            criticality: settings.criticality,
            logged: settings.access_log.map(RouteLog::is_on),
            body_idle: settings.timeouts.body_idle,
            write_stall: settings.timeouts.write_stall,
            tunnel_idle: settings.timeouts.tunnel_idle,
            retry: super::RetryPolicy::default(),
            websocket: super::WebSocketPolicy::default(),
            to_https: false,
            max_body: None,
            buffer_body: None,
        }
    }

    fn route(
        &mut self,
        route: &'a Spanned<config::Route>,
        name: Arc<str>,
        clusters: &mut Clusters,
        pages: &mut Pages,
    ) -> Route {
        let config = &self.loaded.config;
        let settings = config.settings(route);
        let filters = self.filters(route, &settings, &name);
        let (target, of_clusters) = self.target((route, &name), &settings, clusters);
        let mirrors = self.mirrors((route, &name, target.as_ref()), &settings, clusters);
        let timeouts = settings.timeouts.or(&of_clusters);
        Route {
            buffer_body: filters.iter().filter_map(|entry| entry.filter.body_limit()).max(),
            request_trailers: filters.iter().flat_map(|entry| entry.filter.request_fields()).collect(),
            response_trailers: filters.iter().flat_map(|entry| entry.filter.response_fields()).collect(),
            ambiguous_paths: settings.ambiguous_paths,
            criticality: settings.criticality,
            logged: settings.access_log.map(RouteLog::is_on),
            name,
            filters,
            target,
            mirrors,
            error_pages: self.pages(&settings, pages),
            to_https: to_https(config, route),
            max_body: settings.limits.body.unwrap_or(config.limits.body).bytes(),
            body_idle: timeouts.body_idle,
            write_stall: timeouts.write_stall,
            tunnel_idle: timeouts.tunnel_idle,
            retry: (&settings.retry).into(),
            websocket: (&settings.websocket).into(),
        }
    }

    fn target(
        &mut self,
        (route, name): (&config::Route, &str),
        settings: &RouteSettings<'_>,
        clusters: &mut Clusters,
    ) -> Aim {
        let mut waits = RouteTimeouts::default();
        let Some(target) = route.target() else { return (None, waits) };
        let config::Target::Split(split) = target else {
            let destination =
                self.destination((target, route.subset.as_ref()), settings, clusters, &mut waits);
            return (destination.map(Target::Cluster), waits);
        };
        let target = self.split((split, name), settings, clusters, &mut waits);
        (Some(target), waits)
    }

    /// A cluster as a route uses it; none after an error. `waits` takes the longest of what the clusters of a route say
    /// of clients, as which of them a request goes to is not known when its body arrives.
    pub(super) fn destination(
        &mut self,
        (target, subset): (config::Target<'_>, Option<&Spanned<BTreeMap<String, String>>>),
        settings: &RouteSettings<'_>,
        clusters: &mut Clusters,
        waits: &mut RouteTimeouts,
    ) -> Option<Destination> {
        let config = &self.loaded.config;
        let (cluster, own) = match target {
            config::Target::Cluster(name) => {
                (self.subset(name, subset, clusters)?, &config.clusters.get(name)?.timeouts)
            }
            config::Target::To(_) if subset.is_some() => {
                let error = Diagnostic::error("`subset` chooses among the endpoints of a `cluster`");
                let help = "give the endpoints a `[cluster.NAME]`, and name that";
                self.push(error.at(subset.map_or(Span::NONE, |subset| subset.span), "").help(help));
                return None;
            }
            config::Target::To(to) => (self.unnamed(to, clusters)?, &RouteTimeouts::default()),
            config::Target::Split(_) => return None,
        };
        let longest = |one: Option<Duration>, other: Option<Duration>| one.max(other);
        waits.body_idle = longest(waits.body_idle, own.body_idle);
        waits.write_stall = longest(waits.write_stall, own.write_stall);
        waits.tunnel_idle = longest(waits.tunnel_idle, own.tunnel_idle);
        let timeouts = config.timeouts.with_route(own).with_route(&settings.timeouts).upstream;
        Some(Destination { cluster, timeouts })
    }

    fn rule(&mut self, route: &Spanned<config::Route>, name: &str) -> Rule {
        let listeners = self.loaded.config.listeners.iter().zip(0u32..);
        let wanted = |name: Option<&Spanned<String>>| {
            name.is_some_and(|name| route.listener.iter().any(|own| own == name))
        };
        let listeners = listeners
            .filter(|(listener, _)| wanted(listener.name.as_ref()))
            .map(|(_, index)| index)
            .collect();
        Rule {
            name: name.to_owned(),
            hosts: self.patterns(&route.host, HostPattern::parse),
            paths: self.patterns(&route.path, PathPattern::parse),
            methods: methods(route),
            headers: self.tests(&route.header),
            query: self.tests(&route.query),
            cookies: self.tests(&route.cookie),
            clients: self.clients(route),
            listeners,
            priority: route.priority,
        }
    }

    fn patterns<T>(
        &mut self,
        texts: &[Spanned<String>],
        parse: fn(&str) -> Result<T, PatternError>,
    ) -> Vec<T> {
        texts.iter().filter_map(|text| self.pattern(text, parse(text))).collect()
    }

    /// Reports what is wrong with a pattern, at the very characters.
    fn pattern<T>(&mut self, text: &Spanned<String>, parsed: Result<T, PatternError>) -> Option<T> {
        let error = match parsed {
            Ok(pattern) => return Some(pattern),
            Err(error) => error,
        };
        let span = self.within(text, error.span);
        let found = Diagnostic::error(format!("`{}` is not a pattern", text.value)).at(span, error.message);
        let scheme = ["http://", "https://"].into_iter().find(|scheme| text.starts_with(scheme));
        self.push(found.maybe_help(scheme.map(|scheme| format!("leave out `{scheme}`"))));
        None
    }

    fn tests(&mut self, patterns: &Named<ValuePattern>) -> Vec<FieldTest> {
        let mut tests = Vec::new();
        for (key, pattern) in patterns {
            let test = match pattern {
                ValuePattern::Present => Some(ValueTest::Present),
                ValuePattern::Absent => Some(ValueTest::Absent),
                ValuePattern::Matches(text) => self.pattern(text, ValueTest::parse(text)),
            };
            tests.extend(test.map(|test| FieldTest { name: key.name.clone(), test }));
        }
        tests
    }

    fn clients(&mut self, route: &Spanned<config::Route>) -> Vec<Network> {
        let mut networks = Vec::new();
        for network in &route.client {
            match Network::parse(&network.to_string()) {
                Ok(network) => networks.push(network),
                Err(error) => {
                    self.push(Diagnostic::error(format!("`{network}`: {error}")).at(route.span, ""))
                }
            }
        }
        networks
    }

    fn router(&mut self, rules: Vec<Rule>) -> Option<Router> {
        let routes = &self.loaded.config.routes;
        let router = match Router::build(rules) {
            Ok(router) => router,
            Err(errors) => {
                for error in errors {
                    let route = error.rule().and_then(|rule| routes.get(rule as usize));
                    let place = route.map_or(Span::NONE, |route| place_of(&error, route));
                    self.push(Diagnostic::error(error.to_string()).at(place, ""));
                }
                return None;
            }
        };
        // A route that lost a condition to an error would cover others.
        if !self.has_errors() {
            for warning in router.warnings() {
                let place = |rule: u32| routes.get(rule as usize).map_or(Span::NONE, |route| route.span);
                let found = Diagnostic::warning(warning.to_string()).at(place(warning.rule), "this one");
                self.push(found.at(place(warning.by), "takes its requests"));
            }
            self.habits(router.rules());
        }
        Some(router)
    }
}

/// What a rule was refused for.
fn place_of(error: &BuildError, route: &Spanned<config::Route>) -> Span {
    let found = match error {
        BuildError::Method { method, .. } => {
            route.method.iter().find(|one| one.value == *method).map(|one| one.span)
        }
        BuildError::FieldName { name, .. } => {
            let keys = [&route.header, &route.query, &route.cookie].into_iter().flatten();
            keys.map(|(key, _)| key).find(|key| key.name == *name).map(|key| key.span)
        }
        _ => None,
    };
    found.unwrap_or(route.span)
}

/// The methods of a route. Whoever serves GET serves HEAD (RFC 9110 section 9.1), so `GET` stands for both.
fn methods(route: &config::Route) -> Vec<String> {
    let mut methods: Vec<String> = route.method.iter().map(|method| method.value.clone()).collect();
    let lists = |name: &str| methods.iter().any(|method| method == name);
    if lists("GET") && !lists("HEAD") {
        methods.push("HEAD".to_owned());
    }
    methods
}

/// The routes' names: their own, or what they look for, such as `example.com/api/*`. Names do not repeat.
fn names(routes: &[Spanned<config::Route>]) -> Vec<Arc<str>> {
    let given = routes.iter().filter_map(|route| route.name.as_ref());
    let mut names = Names::taken(given.map(|name| name.as_str()));
    let name = |route: &Spanned<config::Route>| match &route.name {
        Some(name) => name.value.as_str().into(),
        None => names.unique(derived(route)).into(),
    };
    routes.iter().map(name).collect()
}

fn derived(route: &config::Route) -> String {
    let first = |texts: &[Spanned<String>]| texts.first().map_or_else(String::new, |text| text.value.clone());
    let (host, path) = (first(&route.host), first(&route.path));
    let place = if host.is_empty() && path.is_empty() { "*".to_owned() } else { host + &path };
    let methods: Vec<&str> = route.method.iter().map(|method| method.as_str()).collect();
    let whole = if methods.is_empty() { place } else { format!("{} {place}", methods.join(",")) };
    match whole.char_indices().nth(MAX_NAME) {
        Some((end, _)) => format!("{}…", &whole[..end]),
        None => whole,
    }
}

/// Whether clients without TLS are sent to HTTPS: on hosts with an automatic certificate, unless the route names its
/// listeners itself. Any host, and an expression, are not: there is no certificate for what nobody names.
fn to_https(config: &config::Config, route: &config::Route) -> bool {
    let automatic = config.automatic_https.on().is_some_and(|automatic| automatic.redirect);
    let named = |host: &Spanned<String>| host.value != "*" && !host.starts_with('~');
    automatic && route.listener.is_empty() && !route.host.is_empty() && route.host.iter().all(named)
}
