//! What the value of a header, of a query parameter or of a cookie must be.

use serde_json::json;

use crate::decode::{Context, Decode, Spanned};
use crate::document::Node;
use crate::schema::{Kind, Schema};
use crate::source::Span;

/// A condition on a value that may be missing.
#[derive(Debug, Clone, PartialEq)]
pub enum ValuePattern {
    /// It is there, whatever it is.
    Present,
    /// It is not there.
    Absent,
    /// It matches: `exact`, `prefix*` or `~regex`. Parsed where routes are built.
    Matches(Spanned<String>),
}

impl ValuePattern {
    /// Where it is written, if it is a text.
    pub fn span(&self) -> Option<Span> {
        match self {
            Self::Matches(text) => Some(text.span),
            _ => None,
        }
    }
}

impl Decode for ValuePattern {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        match (node.as_bool(), node.as_str()) {
            (Some(true), _) => Some(Self::Present),
            (Some(false), _) => Some(Self::Absent),
            (None, Some(text)) => Some(Self::Matches(Spanned { value: text.to_owned(), span: node.span })),
            (None, None) => {
                cx.wrong_type(node, "a text, `true` (present) or `false` (absent)");
                None
            }
        }
    }

    fn schema() -> Schema {
        let text = Schema::text("value").example("exact").example("prefix*").example("~regex");
        Schema::any_of(vec![text, Schema::of(Kind::Bool)])
    }

    fn encode(&self) -> serde_json::Value {
        match self {
            Self::Present => json!(true),
            Self::Absent => json!(false),
            Self::Matches(text) => json!(text.value),
        }
    }
}
