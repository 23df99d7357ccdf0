//! Texts, numbers, truth values and paths.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde_json::json;

use super::{Context, Decode};
use crate::diagnostic::Diagnostic;
use crate::document::{Node, Value};
use crate::schema::{Kind, Schema};
use crate::value::ValueError;

impl Decode for bool {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let value = node.as_bool();
        if value.is_none() {
            let found = format!("expected `true` or `false`, found {}", node.describe());
            let help = match node.as_str().map(str::to_ascii_lowercase).as_deref() {
                Some("true" | "false") => Some("write it without quotes, in lower case"),
                Some("yes" | "on") => Some("write `true`"),
                Some("no" | "off") => Some("write `false`"),
                _ => None,
            };
            cx.push(Diagnostic::error(found).at(node.span, "").maybe_help(help.map(str::to_owned)));
        }
        value
    }

    fn schema() -> Schema {
        Schema::of(Kind::Bool)
    }

    fn encode(&self) -> serde_json::Value {
        json!(self)
    }
}

impl Decode for String {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        match &node.value {
            Value::String(text) => return Some(text.clone()),
            Value::Bool(_) | Value::Integer(_) | Value::Float(_) => {
                let found = format!("expected a text, found {}", node.describe());
                cx.error_help(node.span, found, "put it in quotes");
            }
            _ => cx.wrong_type(node, "a text"),
        }
        None
    }

    fn schema() -> Schema {
        Schema::text("text")
    }

    fn encode(&self) -> serde_json::Value {
        json!(self)
    }
}

/// A path. A relative one is relative to the file that it is written in.
impl Decode for PathBuf {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let text = String::decode(node, cx)?;
        if text.is_empty() {
            cx.error(node.span, "the path is empty");
            return None;
        }
        Some(cx.resolve(node.span, &text))
    }

    fn schema() -> Schema {
        Schema::text("path")
    }

    fn encode(&self) -> serde_json::Value {
        json!(self.display().to_string())
    }
}

/// Reads a number of a type that holds less than all of `i64`.
fn whole<T: TryFrom<i64>>(node: &Node, limits: (i128, i128), cx: &mut Context<'_>) -> Option<T> {
    let out_of_range = |number: &str, cx: &mut Context<'_>| {
        let ((low, high), (own_low, own_high)) = (limits, cx.range_at(node.span));
        let low = own_low.map_or_else(|| low.to_string(), |low| low.to_string());
        let high = own_high.map_or_else(|| high.to_string(), |high| high.to_string());
        cx.error(node.span, format!("`{number}` is out of range: `{low}` to `{high}` can be written here"));
    };
    let Some(number) = node.as_integer() else {
        if too_large(node) {
            out_of_range(cx.sources().slice(node.span), cx);
            return None;
        }
        let as_written = |text: &str| cx.sources().slice(node.span).contains(text);
        let quoted = node.as_str().is_some_and(|text| text.parse::<i64>().is_ok() && as_written(text));
        let found = format!("expected a whole number, found {}", node.describe());
        match quoted {
            true => cx.error_help(node.span, found, "write it without quotes"),
            false => cx.error(node.span, found),
        }
        return None;
    };
    let value = T::try_from(number).ok();
    if value.is_none() {
        out_of_range(&number.to_string(), cx);
    }
    value
}

/// A whole number that does not fit into 64 bits: the readers keep it as a float.
fn too_large(node: &Node) -> bool {
    matches!(node.value, Value::Float(number) if number.is_infinite() || number.abs() >= i64::MAX as f64)
}

macro_rules! whole_numbers {
    ($($type:ty),*) => {$(
        impl Decode for $type {
            fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
                whole(node, (<$type>::MIN as i128, (<$type>::MAX as i128).min(i64::MAX as i128)), cx)
            }

            fn schema() -> Schema {
                number_range(Some(<$type>::MIN as i64), i64::try_from(<$type>::MAX).ok())
            }

            fn encode(&self) -> serde_json::Value {
                json!(self)
            }
        }

        impl Ranged for $type {
            type Bound = i64;
            fn bound(&self) -> Option<i64> {
                i64::try_from(*self).ok()
            }
        }
    )*};
}

whole_numbers!(u8, u16, u32, u64, usize, i32, i64);

/// The schema of a whole number within bounds; bounds of the machine are not worth telling.
pub fn number_range(min: Option<i64>, max: Option<i64>) -> Schema {
    let told = |bound: i64| bound.unsigned_abs() < u64::from(u16::MAX);
    Schema::of(Kind::Integer { min: min.filter(|min| told(*min)), max: max.filter(|max| told(*max)) })
}

impl Decode for f64 {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let number = match &node.value {
            Value::Float(number) => Some(*number),
            Value::String(text) if node.substituted => text.parse().ok(),
            _ => node.as_integer().map(|number| number as f64),
        };
        match number {
            Some(number) if number.is_finite() => return Some(number),
            Some(_) => cx.error(node.span, "expected a finite number"),
            None => cx.wrong_type(node, "a number"),
        }
        None
    }

    fn schema() -> Schema {
        Schema::of(Kind::Number)
    }

    fn encode(&self) -> serde_json::Value {
        json!(self)
    }
}

/// A type whose values have an order, for `#[range(…)]`.
pub trait Ranged {
    /// The type in which bounds are written.
    type Bound: PartialOrd + Decode;
    /// The value to compare; `None` is always in range.
    fn bound(&self) -> Option<Self::Bound>;
}

impl<T: Ranged> Ranged for Option<T> {
    type Bound = T::Bound;
    fn bound(&self) -> Option<Self::Bound> {
        self.as_ref().and_then(Ranged::bound)
    }
}

impl Ranged for f64 {
    type Bound = f64;
    fn bound(&self) -> Option<f64> {
        Some(*self)
    }
}

macro_rules! addresses {
    ($($type:ty, $what:literal, $example:literal);*) => {$(
        impl Decode for $type {
            fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
                cx.parse(node, $what, |text| {
                    let message = || format!("`{text}` is not {}", $what);
                    text.parse().map_err(|_| ValueError::new(message()).help(concat!("write it like `", $example, "`")))
                })
            }

            fn schema() -> Schema {
                Schema::text($what).example($example)
            }

            fn encode(&self) -> serde_json::Value {
                json!(self.to_string())
            }
        }
    )*};
}

addresses!(IpAddr, "an IP address", "192.0.2.1"; SocketAddr, "an IP address with a port", "192.0.2.1:80");
