//! The JSON Schema and the manual say all that can be written.

use serde_json::Value as Json;

use crate::schema::{Kind, Table};
use crate::{Config, Decode, Known, Schema, json_schema, reference};

crate::section! {
    /// Changes the path.
    struct Rewrite {
        /// What to take away.
        pub strip_prefix: Option<String>,
    }
}

/// Every table of a schema.
fn tables<'s>(schema: &'s Schema, found: &mut Vec<&'s Table>) {
    match &schema.kind {
        Kind::List(inner) | Kind::OneOrMany(inner) | Kind::Map(inner) => tables(inner, found),
        Kind::AnyOf(all) => all.iter().for_each(|one| tables(one, found)),
        Kind::Table(table) => {
            found.push(table);
            table.fields.iter().for_each(|field| tables(&field.schema, found));
        }
        _ => {}
    }
}

/// Every `$ref` of a schema leads somewhere.
fn references(json: &Json, found: &mut Vec<String>) {
    match json {
        Json::Object(object) => {
            found.extend(object.get("$ref").and_then(Json::as_str).map(str::to_owned));
            object.values().for_each(|value| references(value, found));
        }
        Json::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn every_key_is_documented_and_stands_in_both() {
    let (schema, root) = (json_schema(&Known::default()), Config::schema());
    let text = reference(&Known::default());
    let mut all = Vec::new();
    tables(&root, &mut all);
    assert!(all.len() > 15);
    for table in all {
        assert!(!table.doc.is_empty(), "{}", table.name);
        let properties = match table.name {
            "Config" => &schema["properties"],
            name => &schema["$defs"][name]["properties"],
        };
        for field in &table.fields {
            assert!(!field.doc.is_empty(), "{}.{}", table.name, field.key);
            assert!(properties.get(&field.key).is_some(), "{}.{}", table.name, field.key);
            assert!(text.contains(&format!("**`{}`**", field.key)), "{}.{}", table.name, field.key);
        }
    }
    let mut found = Vec::new();
    references(&schema, &mut found);
    for reference in found {
        let path = reference.strip_prefix('#').expect("a local reference");
        assert!(schema.pointer(path).is_some(), "{reference}");
    }
}

#[test]
fn extensions_stand_in_their_places() {
    let filters = [("rewrite", Rewrite::schema())];
    let balancers = [("random", Rewrite::schema())];
    let probes = [("http", Rewrite::schema())];
    let known = Known { filters: &filters, balancers: &balancers, probes: &probes };
    let schema = json_schema(&known);
    for table in ["Route", "Bundle"] {
        assert_eq!(schema["$defs"][table]["additionalProperties"], Json::Bool(false));
        assert_eq!(schema["$defs"][table]["properties"]["rewrite"]["description"], "Changes the path.");
    }
    assert_eq!(schema["$defs"]["Rewrite2"]["required"][0], "policy");
    let health = &schema["$defs"]["Health"];
    assert_eq!(health["additionalProperties"], Json::Bool(false));
    let option = &health["properties"]["strip_prefix"];
    assert_eq!(option["description"], "Of the probe `http`. What to take away.");
    let text = reference(&known);
    assert!(
        text.matches("## `[route.rewrite]`").count() == 1 && text.contains("`random`: Changes the path."),
        "{text}"
    );
}

#[test]
fn bounds_and_defaults_are_told() {
    let schema = json_schema(&Known::default());
    assert_eq!(schema["properties"]["workers"]["anyOf"][0]["maximum"], 256);
    assert_eq!(schema["$defs"]["Timeouts"]["properties"]["head"]["default"], "15s");
    assert_eq!(schema["$defs"]["Endpoint"]["required"][0], "address");
}
