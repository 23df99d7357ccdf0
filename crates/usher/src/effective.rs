//! A config as it would be served, in one text: included files merged, variables replaced, secrets hidden, and what is a
//! default left out. What is printed can be read again, but for the secrets.

mod section;
mod toml;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value as Json};
use usher_config::schema::{Kind, Table};
use usher_config::{Config, Decode, Key, Loaded, Node, Schema};
use usher_extensions::filters::FILTERS;

use crate::cli::PrintFormat;

/// The config as a text.
pub(crate) fn text(loaded: &Loaded, format: PrintFormat) -> String {
    let schema = Config::schema();
    let tree = tree(loaded, &schema);
    match format {
        PrintFormat::Json => format!("{:#}\n", Json::Object(tree)),
        PrintFormat::Toml => toml::document(&tree, &schema),
    }
}

fn tree(loaded: &Loaded, schema: &Schema) -> Map<String, Json> {
    let config = &loaded.config;
    let mut root = config.encode();
    put_filters(&mut root["defaults"], &config.defaults.extensions, loaded);
    for (at, route) in config.routes.iter().enumerate() {
        put_filters(&mut root["route"][at], &route.extensions, loaded);
    }
    for (name, bundle) in config.bundles.iter() {
        put_filters(&mut root["bundle"][&name.name], &bundle.extensions, loaded);
    }
    let Json::Object(mut root) = tidy(root, schema) else { return Map::new() };
    // Their content stands here.
    root.remove("include");
    root.into_iter().map(|(key, value)| (key, literal(value))).collect()
}

/// The sections of filters, which the config itself holds as they were written.
fn put_filters(table: &mut Json, sections: &[(Key, Node)], loaded: &Loaded) {
    for (name, node) in sections {
        let factory = FILTERS.iter().find(|factory| factory.name == name.name);
        let off = node.as_str() == Some("off");
        if let Some(factory) = factory.filter(|_| !off) {
            table[&name.name] = section::shown(node, &(factory.schema)(), &loaded.context());
        }
    }
}

/// Leaves out what is a default, and writes `{ address = "…" }` as `"…"` where that means the same.
fn tidy(value: Json, schema: &Schema) -> Json {
    match (&schema.kind, value) {
        (Kind::Table(table), Json::Object(entries)) => short(tidy_table(entries, table), table),
        (Kind::List(inner), Json::Array(items)) => {
            items.into_iter().map(|item| tidy_item(item, inner)).collect()
        }
        (Kind::OneOrMany(inner), Json::Array(items)) => {
            items.into_iter().map(|item| tidy(item, inner)).collect()
        }
        (Kind::OneOrMany(inner), one) => tidy(one, inner),
        (Kind::Map(inner), Json::Object(entries)) => {
            Json::Object(entries.into_iter().map(|(key, value)| (key, tidy_item(value, inner))).collect())
        }
        (Kind::AnyOf(all), value) => match all.iter().find_map(|one| shape(one, &value)) {
            Some(schema) => tidy(value, schema),
            None => value,
        },
        (_, value) => value,
    }
}

/// Of several shapes, the one that a table or list has.
fn shape<'s>(schema: &'s Schema, value: &Json) -> Option<&'s Schema> {
    match (&schema.kind, value) {
        (Kind::Table(_) | Kind::Map(_), Json::Object(_))
        | (Kind::List(_) | Kind::OneOrMany(_), Json::Array(_)) => Some(schema),
        (Kind::OneOrMany(inner), Json::Object(_)) => shape(inner, value),
        (Kind::AnyOf(all), _) => all.iter().find_map(|one| shape(one, value)),
        _ => None,
    }
}

/// What stands in a list of tables, or below a name, stays a table.
fn tidy_item(value: Json, schema: &Schema) -> Json {
    match (&schema.kind, value) {
        (Kind::Table(table), Json::Object(entries)) => Json::Object(tidy_table(entries, table)),
        (_, value) => tidy(value, schema),
    }
}

fn tidy_table(entries: Map<String, Json>, table: &Table) -> Map<String, Json> {
    let field = |key: &str| table.fields.iter().find(|field| field.key == key);
    let is_default = |key: &str, value: &Json| {
        is_nothing(value) || field(key).is_some_and(|field| field.default.as_ref() == Some(value))
    };
    let written = entries.into_iter().filter(|(key, value)| !is_default(key, value));
    written
        .map(|(key, value)| {
            let value = match field(&key) {
                Some(field) => tidy(value, &field.schema),
                None => value,
            };
            (key, value)
        })
        .collect()
}

fn is_nothing(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Array(items) => items.is_empty(),
        Json::Object(entries) => entries.is_empty(),
        _ => false,
    }
}

/// Anything but a table is short for a table with one certain key.
fn short(mut entries: Map<String, Json>, table: &Table) -> Json {
    let only = table.bare.filter(|_| entries.len() == 1).and_then(|key| entries.get(key));
    match only.filter(|value| !value.is_object()).cloned() {
        Some(value) => value,
        None => Json::Object(std::mem::take(&mut entries)),
    }
}

/// Texts in which no variable is left: `${` stands for itself.
fn literal(value: Json) -> Json {
    match value {
        Json::String(text) => Json::String(text.replace("${", "$${")),
        Json::Array(items) => items.into_iter().map(literal).collect(),
        Json::Object(entries) => {
            Json::Object(entries.into_iter().map(|(key, value)| (key, literal(value))).collect())
        }
        value => value,
    }
}
