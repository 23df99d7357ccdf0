//! Sizes in bytes: `64KiB`, `10MB`, `1GiB`.

use serde_json::json;

use super::{ValueError, units};
use crate::decode::{Context, Decode, Ranged};
use crate::document::{Node, Value};
use crate::schema::{Kind, Schema};

/// Units, and the bytes of each: decimal (IEC 80000-13) and binary.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// So many KiB.
    pub const fn kib(number: u64) -> Self {
        Self(number << 10)
    }

    /// So many MiB.
    pub const fn mib(number: u64) -> Self {
        Self(number << 20)
    }

    /// The number of bytes, cut to what memory can hold.
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl std::str::FromStr for ByteSize {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (digits, unit) = units::split(text);
        let unit = unit.trim_start_matches(' ');
        if text.starts_with('-') {
            return Err(negative(text));
        }
        let Ok(number) = digits.parse::<u64>() else {
            let error = ValueError::new(format!("`{text}` is not a size"));
            return Err(error.help("write it like `64KiB`, `10MB` or `1GiB`"));
        };
        if unit.is_empty() {
            return Err(without_unit(digits));
        }
        let Some((_, size)) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) else {
            return Err(unknown_unit(digits, unit));
        };
        number
            .checked_mul(*size)
            .map(Self)
            .ok_or_else(|| ValueError::new(format!("the size `{text}` is too large")))
    }
}

fn negative(text: &str) -> ValueError {
    ValueError::new(format!("the size `{text}` is below zero"))
        .help("write it like `64KiB`, `10MB` or `1GiB`")
}

fn without_unit(number: &str) -> ValueError {
    let help =
        if number == "0" { "write `0B`".to_owned() } else { format!("write `{number}B` or `{number}KiB`") };
    ValueError::new(format!("the size `{number}` has no unit")).help(help)
}

/// `64k` is 64,000 to some and 65,536 to others.
fn unknown_unit(digits: &str, unit: &str) -> ValueError {
    let letter = unit.to_ascii_uppercase();
    if let "K" | "M" | "G" | "T" = letter.as_str() {
        let error = ValueError::new(format!("`{digits}{unit}` can be read in two ways"));
        return error.help(format!("write `{digits}{letter}iB` (1024) or `{digits}{letter}B` (1000)"));
    }
    ValueError::new(format!("`{unit}` is not a unit of size"))
        .help("units are B, KB, KiB, MB, MiB, GB, GiB, TB and TiB")
}

impl std::fmt::Display for ByteSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fits = |(_, size): &&(&str, u64)| self.0 >= *size && self.0.is_multiple_of(*size);
        let (unit, size) = UNITS.iter().find(fits).unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / size)
    }
}

impl Decode for ByteSize {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        if let Value::Integer(number) = &node.value {
            let fault = if *number < 0 { negative } else { without_unit };
            return cx.value(node.span, Err(fault(&number.to_string())));
        }
        cx.parse(node, "a size such as `64KiB`", str::parse)
    }

    fn schema() -> Schema {
        Schema::text("size").example("64KiB").example("10MB")
    }

    fn encode(&self) -> serde_json::Value {
        json!(self.to_string())
    }
}

impl Ranged for ByteSize {
    type Bound = ByteSize;
    fn bound(&self) -> Option<ByteSize> {
        Some(*self)
    }
}

/// A size, or `unlimited`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SizeLimit {
    /// No limit.
    Unlimited,
    /// At most so much.
    Max(ByteSize),
}

impl SizeLimit {
    /// The limit in bytes, if there is one.
    pub fn bytes(self) -> Option<u64> {
        match self {
            Self::Unlimited => None,
            Self::Max(size) => Some(size.0),
        }
    }
}

impl Decode for SizeLimit {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        if node.as_str() == Some("unlimited") {
            return Some(Self::Unlimited);
        }
        if let Value::Integer(-1 | 0) = node.value {
            let found = format!("expected a size or `unlimited`, found {}", node.describe());
            cx.error_help(node.span, found, "write `\"unlimited\"` for no limit, or a size such as `64KiB`");
            return None;
        }
        ByteSize::decode(node, cx).map(Self::Max)
    }

    fn schema() -> Schema {
        let unlimited = Schema::of(Kind::Names(vec![("unlimited".to_owned(), String::new())]));
        Schema::any_of(vec![ByteSize::schema(), unlimited])
    }

    fn encode(&self) -> serde_json::Value {
        match self {
            Self::Unlimited => json!("unlimited"),
            Self::Max(size) => size.encode(),
        }
    }
}
