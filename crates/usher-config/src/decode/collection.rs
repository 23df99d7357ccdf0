//! Values with a place, optional values, lists and maps by name.

use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;

use super::{Context, Decode, Ranged};
use crate::document::{Key, Node, Value};
use crate::schema::{Kind, Schema};
use crate::source::Span;

/// A value that knows where it was written. Compares by the value alone.
#[derive(Debug, Clone, Copy)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// A value that was written nowhere.
    pub fn nowhere(value: T) -> Self {
        Self { value, span: Span::NONE }
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Decode> Decode for Spanned<T> {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        T::decode(node, cx).map(|value| Self { value, span: node.span })
    }

    fn schema() -> Schema {
        T::schema()
    }

    fn absent() -> Option<Self> {
        T::absent().map(Self::nowhere)
    }

    fn encode(&self) -> serde_json::Value {
        self.value.encode()
    }
}

impl<T: Ranged> Ranged for Spanned<T> {
    type Bound = T::Bound;
    fn bound(&self) -> Option<Self::Bound> {
        self.value.bound()
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        T::decode(node, cx).map(Some)
    }

    fn schema() -> Schema {
        T::schema()
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn encode(&self) -> serde_json::Value {
        self.as_ref().map_or(serde_json::Value::Null, Decode::encode)
    }
}

impl<T: Decode> Decode for Box<T> {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        T::decode(node, cx).map(Box::new)
    }

    fn schema() -> Schema {
        T::schema()
    }

    fn encode(&self) -> serde_json::Value {
        T::encode(self)
    }
}

/// The tree itself: a section that is somebody else's to read.
impl Decode for Node {
    fn decode(node: &Node, _: &mut Context<'_>) -> Option<Self> {
        Some(node.clone())
    }

    fn schema() -> Schema {
        Schema::of(Kind::Any)
    }

    fn encode(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Integer(number) => Json::from(*number),
            Value::Float(number) => Json::from(*number),
            Value::String(text) => Json::from(text.as_str()),
            Value::List(items) => items.iter().map(Decode::encode).collect(),
            Value::Table(entries) => {
                Json::Object(entries.iter().map(|(key, node)| (key.name.clone(), node.encode())).collect())
            }
        }
    }
}

/// The items that can be read; each that cannot has been reported.
fn items<T: Decode>(nodes: &[Node], cx: &mut Context<'_>) -> Vec<T> {
    nodes.iter().filter_map(|item| T::decode(item, cx)).collect()
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        match &node.value {
            Value::List(nodes) => return Some(items(nodes, cx)),
            Value::Table(_) => {
                let header = cx.sources().slice(node.span).strip_prefix('[');
                let name = header.and_then(|header| header.strip_suffix(']'));
                let help = match name.filter(|name| !name.contains(['[', ']', '\n'])) {
                    Some(name) => format!("write it `[[{name}]]`, as there can be several"),
                    None => "write each as `[[name]]` in TOML, or as an item of a list in YAML and JSON"
                        .to_owned(),
                };
                cx.error_help(node.span, "expected a list, found a table", help);
            }
            _ => {
                let found = format!("expected a list, found {}", node.describe());
                cx.error_help(node.span, found, "put it in brackets: `[…]`");
            }
        }
        None
    }

    fn schema() -> Schema {
        Schema::of(Kind::List(Box::new(T::schema())))
    }

    fn encode(&self) -> serde_json::Value {
        self.iter().map(Decode::encode).collect()
    }
}

/// One value, or a list of them: `"a"` or `["a", "b"]`.
#[derive(Debug, Clone, PartialEq)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Deref for OneOrMany<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'a, T> IntoIterator for &'a OneOrMany<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<T: Decode> Decode for OneOrMany<T> {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        match &node.value {
            Value::List(nodes) if nodes.is_empty() => {
                cx.error_help(node.span, "the list is empty", "name at least one, or remove the key");
                None
            }
            Value::List(nodes) => Some(Self(items(nodes, cx))),
            _ => T::decode(node, cx).map(|value| Self(vec![value])),
        }
    }

    fn schema() -> Schema {
        Schema::of(Kind::OneOrMany(Box::new(T::schema())))
    }

    fn encode(&self) -> serde_json::Value {
        match self.0.as_slice() {
            [one] => one.encode(),
            many => many.iter().map(Decode::encode).collect(),
        }
    }
}

/// A table whose keys are names that the user chooses, in the order of the text.
#[derive(Debug, Clone, PartialEq)]
pub struct Named<T> {
    entries: Vec<(Key, T)>,
    index: HashMap<String, usize>,
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), index: HashMap::new() }
    }
}

impl<T> FromIterator<(Key, T)> for Named<T> {
    /// Of entries with the same name, the last is the one that [`Named::get`] finds.
    fn from_iter<I: IntoIterator<Item = (Key, T)>>(entries: I) -> Self {
        let entries: Vec<_> = entries.into_iter().collect();
        let index = entries.iter().enumerate().map(|(at, (key, _))| (key.name.clone(), at)).collect();
        Self { entries, index }
    }
}

impl<T> IntoIterator for Named<T> {
    type Item = (Key, T);
    type IntoIter = std::vec::IntoIter<(Key, T)>;
    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<T> Named<T> {
    /// The entry of this name.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.index.get(name).and_then(|at| self.entries.get(*at)).map(|(_, value)| value)
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(key, _)| key.name.as_str())
    }
}

impl<T> Deref for Named<T> {
    type Target = [(Key, T)];
    fn deref(&self) -> &[(Key, T)] {
        &self.entries
    }
}

impl<'a, T> IntoIterator for &'a Named<T> {
    type Item = &'a (Key, T);
    type IntoIter = std::slice::Iter<'a, (Key, T)>;
    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter()
    }
}

impl<T: Decode> Decode for Named<T> {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let Some(entries) = node.as_table() else {
            cx.wrong_type(node, "a table of names");
            return None;
        };
        let read = |(key, node): &(Key, Node)| T::decode(node, cx).map(|value| (key.clone(), value));
        Some(entries.iter().filter_map(read).collect())
    }

    fn schema() -> Schema {
        Schema::of(Kind::Map(Box::new(T::schema())))
    }

    fn encode(&self) -> serde_json::Value {
        let entries = self.entries.iter().map(|(key, value)| (key.name.clone(), value.encode()));
        serde_json::Value::Object(entries.collect())
    }
}

impl<T: Decode> Decode for BTreeMap<String, T> {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let named = Named::<T>::decode(node, cx)?;
        Some(named.into_iter().map(|(key, value)| (key.name, value)).collect())
    }

    fn schema() -> Schema {
        Named::<T>::schema()
    }

    fn encode(&self) -> serde_json::Value {
        serde_json::Value::Object(self.iter().map(|(name, value)| (name.clone(), value.encode())).collect())
    }
}
