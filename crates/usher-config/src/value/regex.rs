//! Regular expressions, compiled within a limit.

use serde_json::json;

use super::ValueError;
use crate::decode::{Context, Decode};
use crate::document::Node;
use crate::schema::Schema;

/// Bytes that one compiled expression may take.
const SIZE_LIMIT: usize = 1 << 20;

/// A regular expression in the syntax of the `regex` crate, which matches in linear time.
#[derive(Debug, Clone)]
pub struct Regex(regex::Regex);

impl Regex {
    /// The compiled expression.
    pub fn get(&self) -> &regex::Regex {
        &self.0
    }

    /// The expression as written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl std::str::FromStr for Regex {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        regex::RegexBuilder::new(text).size_limit(SIZE_LIMIT).build().map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(limit) => {
                let message = format!("the expression takes more than {limit} bytes when compiled");
                ValueError::new(message).help("use smaller repetitions")
            }
            _ => syntax(text),
        })
    }
}

/// Parses once more to learn where the fault is.
fn syntax(text: &str) -> ValueError {
    let (offset, why) = match regex_syntax::Parser::new().parse(text) {
        Err(regex_syntax::Error::Parse(error)) => (error.span().start.offset, error.kind().to_string()),
        Err(regex_syntax::Error::Translate(error)) => (error.span().start.offset, error.kind().to_string()),
        _ => return ValueError::new(format!("`{text}` is not a regular expression")),
    };
    let column = text.get(..offset).unwrap_or("").chars().count() + 1;
    let error = ValueError::new(format!("`{text}` is not a regular expression: {why} at character {column}"));
    match text.contains("(?=") || text.contains("(?!") || text.contains("(?<=") || text.contains("(?<!") {
        true => error.help("look-around is not available: expressions match in linear time"),
        false => error,
    }
}

impl Decode for Regex {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        cx.parse(node, "a regular expression", str::parse)
    }

    fn schema() -> Schema {
        Schema::text("regular expression")
    }

    fn encode(&self) -> serde_json::Value {
        json!(self.as_str())
    }
}
