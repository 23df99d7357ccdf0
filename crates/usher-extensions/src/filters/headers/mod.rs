//! `headers`: sets, adds, changes and removes fields of requests and responses.
//!
//! Everything is parsed and checked when the config is built: names are tokens, plain values are field values, and
//! the fields by which messages are framed and routed cannot be touched. A value with variables is rendered into one
//! buffer and checked once more when it is written, so no request can add a line to a head.

pub mod config;
mod replace;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use usher_api::{BuildContext, Exchange, Filter, FilterFactory, Flow, Phase};
use usher_config::{Context, Decode, Diagnostic, Node};

use self::config::HeaderEdits;
use self::replace::Replace;
use super::fields::{Direction, FieldText, check_name};

/// The filter `headers`.
pub const FACTORY: FilterFactory = FilterFactory {
    name: "headers",
    phase: Phase::Rewrite,
    summary: "set, add and remove header fields of requests and responses",
    schema: config::Headers::schema,
    build,
};

fn build(node: &Node, cx: &mut BuildContext<'_, '_>) -> Option<Arc<dyn Filter>> {
    let config = config::Headers::decode(node, cx.config)?;
    let own = Both::new(&config, cx.config);
    if own.is_empty() && config.inherit != Some(true) && !cx.config.has_errors() {
        cx.config.warn(node.span, "`headers` changes nothing");
    }
    let mut layers = vec![own];
    let mut inherit = config.inherit;
    for outer in cx.route.outer {
        if inherit != Some(true) {
            break;
        }
        let config = config::Headers::decode(outer, cx.config)?;
        let mut theirs = Both::new(&config, cx.config);
        layers.iter().for_each(|nearer| theirs.yield_to(nearer));
        layers.push(theirs);
        inherit = config.inherit;
    }
    if let ([own], [outer, ..], None) = (&layers[..], cx.route.outer, inherit) {
        warn_of_loss(own, (node, outer), cx.config);
    }
    layers.reverse();
    Some(Arc::new(Headers { layers }))
}

/// A section takes the place of another as a whole; what stands only in that one is easily forgotten.
fn warn_of_loss(own: &Both, (node, outer): (&Node, &Node), cx: &mut Context<'_>) {
    let Some(config) = config::Headers::decode(outer, cx) else { return };
    let theirs = Both::new(&config, cx);
    let of = |head: &str, names: Vec<Box<str>>| {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        (!names.is_empty()).then(|| format!("{} of {head}", names.join(", ")))
    };
    let lost = [
        of("requests", theirs.request.names_beside(&own.request)),
        of("responses", theirs.response.names_beside(&own.response)),
    ];
    let lost: Vec<String> = lost.into_iter().flatten().collect();
    if lost.is_empty() {
        return;
    }
    let message = format!("this `headers` replaces another as a whole; lost is {}", lost.join(", and "));
    let warning =
        Diagnostic::warning(message).at(node.span, "this one counts").at(outer.span, "this one does not");
    cx.push(
        warning
            .help("write `inherit = true` in the first to have both, or `inherit = false` if this is meant"),
    );
}

/// The edits of one section.
struct Both {
    request: Edits,
    response: Edits,
}

impl Both {
    fn new(config: &config::Headers, cx: &mut Context<'_>) -> Self {
        Self {
            request: Edits::new(&config.request, Direction::Request, cx),
            response: Edits::new(&config.response, Direction::Response, cx),
        }
    }

    fn is_empty(&self) -> bool {
        self.request.names().is_empty() && self.response.names().is_empty()
    }

    /// What a nearer section says of a name comes before a default of this one.
    fn yield_to(&mut self, nearer: &Both) {
        self.request.yield_to(&nearer.request);
        self.response.yield_to(&nearer.response);
    }
}

/// Edits of both heads.
struct Headers {
    /// The farthest section first, the route's own last.
    layers: Vec<Both>,
}

impl Filter for Headers {
    fn on_request(&self, exchange: &mut Exchange) -> Flow {
        self.layers.iter().for_each(|layer| layer.request.apply(exchange));
        Flow::Continue
    }

    fn on_response(&self, exchange: &mut Exchange) {
        self.layers.iter().for_each(|layer| layer.response.apply(exchange));
    }

    fn request_fields(&self) -> Vec<Box<str>> {
        self.layers.iter().flat_map(|layer| layer.request.names()).collect()
    }

    fn response_fields(&self) -> Vec<Box<str>> {
        self.layers.iter().flat_map(|layer| layer.response.names()).collect()
    }

    fn describe(&self) -> String {
        let mut parts = Vec::new();
        for layer in &self.layers {
            layer.request.describe("request", &mut parts);
            layer.response.describe("response", &mut parts);
        }
        parts.join("; ")
    }
}

/// The edits of one head, in the order in which they are made.
struct Edits {
    direction: Direction,
    remove: Vec<Box<str>>,
    replace: Vec<Replace>,
    set: Vec<FieldText>,
    add: Vec<FieldText>,
    default: Vec<FieldText>,
}

impl Edits {
    fn new(config: &HeaderEdits, direction: Direction, cx: &mut Context<'_>) -> Self {
        let removed = config.remove.iter().filter(|name| check_name(name, name.span, direction, cx));
        let remove = removed.map(|name| name.value.as_str().into()).collect();
        let replace = config.replace.iter();
        let replace = replace.filter_map(|(key, rules)| Replace::new(key, rules, direction, cx)).collect();
        let set = config
            .set
            .iter()
            .filter_map(|(key, value)| FieldText::new((&key.name, key.span), value, direction, cx));
        let set = set.collect();
        let mut add = Vec::new();
        for (key, values) in &config.add {
            add.extend(
                values.iter().filter_map(|value| FieldText::new((&key.name, key.span), value, direction, cx)),
            );
        }
        let default = config.default.iter();
        let default =
            default.filter_map(|(key, value)| FieldText::new((&key.name, key.span), value, direction, cx));
        Self { direction, remove, replace, set, add, default: default.collect() }
    }

    fn names(&self) -> Vec<Box<str>> {
        let written = self.set.iter().chain(&self.add).chain(&self.default).map(|field| field.name.clone());
        let replaced = self.replace.iter().map(|field| field.name.clone());
        self.remove.iter().cloned().chain(replaced).chain(written).collect()
    }

    /// The names that the other has nothing for.
    fn names_beside(&self, other: &Self) -> Vec<Box<str>> {
        let others = other.names();
        let mut found: Vec<Box<str>> = Vec::new();
        for name in self.names() {
            if !others.iter().chain(&found).any(|known| known.eq_ignore_ascii_case(&name)) {
                found.push(name);
            }
        }
        found
    }

    fn yield_to(&mut self, nearer: &Self) {
        let decided =
            nearer.remove.iter().chain(nearer.set.iter().chain(&nearer.default).map(|field| &field.name));
        let decided: Vec<&Box<str>> = decided.collect();
        self.default.retain(|field| !decided.iter().any(|name| name.eq_ignore_ascii_case(&field.name)));
    }

    fn apply(&self, exchange: &mut Exchange) {
        let direction = self.direction;
        for name in &self.remove {
            direction.remove(exchange, name);
        }
        for field in &self.replace {
            field.apply(direction, exchange);
        }
        let mut spare = String::new();
        for field in &self.set {
            let value = field.value(exchange, &mut spare);
            direction.remove(exchange, &field.name);
            write(direction.fields(exchange), field, value);
        }
        for field in &self.add {
            let value = field.value(exchange, &mut spare);
            write(direction.fields(exchange), field, value);
        }
        for field in &self.default {
            if direction.fields(exchange).get_named(field.name.as_bytes()).is_none() {
                let value = field.value(exchange, &mut spare);
                write(direction.fields(exchange), field, value);
            }
        }
    }

    fn describe(&self, head: &str, parts: &mut Vec<String>) {
        let mut note = |verb: &str, names: Vec<&str>| {
            if !names.is_empty() {
                parts.push(format!("{head}: {verb} {}", names.join(", ")));
            }
        };
        let names = |fields: &[FieldText]| -> Vec<String> {
            fields.iter().map(|field| field.name.to_string()).collect()
        };
        note("remove", self.remove.iter().map(|name| &**name).collect());
        note("replace", self.replace.iter().map(|field| &*field.name).collect());
        for (verb, fields) in [("set", &self.set), ("add", &self.add), ("default", &self.default)] {
            note(verb, names(fields).iter().map(String::as_str).collect());
        }
    }
}

/// Adds a field. One that cannot be written (a head past its limit) is left out.
fn write(fields: &mut usher_http::Fields, field: &FieldText, value: Option<&str>) {
    if let Some(value) = value {
        let _ = fields.add(field.name.as_bytes(), value.as_bytes());
    }
}
