//! Readers: the bytes of one text become a [`Document`].

mod json;
mod scalar;
mod toml;
mod yaml;

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
        match path.extension()?.to_str()? {
            "toml" => Some(Self::Toml),
            "yaml" | "yml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// For a text without a file name: JSON if it starts with `{`, otherwise TOML.
    pub fn of_text(text: &str) -> Self {
        if text.trim_start().starts_with('{') { Self::Json } else { Self::Toml }
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
    errors.truncate(MAX_SYNTAX_ERRORS);
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

/// The text of a file's bytes: UTF-8, with a byte order mark taken away.
pub fn text_of(bytes: Vec<u8>, name: &str) -> Result<String, Diagnostic> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Diagnostic::error(format!("`{name}` is written in UTF-16")).help("save it as UTF-8"));
    }
    if bytes.len() > MAX_BYTES {
        let message = format!("`{name}` has more than {} MiB", MAX_BYTES / (1024 * 1024));
        return Err(Diagnostic::error(message).help("split it into files and name them in `include`"));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)),
        Err(error) => {
            let offset = error.utf8_error().valid_up_to();
            let good = &error.as_bytes()[..offset];
            let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
            let message = format!("`{name}` is not UTF-8: line {line} holds a byte that is not text");
            Err(Diagnostic::error(message).help("save the file as UTF-8"))
        }
    }
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
