//! What may be written, as data: the JSON Schema and the manual are made from it.

mod json;
mod markdown;

pub use json::json_schema;
pub use markdown::reference;

use serde_json::Value as Json;

use crate::decode::Decode;

/// What may stand in one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// Its shape.
    pub kind: Kind,
}

/// The shape of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Anything: the section is described by whoever reads it.
    Any,
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Integer {
        /// The least.
        min: Option<i64>,
        /// The greatest.
        max: Option<i64>,
    },
    /// A number.
    Number,
    /// A text of some form.
    Text {
        /// What it is: "a duration".
        what: &'static str,
        /// How it is written: `5s`.
        examples: Vec<&'static str>,
    },
    /// One of these names, each with what it means.
    Names(Vec<(String, String)>),
    /// A list.
    List(Box<Schema>),
    /// One, or a list of at least one.
    OneOrMany(Box<Schema>),
    /// A table whose keys the user chooses.
    Map(Box<Schema>),
    /// A table with known keys.
    Table(Box<Table>),
    /// Any of several shapes.
    AnyOf(Vec<Schema>),
}

/// A table with known keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The name of its type, by which other tables refer to it.
    pub name: &'static str,
    /// What it is for.
    pub doc: String,
    /// Its keys.
    pub fields: Vec<Field>,
    /// The key that is meant when something else than a table is written.
    pub bare: Option<&'static str>,
    /// Other keys are allowed: what they are.
    pub rest: Option<String>,
}

/// A key of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// The key.
    pub key: String,
    /// What it does.
    pub doc: String,
    /// What may be written.
    pub schema: Schema,
    /// Whether it must be there.
    pub required: bool,
    /// What holds when it is missing, as it would be written.
    pub default: Option<Json>,
    /// The least value, as it would be written.
    pub min: Option<Json>,
    /// The greatest value, as it would be written.
    pub max: Option<Json>,
}

impl Schema {
    /// A schema of this shape.
    pub fn of(kind: Kind) -> Self {
        Self { kind }
    }

    /// A text of some form.
    pub fn text(what: &'static str) -> Self {
        Self::of(Kind::Text { what, examples: Vec::new() })
    }

    /// Adds an example to a text.
    #[must_use]
    pub fn example(mut self, text: &'static str) -> Self {
        if let Kind::Text { examples, .. } = &mut self.kind {
            examples.push(text);
        }
        self
    }

    /// One of several names, each with its doc comment.
    pub fn names(names: &[(&str, &str)]) -> Self {
        Self::of(Kind::Names(names.iter().map(|(name, doc)| ((*name).to_owned(), doc_text(doc))).collect()))
    }

    /// A table.
    pub fn table(table: Table) -> Self {
        Self::of(Kind::Table(Box::new(table)))
    }

    /// Any of several.
    pub fn any_of(schemas: Vec<Schema>) -> Self {
        Self::of(Kind::AnyOf(schemas))
    }

    /// The table, if it is one.
    pub fn as_table(&self) -> Option<&Table> {
        match &self.kind {
            Kind::Table(table) => Some(table),
            _ => None,
        }
    }
}

impl Table {
    /// A table without keys; `doc` is a raw doc comment.
    pub fn new(name: &'static str, doc: &str) -> Self {
        Self { name, doc: doc_text(doc), fields: Vec::new(), bare: None, rest: None }
    }

    /// Adds a key; `doc` is a raw doc comment.
    pub fn push<T: Decode>(
        &mut self,
        key: &str,
        doc: &str,
        default: Option<T>,
        (min, max): (Option<Json>, Option<Json>),
    ) {
        let required = default.is_none();
        let default = default.map(|value| value.encode()).filter(|value| !is_empty(value));
        let (key, doc, schema) = (key.to_owned(), doc_text(doc), T::schema());
        self.fields.push(Field { key, doc, schema, required, default, min, max });
    }
}

/// Whether a default is "nothing", which is not worth telling.
fn is_empty(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Array(items) => items.is_empty(),
        Json::Object(entries) => entries.is_empty(),
        _ => false,
    }
}

/// The text of a doc comment, without the blank that follows `///`.
pub fn doc_text(raw: &str) -> String {
    let lines: Vec<&str> = raw.lines().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    lines.join("\n").trim().to_owned()
}

/// What the binary knows beyond this crate: the keys that extensions add.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// Filters: keys of a route, of `defaults` and of a bundle.
    pub filters: &'a [(&'a str, Schema)],
    /// Balancers: names for `balance`, and the options of each.
    pub balancers: &'a [(&'a str, Schema)],
    /// Probes: names for `probe` of a cluster's `health`, and the options of each.
    pub probes: &'a [(&'a str, Schema)],
}

/// The schema of a whole config, with the sections of extensions in their places.
pub(crate) fn complete(known: &Known<'_>) -> Table {
    let mut root = crate::Config::schema().as_table().cloned().unwrap_or_else(|| Table::new("Config", ""));
    for field in &mut root.fields {
        extend(&mut field.schema, known);
    }
    root
}

/// Adds the filters to every table that carries them, and the balancers to clusters.
fn extend(schema: &mut Schema, known: &Known<'_>) {
    match &mut schema.kind {
        Kind::List(inner) | Kind::OneOrMany(inner) | Kind::Map(inner) => extend(inner, known),
        Kind::AnyOf(all) => all.iter_mut().for_each(|one| extend(one, known)),
        Kind::Table(table) => {
            if table.name == "Health" {
                return probes(table, known.probes);
            }
            if table.rest.is_some() && !known.filters.is_empty() {
                table.rest = None;
                table.fields.extend(known.filters.iter().map(|(key, schema)| filter(key, schema)));
            }
            for field in &mut table.fields {
                match (table.name, field.key.as_str()) {
                    ("Cluster", "balance") => field.schema = balance(known.balancers),
                    _ => extend(&mut field.schema, known),
                }
            }
        }
        _ => {}
    }
}

fn filter(key: &str, schema: &Schema) -> Field {
    let doc = schema.as_table().map(|table| table.doc.clone()).unwrap_or_default();
    let off = Schema::names(&[("off", "Takes away what `defaults` or a bundle set.")]);
    let schema = Schema::any_of(vec![schema.clone(), off]);
    Field { key: key.to_owned(), doc, schema, required: false, default: None, min: None, max: None }
}

/// A balancer's name, or a table with the name as `policy` and the options of that balancer.
fn balance(balancers: &[(&str, Schema)]) -> Schema {
    let mut all: Vec<Schema> = vec![if balancers.is_empty() {
        Schema::text("the name of a balancer")
    } else {
        let doc = |schema: &Schema| schema.as_table().map(|table| table.doc.clone()).unwrap_or_default();
        let names = balancers.iter().map(|(name, schema)| ((*name).to_owned(), doc(schema)));
        Schema::of(Kind::Names(names.collect()))
    }];
    for (name, schema) in balancers {
        let Some(table) = schema.as_table() else { continue };
        let mut table = table.clone();
        let policy = Schema::of(Kind::Names(vec![((*name).to_owned(), table.doc.clone())]));
        let doc = "The name of the balancer.".to_owned();
        let key = "policy".to_owned();
        table.fields.insert(
            0,
            Field { key, doc, schema: policy, required: true, default: None, min: None, max: None },
        );
        all.push(Schema::table(table));
    }
    Schema::any_of(all)
}

/// Adds the names of the probes to `health` of a cluster, and behind the keys of all the options of each.
fn probes(health: &mut Table, probes: &[(&str, Schema)]) {
    if probes.is_empty() {
        return;
    }
    health.rest = None;
    let doc = |schema: &Schema| schema.as_table().map(|table| table.doc.clone()).unwrap_or_default();
    let names = probes.iter().map(|(name, schema)| ((*name).to_owned(), doc(schema)));
    if let Some(probe) = health.fields.iter_mut().find(|field| field.key == "probe") {
        probe.schema = Schema::of(Kind::Names(names.collect()));
    }
    for (name, schema) in probes {
        for field in schema.as_table().map(|table| &table.fields).into_iter().flatten() {
            let needed = if field.required { ", which needs it" } else { "" };
            let doc = format!("Of the probe `{name}`{needed}. {}", field.doc);
            health.fields.push(Field { doc, required: false, ..field.clone() });
        }
    }
}
