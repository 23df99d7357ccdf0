//! Rates: `100/s`, `10/m`, `1000/h`.

use std::time::Duration;

use serde_json::json;

use super::ValueError;
use crate::decode::{Context, Decode};
use crate::document::{Node, Value};
use crate::schema::Schema;

const UNITS: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];

/// So many per unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In how long: a second, minute, hour or day.
    pub per: Duration,
}

impl Rate {
    /// How many in a second.
    pub fn per_second(self) -> f64 {
        f64::from(self.count) / self.per.as_secs_f64()
    }
}

impl std::str::FromStr for Rate {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let fault = || ValueError::new(format!("`{text}` is not a rate"));
        let Some((count, unit)) = text.split_once('/') else {
            return Err(match text.parse::<u32>() {
                Ok(_) => without_unit(text),
                Err(_) => fault().help("write it like `100/s`, `10/m` or `1000/h`"),
            });
        };
        let short = count.strip_suffix(['r', 'R']).filter(|count| count.parse::<u32>().is_ok());
        if let Some(count) = short {
            return Err(fault().help(format!("write `{count}/{unit}`")));
        }
        let digits = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
        let count = count.parse().ok().filter(|_| digits);
        let count = count.ok_or_else(|| fault().help("before `/` stands a whole number"))?;
        let seconds = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, seconds)| *seconds);
        let seconds = seconds.ok_or_else(|| fault().help("after `/` stands `s`, `m`, `h` or `d`"))?;
        if count == 0 {
            return Err(ValueError::new("a rate of zero lets nothing through").help("write at least `1/d`"));
        }
        Ok(Self { count, per: Duration::from_secs(seconds) })
    }
}

fn without_unit(number: &str) -> ValueError {
    ValueError::new(format!("the rate `{number}` has no unit"))
        .help(format!("write `{number}/s` or `{number}/m`"))
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unit =
            UNITS.iter().find(|(_, seconds)| *seconds == self.per.as_secs()).map_or("s", |(name, _)| name);
        write!(f, "{}/{unit}", self.count)
    }
}

impl Decode for Rate {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        if let Value::Integer(number) = &node.value {
            return cx.value(node.span, Err(without_unit(&number.to_string())));
        }
        cx.parse(node, "a rate such as `100/s`", str::parse)
    }

    fn schema() -> Schema {
        Schema::text("rate").example("100/s")
    }

    fn encode(&self) -> serde_json::Value {
        json!(self.to_string())
    }
}
