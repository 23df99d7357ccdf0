//! What holds for one route: its own settings, those of its bundles, and the defaults.

use super::{
    AmbiguousPaths, Bundle, Config, Criticality, ErrorPage, Retry, Route, RouteLimits, RouteLog,
    RouteTimeouts, StatusPattern, WebSocket,
};
use crate::document::{Key, Node};

/// The settings of a route after `[defaults]` and bundles.
#[derive(Debug, Clone)]
pub struct RouteSettings<'a> {
    /// The route's timeouts; where they say nothing, its cluster's and then `[timeouts]` hold.
    pub timeouts: RouteTimeouts,
    /// The route's limits; where they say nothing, `[limits]` hold.
    pub limits: RouteLimits,
    /// When requests are sent again.
    pub retry: Retry,
    /// How WebSockets are kept and closed.
    pub websocket: WebSocket,
    /// What happens with paths that can be read in two ways.
    pub ambiguous_paths: AmbiguousPaths,
    /// Who is refused first when memory is short.
    pub criticality: Criticality,
    /// Whether requests are logged, if that is said.
    pub access_log: Option<RouteLog>,
    /// The sections of filters, each name once; those that are `"off"` are left out.
    pub extensions: Vec<&'a (Key, Node)>,
    layers: Vec<Layer<'a>>,
}

/// One place that settings come from.
#[derive(Debug, Clone, Copy)]
struct Layer<'a> {
    timeouts: &'a RouteTimeouts,
    limits: &'a RouteLimits,
    retry: &'a Retry,
    websocket: &'a WebSocket,
    error_pages: &'a super::ErrorPages,
    ambiguous_paths: Option<AmbiguousPaths>,
    criticality: Option<Criticality>,
    access_log: Option<RouteLog>,
    extensions: &'a [(Key, Node)],
}

impl<'a> From<&'a Bundle> for Layer<'a> {
    fn from(bundle: &'a Bundle) -> Self {
        let Bundle { error_pages, limits, timeouts, retry, websocket, extensions, .. } = bundle;
        let (access_log, ambiguous_paths) = (bundle.access_log, bundle.ambiguous_paths);
        let criticality = bundle.criticality;
        Self {
            timeouts,
            limits,
            retry,
            websocket,
            error_pages,
            ambiguous_paths,
            criticality,
            access_log,
            extensions,
        }
    }
}

impl<'a> From<&'a Route> for Layer<'a> {
    fn from(route: &'a Route) -> Self {
        let Route { error_pages, limits, timeouts, retry, websocket, extensions, .. } = route;
        let (access_log, ambiguous_paths) = (route.access_log, route.ambiguous_paths);
        let criticality = route.criticality;
        Self {
            timeouts,
            limits,
            retry,
            websocket,
            error_pages,
            ambiguous_paths,
            criticality,
            access_log,
            extensions,
        }
    }
}

impl Config {
    /// The settings of a route: the defaults, then its bundles in their order, then its own; the later wins.
    pub fn settings<'a>(&'a self, route: &'a Route) -> RouteSettings<'a> {
        let bundles = route.bundles.iter().filter_map(|name| self.bundles.get(name));
        let mut layers: Vec<Layer<'a>> = vec![(&self.defaults).into()];
        layers.extend(bundles.map(Layer::from));
        layers.push(route.into());
        layers.reverse();
        RouteSettings::of(layers)
    }

    /// The settings where no route was found: the defaults.
    pub fn unrouted(&self) -> RouteSettings<'_> {
        RouteSettings::of(vec![(&self.defaults).into()])
    }
}

impl<'a> RouteSettings<'a> {
    /// What the layers say, the nearest first.
    fn of(layers: Vec<Layer<'a>>) -> Self {
        let timeouts = layers.iter().fold(RouteTimeouts::default(), |all, layer| all.or(layer.timeouts));
        let retry = layers.iter().fold(Retry::default(), |all, layer| all.or(layer.retry));
        let websocket = layers.iter().fold(WebSocket::default(), |all, layer| all.or(layer.websocket));
        let limits = RouteLimits { body: layers.iter().find_map(|layer| layer.limits.body) };
        let ambiguous_paths =
            layers.iter().find_map(|layer| layer.ambiguous_paths).unwrap_or(AmbiguousPaths::Compare);
        let criticality = layers.iter().find_map(|layer| layer.criticality).unwrap_or(Criticality::Normal);
        let access_log = layers.iter().find_map(|layer| layer.access_log);
        Self {
            timeouts,
            limits,
            retry,
            websocket,
            ambiguous_paths,
            criticality,
            access_log,
            extensions: extensions(&layers),
            layers,
        }
    }
}

fn extensions<'a>(layers: &[Layer<'a>]) -> Vec<&'a (Key, Node)> {
    let mut found: Vec<&(Key, Node)> = Vec::new();
    for entry in layers.iter().flat_map(|layer| layer.extensions) {
        if !found.iter().any(|(key, _)| key.name == entry.0.name) {
            found.push(entry);
        }
    }
    found.retain(|(_, node)| node.as_str() != Some("off"));
    found
}

impl<'a> RouteSettings<'a> {
    /// The sections of a filter, the nearest first, which is the one that counts; up to one that is `"off"`.
    pub fn sections(&self, name: &str) -> impl Iterator<Item = &'a Node> {
        let written = self.layers.iter().flat_map(|layer| layer.extensions);
        let sections = written.filter(move |(key, _)| key.name == name).map(|(_, node)| node);
        sections.take_while(|node| node.as_str() != Some("off"))
    }

    /// The page for a status: the nearest place that has one, the exact status before its class.
    pub fn error_page(&self, status: u16) -> Option<&'a ErrorPage> {
        self.layers.iter().find_map(|layer| layer.error_pages.get(status))
    }

    /// Every page that the route may show, the nearest first.
    pub fn error_pages(&self) -> impl Iterator<Item = (StatusPattern, &'a ErrorPage)> {
        self.layers
            .iter()
            .flat_map(|layer| layer.error_pages.0.iter().map(|(pattern, page)| (pattern.value, page)))
    }
}
