//! The section of an extension, by its schema: which texts are secrets, paths, or numbers out of the environment.

use serde_json::{Value as Json, json};
use usher_config::schema::{Field, Kind, Table};
use usher_config::{Context, Decode, Node, Schema, Value};

/// What is written in place of a secret.
const HIDDEN: &str = "***";

/// A value as it would be written in one file with all others.
pub(super) fn shown(node: &Node, schema: &Schema, cx: &Context<'_>) -> Json {
    match (&schema.kind, &node.value) {
        (Kind::Text { what: "secret", .. }, _) => json!(HIDDEN),
        // Relative to the file that it stood in.
        (Kind::Text { what: "path", .. }, Value::String(text)) => {
            json!(cx.resolve(node.span, text).display().to_string())
        }
        (Kind::Integer { .. } | Kind::Number, _) if node.as_integer().is_some() => json!(node.as_integer()),
        (Kind::Bool, _) if node.as_bool().is_some() => json!(node.as_bool()),
        (Kind::List(inner) | Kind::OneOrMany(inner), Value::List(items)) => {
            items.iter().map(|item| shown(item, inner, cx)).collect()
        }
        (Kind::OneOrMany(inner), _) => shown(node, inner, cx),
        (Kind::Map(inner), Value::Table(entries)) => {
            let entries = entries.iter().map(|(key, node)| (key.name.clone(), shown(node, inner, cx)));
            Json::Object(entries.collect())
        }
        (Kind::Table(table), Value::Table(entries)) => {
            let of_field = |name: &str, node: &Node| match field(table, name) {
                Some(field) => shown(node, &field.schema, cx),
                None => node.encode(),
            };
            let entries = entries.iter().map(|(key, node)| (key.name.clone(), of_field(&key.name, node)));
            Json::Object(entries.collect())
        }
        (Kind::Table(table), _) => match bare(table) {
            Some(field) => shown(node, &field.schema, cx),
            None => node.encode(),
        },
        (Kind::AnyOf(all), _) => match chosen(all, node) {
            Some(schema) => shown(node, schema, cx),
            None => node.encode(),
        },
        _ => node.encode(),
    }
}

/// Of several shapes, the one that is meant. Names come first, as decoding compares with them first.
fn chosen<'s>(all: &'s [Schema], node: &Node) -> Option<&'s Schema> {
    let named = all.iter().find(|one| matches!(one.kind, Kind::Names(_)) && fits(one, node));
    named.or_else(|| all.iter().find(|one| fits(one, node)))
}

fn fits(schema: &Schema, node: &Node) -> bool {
    match (&schema.kind, &node.value) {
        (Kind::Names(names), Value::String(text)) => names.iter().any(|(name, _)| name == text),
        (Kind::Text { .. }, Value::String(_)) => true,
        (Kind::Integer { .. }, _) => node.as_integer().is_some(),
        (Kind::Number, Value::Float(_)) => true,
        (Kind::Number, _) => node.as_integer().is_some(),
        (Kind::Bool, _) => node.as_bool().is_some(),
        (Kind::List(_) | Kind::OneOrMany(_), Value::List(_)) => true,
        (Kind::OneOrMany(inner), _) => fits(inner, node),
        (Kind::Map(_) | Kind::Table(_), Value::Table(_)) => true,
        (Kind::Table(table), _) => bare(table).is_some_and(|field| fits(&field.schema, node)),
        (Kind::AnyOf(all), _) => all.iter().any(|one| fits(one, node)),
        (Kind::Any, _) => true,
        _ => false,
    }
}

fn field<'t>(table: &'t Table, name: &str) -> Option<&'t Field> {
    table.fields.iter().find(|field| field.key == name)
}

/// The key that anything else than a table is the value of.
fn bare(table: &Table) -> Option<&Field> {
    field(table, table.bare?)
}
