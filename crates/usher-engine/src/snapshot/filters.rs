//! The filters of a route, and that exactly one thing answers its requests.

use usher_api::{FilterFactory, OnRoute, Phase};
use usher_config::config::{Route, RouteSettings, Target};
use usher_config::{Diagnostic, Key, Node, Span, Spanned};

use super::RouteFilter;
use super::build::Building;

impl<'a> Building<'a> {
    /// The filters of a route in the order in which they run: by phase, and within a phase as they are written.
    ///
    /// What a route inherits from `[defaults]` or a bundle is built for each route by itself: a rate limit there
    /// counts for each route alone, unless the filter's own options say otherwise.
    pub(super) fn filters(
        &mut self,
        route: &Spanned<Route>,
        settings: &RouteSettings<'a>,
        name: &str,
    ) -> Vec<RouteFilter> {
        let scope = format!("route {name}");
        let mut filters = Vec::new();
        let mut responders = Vec::new();
        let forwards = route.target().is_some();
        for (key, node) in &settings.extensions {
            // Unknown keys were refused when the config was loaded.
            let Some(factory) = self.factory(key) else { continue };
            let outer: Vec<&Node> = settings.sections(&key.name).skip(1).collect();
            let on_route = OnRoute { forwards, outer: &outer };
            let built = self.extension_of_route((&scope, on_route), |cx| (factory.build)(node, cx));
            let answers = match &built {
                Ok(filter) => filter.as_ref().is_some_and(|filter| !filter.passes_on()),
                // Whether it would let requests pass is not known.
                Err(()) => !forwards,
            };
            if factory.phase == Phase::Respond && answers {
                responders.push((key, node));
            }
            if let Ok(Some(filter)) = built {
                filters.push(RouteFilter { name: factory.name, phase: factory.phase, filter });
            }
        }
        filters.sort_by_key(|filter| filter.phase);
        self.one_answer(route, &responders);
        filters
    }

    /// The filters that edit requests and responses, for responses to requests without a route. Those that run before
    /// would refuse, and those behind answer, what is answered already.
    pub(super) fn editing(&mut self, settings: &RouteSettings<'a>, scope: &str) -> Vec<RouteFilter> {
        let mut filters = Vec::new();
        for (key, node) in &settings.extensions {
            let factory = self.factory(key).filter(|factory| factory.phase == Phase::Rewrite);
            let Some(factory) = factory else { continue };
            if let Ok(Some(filter)) = self.extension(scope, |cx| (factory.build)(node, cx)) {
                filters.push(RouteFilter { name: factory.name, phase: factory.phase, filter });
            }
        }
        filters
    }

    fn factory(&self, key: &Key) -> Option<&'a FilterFactory> {
        self.builder.filters.iter().find(|factory| factory.name == key.name).copied()
    }

    /// Reports a route whose requests have no answer, or more than one.
    fn one_answer(&mut self, route: &Spanned<Route>, responders: &[(&Key, &Node)]) {
        let target = route.target().map(place_of);
        match (target, responders) {
            // A key that was to be its target may be one that could not be read.
            (None, []) if self.loaded.mistakes.touch(route.span) => {}
            (None, []) => {
                let error = Diagnostic::error("this route sends requests nowhere").at(route.span, "");
                self.push(error.help(format!("add `to`, `cluster` or `split`{}", self.responders())));
            }
            (Some((target, at)), [(key, _), ..]) => {
                let message =
                    format!("the requests of this route have two answers: `{target}` and `{}`", key.name);
                self.push(two(message, (&key.name, key.span), (target, at)));
            }
            (None, [(first, _), (second, _), ..]) => {
                let message = format!(
                    "the requests of this route have two answers: `{}` and `{}`",
                    first.name, second.name
                );
                self.push(two(message, (&second.name, second.span), (&first.name, first.span)));
            }
            _ => {}
        }
    }

    /// The filters that answer requests, for a help line.
    fn responders(&self) -> String {
        let names = self.builder.filters.iter().filter(|factory| factory.phase == Phase::Respond);
        let names: Vec<String> = names.map(|factory| format!("`{}`", factory.name)).collect();
        match names.as_slice() {
            [] => String::new(),
            names => format!(", or one of {}", names.join(", ")),
        }
    }
}

fn two(message: String, (again, at): (&str, Span), (first, before): (&str, Span)) -> Diagnostic {
    let error =
        Diagnostic::error(message).at(at, format!("`{again}` here")).at(before, format!("`{first}` here"));
    error.help(format!("keep one; `{again} = \"off\"` on the route takes an inherited one away"))
}

/// What a target is called and where it is written.
fn place_of(target: Target<'_>) -> (&'static str, Span) {
    match target {
        Target::To(to) => ("to", to.first().map_or(Span::NONE, |first| first.span)),
        Target::Cluster(name) => ("cluster", name.span),
        Target::Split(split) => ("split", split.span),
    }
}
