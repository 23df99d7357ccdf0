//! What the code that `section!` generates calls: fields of a table, bounds, unknown keys.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::{Bound, RangeBounds};

use super::{Context, Decode, Ends, Ranged, misplaced};
use crate::diagnostic::Diagnostic;
use crate::document::{Key, Node, Value};
use crate::schema::{Kind, Schema};
use crate::source::Span;
use crate::suggest;

/// The name of a key from the name of a field: `r#use` is `use`.
pub const fn key_name(field: &'static str) -> &'static str {
    match field.as_bytes() {
        [b'r', b'#', ..] => field.split_at(2).1,
        _ => field,
    }
}

/// A table that is being read.
pub struct TableReader<'n> {
    entries: Cow<'n, [(Key, Node)]>,
    span: Span,
}

impl<'n> TableReader<'n> {
    /// The table at `node`. With `bare`, anything else than a table is the value of that key.
    ///
    /// `schema` is the section's own, for an example of how it is written.
    pub fn open(
        node: &'n Node,
        bare: Option<&'static str>,
        schema: fn() -> Schema,
        cx: &mut Context<'_>,
    ) -> Option<Self> {
        let entries = match (&node.value, bare) {
            (Value::Table(entries), _) => Cow::Borrowed(entries.as_slice()),
            (Value::Null, _) => {
                cx.error_help(node.span, "the section has no content", "remove it or give it keys");
                return None;
            }
            (_, Some(name)) => {
                Cow::Owned(vec![(Key { name: name.to_owned(), span: node.span }, node.clone())])
            }
            _ => {
                let found = Diagnostic::error(format!("expected a table, found {}", node.describe()));
                cx.push(found.at(node.span, "").maybe_help(example(&schema())));
                return None;
            }
        };
        Some(Self { entries, span: node.span })
    }

    /// Where the table stands.
    pub fn span(&self) -> Span {
        self.span
    }

    fn get(&self, name: &str) -> Option<&(Key, Node)> {
        self.entries.iter().find(|(key, _)| key.name == name)
    }

    /// Reports every key that is not in `keys`; `schema` is the section's own, for what may have been meant.
    pub fn refuse_unknown(&self, keys: &[&str], schema: fn() -> Schema, cx: &mut Context<'_>) {
        for (key, _) in self.entries.iter().filter(|(key, _)| !keys.contains(&key.name.as_str())) {
            if cx.is_full() {
                return;
            }
            cx.push(unknown_key(key, keys, schema));
        }
    }

    /// Every entry whose key is not in `keys`.
    pub fn rest(&self, keys: &[&str]) -> Vec<(Key, Node)> {
        self.entries.iter().filter(|(key, _)| !keys.contains(&key.name.as_str())).cloned().collect()
    }
}

/// The error for a key that means nothing in a section with these keys.
pub(crate) fn unknown_key(key: &Key, known: &[&str], schema: fn() -> Schema) -> Diagnostic {
    Diagnostic::error(format!("unknown key `{}`", key.name))
        .at(key.span, "")
        .maybe_help(misplaced::help(&key.name, known, schema).or_else(|| suggest::help(&key.name, known)))
}

/// How a section is written that has keys which must be there: `{ trusted = ["10.0.0.0/8"] }`.
fn example(schema: &Schema) -> Option<String> {
    let required = schema.as_table()?.fields.iter().filter(|field| field.required);
    let fields = required.map(|field| Some(format!("{} = {}", field.key, value_like(&field.schema)?)));
    let fields: Option<Vec<String>> = fields.collect();
    let fields = fields.filter(|fields| !fields.is_empty())?;
    Some(format!("write a table: `{{ {} }}`", fields.join(", ")))
}

/// A value of a schema that says how one is written.
fn value_like(schema: &Schema) -> Option<String> {
    match &schema.kind {
        Kind::Text { examples, .. } => examples.first().map(|text| format!("\"{text}\"")),
        Kind::List(inner) => Some(format!("[{}]", value_like(inner)?)),
        Kind::OneOrMany(inner) => value_like(inner),
        Kind::AnyOf(all) => all.iter().find_map(value_like),
        Kind::Table(table) => {
            let bare = table.fields.iter().find(|field| Some(field.key.as_str()) == table.bare)?;
            value_like(&bare.schema)
        }
        _ => None,
    }
}

/// What the definition of a field says of its value.
pub struct Rules<D, C> {
    /// The value when the key is missing.
    pub default: D,
    /// The least and the greatest number, as they would be written.
    pub range: fn() -> Ends,
    /// Reports what is wrong with a value.
    pub check: C,
}

/// Reads one field. A value that cannot be read or fails its check leaves the default, so that reading goes on.
pub fn field<T: Decode>(
    table: &TableReader<'_>,
    name: &'static str,
    cx: &mut Context<'_>,
    rules: Rules<impl FnOnce() -> Option<T>, impl FnOnce(&T, Span, &mut Context<'_>)>,
) -> Option<T> {
    let Rules { default, range, check } = rules;
    let Some((key, node)) = table.get(name) else {
        let value = default();
        if value.is_none() {
            let text = format!("`{name}` is missing");
            cx.push(Diagnostic::error(format!("the key `{name}` is required")).at(table.span, text));
        }
        return value;
    };
    if node.value == Value::Null {
        let span = if node.span.start == node.span.end { key.span } else { node.span };
        cx.error_help(span, format!("the key `{name}` has no value"), "give it a value or remove it");
        return default();
    }
    let outer = cx.range.replace((node.span, range));
    let value = T::decode(node, cx);
    cx.range = outer;
    if let Some(value) = &value {
        check(value, node.span, cx);
    }
    value.or_else(default)
}

/// Reports a value outside of a range.
pub fn check_range<T: Ranged>(
    value: &T,
    range: &impl RangeBounds<T::Bound>,
    span: Span,
    cx: &mut Context<'_>,
) {
    let Some(found) = value.bound().filter(|bound| !range.contains(bound)) else { return };
    let (low, high) = range_of::<T>(range);
    let allowed = match (low, high) {
        (Some(low), Some(high)) => format!("`{}` to `{}`", plain(&low), plain(&high)),
        (Some(low), None) => format!("`{}` or more", plain(&low)),
        (None, Some(high)) => format!("`{}` or less", plain(&high)),
        (None, None) => return,
    };
    cx.error(span, format!("`{}` is out of range: {allowed} can be written here", plain(&found.encode())));
}

/// The two ends of a range, as they would be written. An excluded end is told as if it were included.
pub fn range_of<T: Ranged>(range: &impl RangeBounds<T::Bound>) -> Ends {
    let end = |bound: Bound<&T::Bound>| match bound {
        Bound::Included(value) | Bound::Excluded(value) => Some(value.encode()),
        Bound::Unbounded => None,
    };
    (end(range.start_bound()), end(range.end_bound()))
}

/// Reports what a check of the section says about a value.
pub fn check_value<T, E: Display>(
    value: &T,
    check: impl FnOnce(&T) -> Result<(), E>,
    span: Span,
    cx: &mut Context<'_>,
) {
    if let Err(message) = check(value) {
        cx.error(span, message.to_string());
    }
}

/// A JSON value without the quotes of a text.
pub(crate) fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
