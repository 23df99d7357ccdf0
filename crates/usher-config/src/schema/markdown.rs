//! The reference page of the manual.

use std::fmt::Write;

use super::{Field, Kind, Known, Schema, Table, complete};
use crate::decode::table::plain;

/// The reference page, in Markdown: every section and key, with the sections of the extensions that are known.
pub fn reference(known: &Known<'_>) -> String {
    let root = complete(known);
    let mut writer = Writer { out: String::new(), told: Vec::new(), waiting: Vec::new() };
    let _ = writeln!(writer.out, "# Configuration reference\n\n{}\n", root.doc);
    writer.out.push_str(UNITS);
    writer.section("", &Table { doc: String::new(), ..root });
    writer.out.truncate(writer.out.trim_end().len());
    writer.out.push('\n');
    writer.out
}

const UNITS: &str = "\
Values with units are texts: durations `100ms`, `5s`, `1m30s`, `1h`; sizes `64KiB`, `10MB`, `1GiB`; rates `100/s`, \
`10/m`, `1000/h`; shares `12.5%`. In any text `${NAME}` is replaced by the environment variable of that name, \
`${NAME:-default}` has a default, and `$${` is a literal `${`.\n\n";

struct Writer {
    out: String,
    /// Tables that are written or waiting, each under the heading where it is used first.
    told: Vec<(String, Table)>,
    /// The tables to write below the current one.
    waiting: Vec<(String, Table)>,
}

impl Writer {
    /// A table under its heading, then the tables in it. The top level has no heading of its own.
    fn section(&mut self, heading: &str, table: &Table) {
        match heading {
            "" => self.out.push_str("## Top level\n\n"),
            _ => self.title(heading, table),
        }
        for field in &table.fields {
            self.field(heading, field);
        }
        if let Some(rest) = &table.rest {
            let _ = writeln!(self.out, "- *other keys*  \n  {}", continued(rest));
        }
        self.out.push('\n');
        for (heading, table) in std::mem::take(&mut self.waiting) {
            self.section(&heading, &table);
        }
    }

    fn title(&mut self, heading: &str, table: &Table) {
        let _ = writeln!(self.out, "## `{heading}`\n");
        if !table.doc.is_empty() {
            let _ = writeln!(self.out, "{}\n", table.doc);
        }
        if let Some(bare) = table.bare {
            let _ = writeln!(self.out, "Anything but a table is short for `{{ {bare} = … }}`.\n");
        }
    }

    fn field(&mut self, parent: &str, field: &Field) {
        let kind = self.kind(parent, &field.key, &field.schema);
        let mut facts = vec![kind];
        match (&field.min, &field.max) {
            (Some(min), Some(max)) => facts.push(format!("`{}` to `{}`", plain(min), plain(max))),
            (Some(min), None) => facts.push(format!("at least `{}`", plain(min))),
            (None, Some(max)) => facts.push(format!("at most `{}`", plain(max))),
            (None, None) => {}
        }
        match &field.default {
            _ if field.required => facts.push("required".to_owned()),
            Some(serde_json::Value::Object(_)) | None => {}
            Some(default) => facts.push(format!("default `{}`", plain(default))),
        }
        let _ =
            writeln!(self.out, "- **`{}`** ({})  \n  {}", field.key, facts.join(", "), continued(&field.doc));
        self.names(&field.schema);
    }

    /// The meaning of each name of an enum, as a list below its key.
    fn names(&mut self, schema: &Schema) {
        match &schema.kind {
            Kind::Names(names) => {
                for (name, doc) in names.iter().filter(|(_, doc)| !doc.is_empty()) {
                    let doc = doc.lines().next().unwrap_or_default();
                    let _ = writeln!(self.out, "  - `{name}`: {doc}");
                }
            }
            Kind::OneOrMany(inner) | Kind::List(inner) => self.names(inner),
            Kind::AnyOf(all) if all.len() > 1 && all.iter().all(|one| one.as_table().is_none()) => {
                all.iter().for_each(|one| self.names(one));
            }
            _ => {}
        }
    }

    /// What may be written, in words; tables get a section of their own, each once.
    fn kind(&mut self, parent: &str, key: &str, schema: &Schema) -> String {
        match &schema.kind {
            Kind::Any => "see the manual of the extension".to_owned(),
            Kind::Bool => "`true` or `false`".to_owned(),
            Kind::Integer { min: Some(min), max: Some(max) } => format!("whole number, `{min}` to `{max}`"),
            Kind::Integer { .. } => "whole number".to_owned(),
            Kind::Number => "number".to_owned(),
            Kind::Text { what, examples } if examples.is_empty() => (*what).to_owned(),
            Kind::Text { what, examples } => format!("{what}: `{}`", examples.join("`, `")),
            Kind::Names(names) => {
                let names: Vec<String> = names.iter().map(|(name, _)| format!("`{name}`")).collect();
                names.join(" or ")
            }
            Kind::List(inner) => match inner.as_table() {
                Some(table) if table.bare.is_none() => {
                    self.table(&format!("[[{}]]", path(parent, key)), table, "list of tables")
                }
                _ => format!("list of: {}", self.kind(parent, key, inner)),
            },
            Kind::OneOrMany(inner) => format!("one or a list of: {}", self.kind(parent, key, inner)),
            Kind::Map(inner) => {
                format!("names, each with: {}", self.kind(parent, &format!("{key}.NAME"), inner))
            }
            Kind::Table(table) => self.table(&format!("[{}]", path(parent, key)), table, "table"),
            Kind::AnyOf(all) => {
                let all: Vec<String> = all.iter().map(|one| self.kind(parent, key, one)).collect();
                all.join(" or ")
            }
        }
    }

    /// A table in words: its bare form, and where it is described. Equal tables are described once.
    fn table(&mut self, heading: &str, table: &Table, word: &str) -> String {
        let told = self.told.iter().find(|(_, told)| told == table).map(|(heading, _)| heading.clone());
        let described = told.unwrap_or_else(|| {
            self.told.push((heading.to_owned(), table.clone()));
            self.waiting.push((heading.to_owned(), table.clone()));
            heading.to_owned()
        });
        let see = format!("{word}, see [`{described}`](#{})", anchor(&described));
        let bare = table.bare.and_then(|bare| table.fields.iter().find(|field| field.key == bare));
        match bare {
            Some(field) => format!("{} or {see}", self.kind(heading, &field.key, &field.schema)),
            None => see,
        }
    }
}

/// The fragment that Markdown renderers make of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|char| char.is_alphanumeric() || matches!(char, '-' | '_'));
    kept.flat_map(char::to_lowercase).collect()
}

/// The dotted path of a key under a heading such as `[[route]]`.
fn path(parent: &str, key: &str) -> String {
    let parent = parent.trim_matches(['[', ']']);
    if parent.is_empty() { key.to_owned() } else { format!("{parent}.{key}") }
}

/// A text as the continuation of a list item.
fn continued(text: &str) -> String {
    text.replace('\n', "\n  ")
}
