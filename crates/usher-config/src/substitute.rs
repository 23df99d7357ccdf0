//! `${NAME}` and `${NAME:-default}` inside texts, from the environment; `$${` stands for `${`.

use crate::diagnostic::Diagnostic;
use crate::document::{Node, Value};
use crate::source::{Sources, Span};

/// Bytes that one text may have after substitution.
const MAX_TEXT: usize = 1024 * 1024;

/// A text whose variables have no value.
pub(crate) struct Unset {
    /// The whole text.
    pub(crate) value: Span,
    /// What is wrong.
    pub(crate) error: Diagnostic,
}

/// Texts whose faults are told; of very many, the others stay as they are.
const MAX_UNSET: usize = 100;

/// Replaces the variables in every text below `node`. Keys are left as they are.
pub(crate) fn substitute(
    node: &mut Node,
    env: &dyn Fn(&str) -> Option<String>,
    sources: &Sources,
    errors: &mut Vec<Unset>,
) {
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| substitute(item, env, sources, errors)),
        Value::Table(entries) => {
            entries.iter_mut().for_each(|(_, node)| substitute(node, env, sources, errors))
        }
        Value::String(text) if text.contains("${") => match expand(text, env) {
            Ok(expanded) => {
                *text = expanded.text;
                node.substituted = expanded.whole;
            }
            Err(fault) if errors.len() < MAX_UNSET => {
                errors.push(Unset { value: node.span, error: fault.diagnostic(node.span, sources) });
            }
            Err(_) => {}
        },
        _ => {}
    }
}

struct Expanded {
    text: String,
    /// The text was one variable and nothing else.
    whole: bool,
}

/// What is wrong, and the piece of the text that it is wrong with.
struct Fault {
    piece: String,
    message: String,
    help: &'static str,
}

impl Fault {
    /// The piece is looked for in what the user wrote, so that the caret stands under it rather than the whole text.
    fn diagnostic(self, span: Span, sources: &Sources) -> Diagnostic {
        let found = sources.slice(span).find(&self.piece).map(|at| {
            let start = span.range().start + at;
            Span::new(span.source, start..start + self.piece.len())
        });
        Diagnostic::error(self.message).at(found.unwrap_or(span), "").help(self.help)
    }
}

fn expand(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Expanded, Fault> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut pieces = 0;
    while let Some(at) = rest.find("${") {
        let (before, tail) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = &tail[2..];
            pieces += 2;
            continue;
        }
        out.push_str(before);
        let Some(length) = tail.find('}') else {
            return Err(fault(tail, "`${` without its `}`".to_owned(), "write `$${` for a literal `${`"));
        };
        out.push_str(&variable(&tail[..=length], env)?);
        rest = &tail[length + 1..];
        pieces += if before.is_empty() { 1 } else { 2 };
        if out.len() > MAX_TEXT {
            return Err(fault(
                &tail[..=length],
                "the text grows past 1 MiB".to_owned(),
                "use a shorter value",
            ));
        }
    }
    out.push_str(rest);
    Ok(Expanded { text: out, whole: pieces == 1 && rest.is_empty() })
}

/// The value of one `${…}`.
fn variable(piece: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, Fault> {
    let inner = piece.trim_start_matches("${").trim_end_matches('}');
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    if !is_name(name) {
        let (message, help) = match name {
            "" => ("`${}` names no variable".to_owned(), "write `${NAME}`, or `$${` for a literal `${`"),
            _ if name.contains('-') => (
                format!("`{name}` is not the name of a variable"),
                "a default is written `${NAME:-default}`; a name is letters, digits and `_`",
            ),
            _ => (
                format!("`{name}` is not the name of a variable"),
                "a name is letters, digits and `_`; write `$${` for a literal `${`",
            ),
        };
        return Err(fault(piece, message, help));
    }
    // Like a shell's `:-`, an empty variable counts as unset.
    match (env(name).filter(|value| default.is_none() || !value.is_empty()), default) {
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => {
            let message = format!("the environment variable `{name}` is not set");
            Err(fault(piece, message, "set it, or give a default: `${NAME:-default}`"))
        }
    }
}

fn is_name(name: &str) -> bool {
    let starts = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    starts && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn fault(piece: &str, message: String, help: &'static str) -> Fault {
    Fault { piece: piece.to_owned(), message, help }
}
