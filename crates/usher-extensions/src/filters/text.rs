//! Texts with variables in sections of the config.

use std::fmt;

use usher_api::template::Variable;
use usher_api::{Exchange, Template};
use usher_config::schema::Schema;
use usher_config::{Context, Decode, Node, Span, ValueError};

/// A text with variables such as `{client.ip}`, parsed when the config is read.
#[derive(Clone, PartialEq)]
pub struct TemplateText {
    /// The parsed text.
    pub template: Template,
    /// As it was written.
    pub text: String,
}

impl TemplateText {
    /// The text for this exchange.
    pub fn render(&self, exchange: &Exchange) -> String {
        match self.template.as_plain() {
            Some(plain) => plain.to_owned(),
            None => {
                let mut out = String::with_capacity(self.text.len() + 64);
                self.template.render(exchange, &mut out);
                out
            }
        }
    }
}

/// Whether a text that becomes part of a head has no control characters; if it has some, that is an error. `what` names
/// the text.
pub fn check_line(text: &str, (what, span): (&str, Span), cx: &mut Context<'_>) -> bool {
    let Some(found) = text.chars().find(char::is_ascii_control) else { return true };
    let message = format!("{what} holds the control character U+{:04X}", u32::from(found));
    cx.error_help(span, message, "it becomes part of one line of a message; take the character out");
    false
}

impl fmt::Debug for TemplateText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl std::str::FromStr for TemplateText {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let template = Template::parse(text).map_err(|error| {
            let (message, help) = error.told::<Variable>();
            ValueError::new(message).help(help)
        })?;
        Ok(Self { template, text: text.to_owned() })
    }
}

impl Decode for TemplateText {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        cx.parse(node, "a text", str::parse)
    }

    fn schema() -> Schema {
        Schema::text("text with variables").example("{client.ip}")
    }

    fn encode(&self) -> usher_config::serde_json::Value {
        self.text.as_str().into()
    }
}
