//! Readers: the bytes of one text become a [`Document`].

mod json;
mod scalar;
mod toml;
mod yaml;

use std::ops::Range;
use std::path::Path;

use crate::diagnostic::Diagnostic;
use crate::document::Document;
use crate::source::{SourceId, Sources, Span};

/// Bytes that one text may have.
pub const MAX_BYTES: usize = 32 * 1024 * 1024;
/// Levels to which tables and lists may be nested (JSON and YAML; the TOML library has a limit of its own, 80).
pub const MAX_DEPTH: usize = 64;
/// Syntax errors that are reported for one text.
const MAX_SYNTAX_ERRORS: usize = 20;
/// Bytes of a line that are shown from the first one on that is not text.
const MAX_FAULTY: usize = 200;

/// How a text is written. All three carry the same schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// TOML 1.0, the house format.
    Toml,
    /// YAML 1.2, core schema.
    Yaml,
    /// JSON, RFC 8259.
    Json,
}

impl Format {
    /// By the extension of a file: `.toml`, `.yaml`, `.yml`, `.json`.
    pub fn of_path(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "toml" => Some(Self::Toml),
            "yaml" | "yml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// For a text without a file name, by the first line that is not a comment: JSON if it starts with `{`, YAML if it
    /// starts a document or a list, or has a key that is followed by a colon, otherwise TOML.
    pub fn of_text(text: &str) -> Self {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let first = lines.next().unwrap_or_default();
        // Neither `:` nor a document's dashes may follow a key of TOML.
        let key = first.trim_start_matches(['"', '\'']);
        let end = key.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.')));
        let behind = end.map_or("", |end| key[end..].trim_start_matches(['"', '\'']).trim_start());
        if first.starts_with('{') || first.starts_with("[{") {
            Self::Json
        } else if first == "---"
            || first.starts_with("--- ")
            || first.starts_with("- ")
            || behind.starts_with(':')
        {
            Self::Yaml
        } else {
            Self::Toml
        }
    }
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "toml" => Ok(Self::Toml),
            "yaml" | "yml" => Ok(Self::Yaml),
            "json" => Ok(Self::Json),
            _ => Err(format!("unknown format `{name}`: write `toml`, `yaml` or `json`")),
        }
    }
}

/// Reads a text that is already in the store. The errors are those of syntax, repeated keys among them.
pub fn read(sources: &Sources, id: SourceId, format: Format) -> Result<Document, Vec<Diagnostic>> {
    let text = sources.get(id).map_or("", |source| source.text());
    let (root, mut errors) = match format {
        Format::Toml => toml::read(text, id),
        Format::Yaml => yaml::read(text, id),
        Format::Json => json::read(text, id),
    };
    if errors.len() > MAX_SYNTAX_ERRORS {
        errors.truncate(MAX_SYNTAX_ERRORS);
        errors.push(Diagnostic::and_more(MAX_SYNTAX_ERRORS, "errors of syntax"));
    }
    match root {
        Some(root) if errors.is_empty() && root.as_table().is_some() => Ok(Document { root }),
        Some(root) if errors.is_empty() => Err(vec![not_a_table(&root)]),
        _ => Err(errors),
    }
}

fn not_a_table(root: &crate::document::Node) -> Diagnostic {
    Diagnostic::error("the document is not a table of settings")
        .at(root.span, format!("this is {}", root.describe()))
        .help("write `key: value` lines (YAML) or one object in braces (JSON)")
}

/// Bytes that are no text.
pub(crate) struct NotText {
    /// What is wrong.
    pub(crate) error: Diagnostic,
    /// The text up to the end of the line at fault, and where in it the fault is.
    pub(crate) shown: Option<(String, Range<usize>)>,
}

impl From<Diagnostic> for NotText {
    fn from(error: Diagnostic) -> Self {
        Self { error, shown: None }
    }
}

/// The text of a file's bytes: UTF-8, with a byte order mark taken away.
pub(crate) fn text_of(bytes: Vec<u8>, name: &str) -> Result<String, NotText> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let error = Diagnostic::error(format!("`{name}` is written in UTF-16"));
        return Err(error.help("save it as UTF-8").into());
    }
    if bytes.len() > MAX_BYTES {
        let message = format!("`{name}` has more than {} MiB", MAX_BYTES / (1024 * 1024));
        return Err(Diagnostic::error(message).help("split it into files and name them in `include`").into());
    }
    let valid = std::str::from_utf8(&bytes).map_or_else(|error| error.valid_up_to(), str::len);
    let fault = bytes.iter().take(valid).position(|byte| *byte == 0).unwrap_or(valid);
    if fault < bytes.len() {
        return Err(no_text(&bytes, fault, name));
    }
    let text = String::from_utf8(bytes).unwrap_or_default();
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// The error for a byte that is not UTF-8, or NUL.
fn no_text(bytes: &[u8], fault: usize, name: &str) -> NotText {
    let start = if bytes.starts_with("\u{feff}".as_bytes()) { 3.min(fault) } else { 0 };
    let line = bytes[fault..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| fault + end);
    let mut text = String::from_utf8_lossy(&bytes[start..fault]).into_owned();
    let rest = String::from_utf8_lossy(&bytes[fault..line.min(fault + MAX_FAULTY)]);
    let place = text.len()..text.len() + rest.chars().next().map_or(0, char::len_utf8);
    text.push_str(&rest);
    let error = match bytes.get(fault) {
        Some(0) => Diagnostic::error(format!("`{name}` holds a NUL byte, so it is not a text")),
        _ => Diagnostic::error(format!("`{name}` is not UTF-8")).help("save the file as UTF-8"),
    };
    NotText { error, shown: Some((text, place)) }
}

/// A key that stands twice in one table.
fn duplicate(name: &str, again: Span, first: Span) -> Diagnostic {
    Diagnostic::error(format!("the key `{name}` is set twice"))
        .at(again, "set again here")
        .at(first, "first set here")
        .help("keep one of the two")
}

/// The error for nesting past [`MAX_DEPTH`].
fn too_deep(span: Span) -> Diagnostic {
    Diagnostic::error(format!("values are nested more than {MAX_DEPTH} levels deep")).at(span, "")
}
