//! JSON Schema (draft 2020-12) for editors and for checking a config elsewhere.

use serde_json::{Map, Value as Json, json};

use super::{Field, Kind, Known, Schema, Table, complete};

/// The JSON Schema of a config, with the sections of the extensions that are known.
pub fn json_schema(known: &Known<'_>) -> Json {
    let mut writer = Writer { definitions: Map::new() };
    let mut root = writer.table(&complete(known));
    if let Json::Object(object) = &mut root {
        object.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        object.insert("title".to_owned(), json!("Usher config"));
        writer.definitions.insert(
            "Substituted".to_owned(),
            json!({ "description": "A variable of the environment.", "type": "string", "pattern": r"^\$\{[^}]+\}$" }),
        );
        object.insert("$defs".to_owned(), Json::Object(writer.definitions));
    }
    root
}

struct Writer {
    /// Tables, each once. Two different ones of the same name get a number behind it.
    definitions: Map<String, Json>,
}

/// A value that may also come from a variable: numbers, truth values and names.
fn or_substituted(schema: &Json) -> Json {
    json!({ "anyOf": [schema, { "$ref": "#/$defs/Substituted" }] })
}

impl Writer {
    fn schema(&mut self, schema: &Schema, field: Option<&Field>) -> Json {
        match &schema.kind {
            Kind::Any => json!({}),
            Kind::Bool => or_substituted(&json!({ "type": "boolean" })),
            Kind::Integer { min, max } => or_substituted(&integer(*min, *max, field)),
            Kind::Number => or_substituted(&json!({ "type": "number" })),
            Kind::Text { what, examples } if examples.is_empty() => {
                json!({ "type": "string", "title": what })
            }
            Kind::Text { what, examples } => json!({ "type": "string", "title": what, "examples": examples }),
            Kind::Names(names) => {
                let names: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
                or_substituted(&json!({ "enum": names }))
            }
            Kind::List(inner) => json!({ "type": "array", "items": self.schema(inner, None) }),
            Kind::OneOrMany(inner) => {
                let inner = self.schema(inner, field);
                json!({ "anyOf": [inner, { "type": "array", "minItems": 1, "items": inner }] })
            }
            Kind::Map(inner) => json!({ "type": "object", "additionalProperties": self.schema(inner, None) }),
            Kind::Table(table) => self.reference(table),
            Kind::AnyOf(all) => {
                let all: Vec<Json> = all.iter().map(|one| self.schema(one, field)).collect();
                json!({ "anyOf": all })
            }
        }
    }

    /// A reference to a table's definition, and its bare form beside it.
    fn reference(&mut self, table: &Table) -> Json {
        let definition = self.table(table);
        let same = |definitions: &Map<String, Json>, name: &str| {
            definitions.get(name).is_none_or(|old| *old == definition)
        };
        let numbered = (2..).map(|number| format!("{}{number}", table.name));
        let mut names = std::iter::once(table.name.to_owned()).chain(numbered);
        let name = names.find(|name| same(&self.definitions, name)).unwrap_or_default();
        let reference = json!({ "$ref": format!("#/$defs/{name}") });
        self.definitions.insert(name, definition);
        let bare = table.bare.and_then(|bare| table.fields.iter().find(|field| field.key == bare));
        match bare {
            Some(field) => json!({ "anyOf": [self.schema(&field.schema, Some(field)), reference] }),
            None => reference,
        }
    }

    fn table(&mut self, table: &Table) -> Json {
        let mut properties = Map::new();
        for field in &table.fields {
            let mut schema = self.schema(&field.schema, Some(field));
            if let Json::Object(object) = &mut schema {
                object.insert("description".to_owned(), json!(field.doc));
                if let Some(default) = &field.default {
                    object.insert("default".to_owned(), default.clone());
                }
            }
            properties.insert(field.key.clone(), schema);
        }
        let required: Vec<&str> =
            table.fields.iter().filter(|field| field.required).map(|field| field.key.as_str()).collect();
        let mut object = json!({
            "type": "object",
            "description": table.doc,
            "properties": properties,
            "additionalProperties": table.rest.is_some(),
        });
        if !required.is_empty() {
            object["required"] = json!(required);
        }
        object
    }
}

/// The bounds of the field count before those of the type.
fn integer(min: Option<i64>, max: Option<i64>, field: Option<&Field>) -> Json {
    let mut schema = json!({ "type": "integer" });
    let told = |bound: Option<&Json>| bound.and_then(Json::as_i64);
    if let Some(min) = told(field.and_then(|field| field.min.as_ref())).or(min) {
        schema["minimum"] = json!(min);
    }
    if let Some(max) = told(field.and_then(|field| field.max.as_ref())).or(max) {
        schema["maximum"] = json!(max);
    }
    schema
}
