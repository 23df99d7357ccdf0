//! Text with variables, such as `https://{request.host}/new/{path.rest}`.
//!
//! Parsed when the config is built, so that a misspelt variable is an error then and not an empty string later. There
//! is one parser for every set of variables: [`Template`] knows those of an exchange, an access log adds its own.

mod agreed;
mod variable;

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;

use crate::exchange::Exchange;
pub use agreed::Agreed;
pub use variable::Variable;

/// A set of variables: what may stand between braces.
pub trait Variables: Sized {
    /// The variable of a name; `None` if there is none.
    fn named(name: &str) -> Option<Self>;

    /// All names, for messages.
    fn known() -> Vec<&'static str>;
}

/// A text with the variables of an exchange.
pub type Template = TemplateOf<Variable>;

/// A parsed text with variables of the set `V`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateOf<V> {
    parts: Vec<Part<V>>,
}

/// A piece of a parsed text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part<V> {
    /// Text that stands for itself.
    Text(Box<str>),
    /// A variable.
    Variable(V),
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
            Self::Unknown(name) => {
                write!(f, "unknown variable `{{{name}}}`; known are {}", listed(&Variable::known()))
            }
        }
    }
}

impl TemplateError {
    /// What is wrong with a text that was to hold variables of the set `V`, and what to do about it.
    pub fn told<V: Variables>(&self) -> (String, String) {
        let Self::Unknown(name) = self else {
            return ("`{` without `}`".to_owned(), "write `{{` for a brace".to_owned());
        };
        let known = V::known();
        let repair = match usher_config::closest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{{{near}}}`?"),
            None => format!("for a literal brace write `{{{{`; known are {}", listed(&known)),
        };
        (format!("unknown variable `{{{name}}}`"), repair)
    }

    /// Where it is in the text.
    pub fn place(&self, text: &str) -> Option<Range<usize>> {
        match self {
            Self::Unknown(name) => text.find(&format!("{{{name}}}")).map(|at| at..at + name.len() + 2),
            Self::Unclosed => text.rfind('{').map(|at| at..at + 1),
        }
    }
}

fn listed(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

impl std::error::Error for TemplateError {}

/// The parts that are read so far, and the text since the last variable.
struct Reading<V> {
    parts: Vec<Part<V>>,
    plain: String,
}

impl<V> Reading<V> {
    fn new() -> Self {
        Self { parts: Vec::new(), plain: String::new() }
    }

    fn variable(&mut self, variable: V) {
        self.end_text();
        self.parts.push(Part::Variable(variable));
    }

    fn end_text(&mut self) {
        if !self.plain.is_empty() {
            self.parts.push(Part::Text(std::mem::take(&mut self.plain).into()));
        }
    }

    fn finish(mut self, rest: &str) -> TemplateOf<V> {
        self.plain.push_str(rest);
        self.end_text();
        TemplateOf { parts: self.parts }
    }
}

impl<V: Variables> TemplateOf<V> {
    /// Parses a text. `{{` and `}}` stand for braces.
    ///
    /// # Errors
    /// A variable that does not exist, or a brace without its other half.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut reading = Reading::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            reading.plain.push_str(&rest[..at]);
            let (brace, after) = (&rest[at..=at], &rest[at + 1..]);
            let doubled = after.strip_prefix(brace);
            if doubled.is_some() || brace == "}" {
                reading.plain.push_str(brace);
                rest = doubled.unwrap_or(after);
            } else {
                let (name, after) = after.split_once('}').ok_or(TemplateError::Unclosed)?;
                let variable = V::named(name).ok_or_else(|| TemplateError::Unknown(name.to_owned()))?;
                reading.variable(variable);
                rest = after;
            }
        }
        Ok(reading.finish(rest))
    }

    /// Parses a text with braces of its own, such as a page with styles and scripts: braces around anything but a
    /// variable stand for themselves, doubled ones too.
    pub fn parse_lenient(text: &str) -> Self {
        let mut reading = Reading::new();
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            reading.plain.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            // A name holds no brace, so the next brace ends it: each byte is looked at twice at most.
            let end = after.find(['{', '}']).filter(|end| after[*end..].starts_with('}'));
            let found = end.and_then(|end| Some((V::named(&after[..end])?, &after[end + 1..])));
            rest = match found {
                Some((variable, behind)) => {
                    reading.variable(variable);
                    behind
                }
                None => {
                    reading.plain.push('{');
                    after
                }
            };
        }
        reading.finish(rest)
    }
}

impl<V> TemplateOf<V> {
    /// Text and variables, in order.
    pub fn parts(&self) -> &[Part<V>] {
        &self.parts
    }

    /// The text itself if it has no variables.
    pub fn as_plain(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The variables in order.
    pub fn variables(&self) -> impl Iterator<Item = &V> {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable(variable) => Some(variable),
            Part::Text(_) => None,
        })
    }
}

impl Template {
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
