//! Shares: `12.5%`.

use serde_json::json;

use super::{ValueError, units};
use crate::decode::{Context, Decode};
use crate::document::{Node, Value};
use crate::schema::Schema;

/// A share from 0 % to 100 %, exact to a ten-thousandth of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent {
    millionths: u32,
}

impl Percent {
    /// Everything.
    pub const ALL: Self = Self { millionths: 1_000_000 };
    /// Nothing.
    pub const NONE: Self = Self { millionths: 0 };

    /// So many whole percent, at most 100.
    pub const fn of(percent: u8) -> Self {
        Self { millionths: if percent > 100 { 1_000_000 } else { percent as u32 * 10_000 } }
    }

    /// Parts per million, up to 1,000,000.
    pub fn millionths(self) -> u32 {
        self.millionths
    }

    /// The share as a number from 0 to 1.
    pub fn fraction(self) -> f64 {
        f64::from(self.millionths) / 1e6
    }
}

impl std::str::FromStr for Percent {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let fault =
            || ValueError::new(format!("`{text}` is not a share")).help("write it like `10%` or `0.5%`");
        let number = text.strip_suffix('%').ok_or_else(fault)?;
        let scaled = units::fixed(number, 4).ok_or_else(fault)?;
        let millionths = u32::try_from(scaled).ok().filter(|parts| *parts <= 1_000_000);
        let error = || ValueError::new(format!("`{text}` is more than 100%"));
        millionths.map(|millionths| Self { millionths }).ok_or_else(error)
    }
}

impl std::fmt::Display for Percent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, parts) = (self.millionths / 10_000, self.millionths % 10_000);
        if parts == 0 {
            return write!(f, "{whole}%");
        }
        write!(f, "{whole}.{}%", format!("{parts:04}").trim_end_matches('0'))
    }
}

impl Decode for Percent {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        if let Value::Integer(_) | Value::Float(_) = &node.value {
            let number = node.encode();
            let error = ValueError::new(format!("the share `{number}` has no unit"));
            return cx.value(node.span, Err(error.help(format!("write `\"{number}%\"`"))));
        }
        cx.parse(node, "a share such as `10%`", str::parse)
    }

    fn schema() -> Schema {
        Schema::text("share").example("12.5%")
    }

    fn encode(&self) -> serde_json::Value {
        json!(self.to_string())
    }
}
