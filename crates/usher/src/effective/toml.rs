//! A config as TOML: sections in the order of the manual, and within a section one key a line.

use std::fmt::Write;

use serde_json::{Map, Value as Json};
use usher_config::Schema;
use usher_config::schema::{Kind, Table};

/// The whole config.
pub(super) fn document(root: &Map<String, Json>, schema: &Schema) -> String {
    let (mut lines, mut sections) = (String::new(), String::new());
    for (key, value) in ordered(root, schema.as_table()) {
        let below = schema.as_table().and_then(|table| table.fields.iter().find(|field| field.key == *key));
        let below = below.and_then(|field| table_in(&field.schema));
        match value {
            Json::Array(items) if items.iter().all(Json::is_object) => {
                items
                    .iter()
                    .for_each(|item| section(&mut sections, &format!("[[{}]]", name(key)), item, below));
            }
            Json::Object(all) if matches!(key.as_str(), "cluster" | "bundle") => {
                for (one, item) in all {
                    section(&mut sections, &format!("[{}.{}]", name(key), name(one)), item, below);
                }
            }
            Json::Object(_) => section(&mut sections, &format!("[{}]", name(key)), value, below),
            value => entry(&mut lines, key, value),
        }
    }
    let gap = if lines.is_empty() { 1 } else { 0 };
    lines + sections.get(gap..).unwrap_or_default()
}

fn section(out: &mut String, header: &str, value: &Json, table: Option<&Table>) {
    let _ = writeln!(out, "\n{header}");
    for (key, value) in value.as_object().into_iter().flat_map(|entries| ordered(entries, table)) {
        entry(out, key, value);
    }
}

fn entry(out: &mut String, key: &str, value: &Json) {
    let _ = writeln!(out, "{} = {}", name(key), inline(value));
}

/// As the manual orders the keys; what it does not name comes last.
fn ordered<'m>(entries: &'m Map<String, Json>, table: Option<&Table>) -> Vec<(&'m String, &'m Json)> {
    let place = |key: &str| {
        let known = table.and_then(|table| table.fields.iter().position(|field| field.key == key));
        known.unwrap_or(usize::MAX)
    };
    let mut all: Vec<_> = entries.iter().collect();
    all.sort_by_key(|(key, _)| place(key));
    all
}

/// The table that a value is, or is made of.
fn table_in(schema: &Schema) -> Option<&Table> {
    match &schema.kind {
        Kind::Table(table) => Some(table),
        Kind::List(inner) | Kind::OneOrMany(inner) | Kind::Map(inner) => table_in(inner),
        Kind::AnyOf(all) => all.iter().find_map(table_in),
        _ => None,
    }
}

fn inline(value: &Json) -> String {
    match value {
        Json::String(text) => quoted(text),
        Json::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Json::Object(entries) if entries.is_empty() => "{}".to_owned(),
        Json::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| format!("{} = {}", name(key), inline(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        // Numbers and truth values are written alike; nothing has been left out before.
        value => value.to_string(),
    }
}

/// A basic string. JSON's escapes are all TOML's too (TOML 1.0, "String"), but DEL must be escaped in addition.
fn quoted(text: &str) -> String {
    Json::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// A key, bare where it can be.
fn name(key: &str) -> String {
    let bare =
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if bare { key.to_owned() } else { quoted(key) }
}
