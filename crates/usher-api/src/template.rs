//! Text with variables, such as `https://{request.host}/new/{path.rest}`.
//!
//! Parsed when the config is built, so that a misspelt variable is an error then and not an empty string later.

mod variable;

#[cfg(test)]
mod tests;

use std::fmt;

use crate::exchange::Exchange;
pub use variable::Variable;

/// A parsed text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Variable(Variable),
}

/// Why a text is not a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// A `{` without its `}`.
    Unclosed,
    /// A variable that does not exist.
    Unknown(String),
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unclosed => write!(f, "`{{` without `}}`; write `{{{{` for a brace"),
            Self::Unknown(name) => write!(f, "unknown variable `{{{name}}}`; known are {}", variable::KNOWN),
        }
    }
}

impl std::error::Error for TemplateError {}

impl Template {
    /// Parses a text. `{{` and `}}` stand for braces.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let (brace, after) = (&rest[at..=at], &rest[at + 1..]);
            if let Some(doubled) = after.strip_prefix(brace) {
                plain.push_str(brace);
                rest = doubled;
            } else if brace == "}" {
                plain.push('}');
                rest = after;
            } else {
                let (name, after) = after.split_once('}').ok_or(TemplateError::Unclosed)?;
                let variable =
                    Variable::parse(name).ok_or_else(|| TemplateError::Unknown(name.to_owned()))?;
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain).into()));
                }
                parts.push(Part::Variable(variable));
                rest = after;
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() || parts.is_empty() {
            parts.push(Part::Text(plain.into()));
        }
        Ok(Self { parts })
    }

    /// The text itself if it has no variables.
    pub fn as_plain(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The variables in order.
    pub fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable(variable) => Some(variable),
            Part::Text(_) => None,
        })
    }

    /// Appends the text with the variables' values. Absent values are empty; bytes that may not stand in a field
    /// value (controls) are left out, so that no client can add lines to a head through a variable.
    pub fn render(&self, exchange: &Exchange, out: &mut String) {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Variable(variable) => variable.render(exchange, out),
            }
        }
    }

    /// As [`Template::render`], for HTML: what variables hold is escaped, as a client may have written it.
    pub fn render_html(&self, exchange: &Exchange, out: &mut String) {
        let mut value = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Variable(variable) => {
                    value.clear();
                    variable.render(exchange, &mut value);
                    value.chars().for_each(|c| push_escaped(c, out));
                }
            }
        }
    }
}

fn push_escaped(c: char, out: &mut String) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&#39;"),
        plain => out.push(plain),
    }
}
