//! `headers`: sets, adds and removes fields of requests and responses.
//!
//! Everything is parsed and checked when the config is built: names are tokens, plain values are field values, and
//! the fields by which messages are framed and routed cannot be touched. A value with variables is rendered into one
//! buffer and checked once more when it is written, so no request can add a line to a head.

pub mod config;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use usher_api::{BuildContext, Exchange, Filter, FilterFactory, Flow, Phase};
use usher_config::{Context, Decode, Node};

use self::config::HeaderEdits;
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
    let request = Edits::new(&config.request, Direction::Request, cx.config);
    let response = Edits::new(&config.response, Direction::Response, cx.config);
    if request.is_empty() && response.is_empty() && !cx.config.has_errors() {
        cx.config.warn(node.span, "`headers` changes nothing");
    }
    Some(Arc::new(Headers { request, response }))
}

/// Edits of both heads.
struct Headers {
    request: Edits,
    response: Edits,
}

impl Filter for Headers {
    fn on_request(&self, exchange: &mut Exchange) -> Flow {
        self.request.apply(exchange);
        Flow::Continue
    }

    fn on_response(&self, exchange: &mut Exchange) {
        self.response.apply(exchange);
    }

    fn request_fields(&self) -> Vec<Box<str>> {
        self.request.names()
    }

    fn response_fields(&self) -> Vec<Box<str>> {
        self.response.names()
    }

    fn describe(&self) -> String {
        let mut parts = Vec::new();
        self.request.describe("request", &mut parts);
        self.response.describe("response", &mut parts);
        parts.join("; ")
    }
}

/// The edits of one head, in the order in which they are made.
struct Edits {
    direction: Direction,
    remove: Vec<Box<str>>,
    set: Vec<FieldText>,
    add: Vec<FieldText>,
    default: Vec<FieldText>,
}

impl Edits {
    fn new(config: &HeaderEdits, direction: Direction, cx: &mut Context<'_>) -> Self {
        let removed = config.remove.iter().filter(|name| check_name(name, name.span, direction, cx));
        let remove = removed.map(|name| name.value.as_str().into()).collect();
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
        Self { direction, remove, set, add, default: default.collect() }
    }

    fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty() && self.default.is_empty()
    }

    fn names(&self) -> Vec<Box<str>> {
        let written = self.set.iter().chain(&self.add).chain(&self.default).map(|field| field.name.clone());
        self.remove.iter().cloned().chain(written).collect()
    }

    fn apply(&self, exchange: &mut Exchange) {
        let direction = self.direction;
        for name in &self.remove {
            direction.remove(exchange, name);
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
