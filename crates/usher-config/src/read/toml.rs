//! TOML, by the `toml` crate, which goes on after an error and so reports several.

use std::collections::HashSet;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::Diagnostic;
use crate::document::{Key, Node, Value};
use crate::source::{SourceId, Span};

/// Errors of the library that are looked at.
const MAX_ERRORS: usize = 200;

/// The root table and the errors of syntax.
pub(super) fn read(text: &str, source: SourceId) -> (Option<Node>, Vec<Diagnostic>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader { source, errors: first_of_lines(text, &errors, source) };
    let root = reader.table(table.get_ref());
    (Some(Node::new(Span::new(source, 0..0), root)), reader.errors)
}

/// After an error the rest of its line is often misread too: of each line, the first error is told.
fn first_of_lines(text: &str, errors: &[toml::de::Error], source: SourceId) -> Vec<Diagnostic> {
    let line = |error: &toml::de::Error| {
        let start = error.span().map_or(0, |range| range.start);
        text.as_bytes().iter().take(start).filter(|byte| **byte == b'\n').count()
    };
    let mut seen = HashSet::new();
    let firsts = errors.iter().take(MAX_ERRORS).filter(|error| seen.insert(line(error)));
    firsts.map(|error| syntax(error, text, source)).collect()
}

fn syntax(error: &toml::de::Error, text: &str, source: SourceId) -> Diagnostic {
    let span = Span::new(source, error.span().unwrap_or(0..0));
    match error.message() {
        "recursion limit" | "cannot recurse further; max recursion depth met" => {
            Diagnostic::error("values are nested more than 80 levels deep").at(span, "")
        }
        "duplicate key" => {
            let name = error.span().and_then(|range| text.get(range)).unwrap_or_default();
            Diagnostic::error(format!("`{name}` is set twice"))
                .at(span, "it is set before")
                .help("keep one; in TOML a table that repeats is written `[[double]]`")
        }
        message => {
            let before = error.span().and_then(|range| text.get(..range.start)).unwrap_or_default();
            let help = before
                .trim_end_matches([' ', '\t', '\n'])
                .ends_with(':')
                .then_some("TOML sets a key by `=`; name the file `.yaml` if it is YAML");
            let error = Diagnostic::error(format!("not valid TOML: {message}")).at(span, "");
            error.maybe_help(help.map(str::to_owned))
        }
    }
}

/// A number that does not fit into 64 bits is kept as a float, so that whoever wants a whole one says what fits.
fn integer(digits: &str, radix: u32) -> Value {
    let near = || digits.parse().ok().filter(|_| radix == 10).unwrap_or(f64::INFINITY);
    i64::from_str_radix(digits, radix).map_or_else(|_| Value::Float(near()), Value::Integer)
}

struct Reader {
    source: SourceId,
    errors: Vec<Diagnostic>,
}

impl Reader {
    fn span<T>(&self, item: &Spanned<T>) -> Span {
        Span::new(self.source, item.span())
    }

    /// The library sorts keys by name; the text's order is that of the keys' places.
    fn table(&mut self, table: &DeTable<'_>) -> Value {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let nodes = entries.into_iter().map(|(key, value)| {
            let key_span = self.span(key);
            (Key { name: key.get_ref().to_string(), span: key_span }, self.node(value))
        });
        Value::Table(nodes.collect())
    }

    fn node(&mut self, item: &Spanned<DeValue<'_>>) -> Node {
        let span = self.span(item);
        let value = match item.get_ref() {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Integer(number) => integer(number.as_str(), number.radix()),
            DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(value) => Value::Bool(*value),
            DeValue::Datetime(_) => self.date(span),
            DeValue::Array(items) => Value::List(items.iter().map(|item| self.node(item)).collect()),
            DeValue::Table(table) => self.table(table),
        };
        Node::new(span, value)
    }

    fn date(&mut self, span: Span) -> Value {
        let error = Diagnostic::error("no setting is a date or a time of day").at(span, "");
        self.errors.push(error.help("put it in quotes if it is meant as text"));
        Value::Null
    }
}
