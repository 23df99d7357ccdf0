//! The tree that all three formats become: every key and value with its place.

use crate::source::Span;

/// A whole document. Its root is always a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The root table.
    pub root: Node,
}

/// A key of a table and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The key, unquoted.
    pub name: String,
    /// Its place.
    pub span: Span,
}

/// A value and where it stands. The span of a table is its header (`[limits]`) where it has one.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its place.
    pub span: Span,
    /// The value.
    pub value: Value,
    /// The whole string came from one `${VARIABLE}`, so it may stand for a number or `true`/`false` too.
    pub substituted: bool,
}

/// What a document can hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null` in JSON, an empty value in YAML.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// Text.
    String(String),
    /// A list.
    List(Vec<Node>),
    /// A table, in the order of the text.
    Table(Vec<(Key, Node)>),
}

impl Node {
    /// A value as written.
    pub fn new(span: Span, value: Value) -> Self {
        Self { span, value, substituted: false }
    }

    /// The text, if it is text.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The items, if it is a list.
    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The entries, if it is a table.
    pub fn as_table(&self) -> Option<&[(Key, Node)]> {
        match &self.value {
            Value::Table(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value of a key, if it is a table that has it.
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.as_table()?.iter().find(|(key, _)| key.name == name).map(|(_, node)| node)
    }

    /// The whole number, if it is one: written so, or substituted by one.
    pub fn as_integer(&self) -> Option<i64> {
        match &self.value {
            Value::Integer(number) => Some(*number),
            Value::String(text) if self.substituted => text.parse().ok(),
            _ => None,
        }
    }

    /// `true` or `false`, if it is one: written so, or substituted by one.
    pub fn as_bool(&self) -> Option<bool> {
        match &self.value {
            Value::Bool(value) => Some(*value),
            Value::String(text) if self.substituted => text.parse().ok(),
            _ => None,
        }
    }

    /// What it is, for "found …" in messages.
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(value) => format!("`{value}`"),
            Value::Integer(number) => format!("the number `{number}`"),
            Value::Float(number) => format!("the number `{number}`"),
            Value::String(text) if text.chars().count() <= 40 => format!("the text `{text}`"),
            Value::String(_) => "a text".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Table(_) => "a table".to_owned(),
        }
    }
}
