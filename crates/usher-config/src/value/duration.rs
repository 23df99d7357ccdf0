//! Durations: `5s`, `100ms`, `1m30s`, `1h`.

use std::time::Duration;

use serde_json::json;

use super::{ValueError, units};
use crate::decode::{Context, Decode, Ranged};
use crate::document::{Node, Value};
use crate::schema::Schema;

/// Units from large to small, in microseconds.
const UNITS: [(&str, u64); 6] = [
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];
/// The longest duration: a hundred years of 365 days.
const MAX: Duration = Duration::from_secs(36_500 * 86_400);

/// Reads a duration: numbers with units, from large to small, each unit once.
///
/// # Errors
/// What is wrong with the text, and how to write it.
pub fn parse_duration(text: &str) -> Result<Duration, ValueError> {
    let fault = || {
        ValueError::new(format!("`{text}` is not a duration"))
            .help("write it like `5s`, `100ms`, `1m30s` or `1h`")
    };
    if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        return Err(without_unit(text));
    }
    if text.starts_with('-') {
        return Err(negative(text));
    }
    let mut total: u64 = 0;
    let mut rest = text;
    let mut units = UNITS.as_slice();
    while !rest.is_empty() || total == 0 && units.len() == UNITS.len() {
        let (digits, tail) = units::split(rest);
        let length = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (name, tail) = tail.split_at(length);
        let at = units.iter().position(|(unit, _)| *unit == name).ok_or_else(fault)?;
        let number: u64 = digits.parse().map_err(|_| fault())?;
        let part = number.checked_mul(units[at].1);
        total = part.and_then(|part| total.checked_add(part)).ok_or_else(|| too_long(text))?;
        units = &units[at + 1..];
        rest = tail;
    }
    let duration = Duration::from_micros(total);
    if duration > MAX { Err(too_long(text)) } else { Ok(duration) }
}

fn negative(text: &str) -> ValueError {
    ValueError::new(format!("the duration `{text}` is below zero"))
        .help("write it like `5s`, `100ms`, `1m30s` or `1h`")
}

fn without_unit(number: &str) -> ValueError {
    ValueError::new(format!("the duration `{number}` has no unit"))
        .help(format!("write `{number}s` or `{number}ms`"))
}

fn too_long(text: &str) -> ValueError {
    ValueError::new(format!("the duration `{text}` is longer than 100 years"))
}

/// A duration as [`parse_duration`] reads it. Parts below a microsecond are dropped.
pub fn format_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let mut out = String::new();
    for (unit, size) in UNITS {
        if rest >= size {
            out.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

impl Decode for Duration {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        if let Value::Integer(number) = &node.value {
            let fault = if *number < 0 { negative } else { without_unit };
            return cx.value(node.span, Err(fault(&number.to_string())));
        }
        cx.parse(node, "a duration such as `5s`", parse_duration)
    }

    fn schema() -> Schema {
        Schema::text("duration").example("5s")
    }

    fn encode(&self) -> serde_json::Value {
        json!(format_duration(*self))
    }
}

impl Ranged for Duration {
    type Bound = Duration;
    fn bound(&self) -> Option<Duration> {
        Some(*self)
    }
}
