//! From a tree to typed values, collecting every error.

mod collection;
mod macros;
mod misplaced;
mod scalar;
pub(crate) mod table;

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

pub use collection::{Named, OneOrMany, Spanned};
#[doc(hidden)]
pub use macros::name;
pub use scalar::{Ranged, number_range};
#[doc(hidden)]
pub use table::{Rules, TableReader, check_range, check_value, field, key_name, range_of};

use crate::diagnostic::{Diagnostic, Report};
use crate::document::Node;
use crate::schema::Schema;
use crate::source::{Sources, Span};
use crate::value::ValueError;

/// Diagnostics that are kept; a config with more mistakes has one big mistake.
const MAX_DIAGNOSTICS: usize = 100;

/// The two ends of a range as they would be written, as far as it has them.
pub type Ends = (Option<serde_json::Value>, Option<serde_json::Value>);

/// A type that can be read from a document.
pub trait Decode: Sized {
    /// Reads the value and reports what is wrong to `cx`.
    ///
    /// `None` means that there is nothing to go on with. `Some` after an error may hold stand-ins (a default, a list
    /// without its broken items), so that more errors are found; whether the whole is usable is
    /// [`Context::has_errors`].
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self>;

    /// What may be written.
    fn schema() -> Schema;

    /// The value when the key is missing; `None` makes the key required. Only `Option` has one.
    fn absent() -> Option<Self> {
        None
    }

    /// The value as it would be written, for defaults in the manual and for `usher explain`. Null if there is no
    /// way to write it.
    fn encode(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
}

/// A type that `section!` made.
pub trait Section: Decode {
    /// The keys that it has, in the order of definition.
    const KEYS: &'static [&'static str];
}

/// What decoding needs to know, and where it puts what it finds.
#[derive(Debug)]
pub struct Context<'a> {
    sources: &'a Sources,
    diagnostics: Vec<Diagnostic>,
    failed: bool,
    files: Vec<PathBuf>,
    /// The field that is read now: where its value stands, and the least and the greatest that it may be.
    range: Option<(Span, fn() -> Ends)>,
}

impl<'a> Context<'a> {
    /// A context without findings.
    pub fn new(sources: &'a Sources) -> Self {
        Self { sources, diagnostics: Vec::new(), failed: false, files: Vec::new(), range: None }
    }

    /// The texts.
    pub fn sources(&self) -> &'a Sources {
        self.sources
    }

    /// Adds a finding. Of very many, the last are not kept.
    pub fn push(&mut self, found: Diagnostic) {
        self.failed |= found.is_error();
        match self.diagnostics.len().cmp(&MAX_DIAGNOSTICS) {
            Ordering::Less => self.diagnostics.push(found),
            Ordering::Equal => self.diagnostics.push(Diagnostic::and_more(MAX_DIAGNOSTICS, "findings")),
            Ordering::Greater => {}
        }
    }

    /// Whether further findings are not kept, so that it is not worth looking for them.
    pub fn is_full(&self) -> bool {
        self.diagnostics.len() > MAX_DIAGNOSTICS
    }

    /// Adds an error at a place.
    pub fn error(&mut self, span: Span, message: impl Into<String>) {
        self.push(Diagnostic::error(message).at(span, ""));
    }

    /// Adds an error at a place, with its repair.
    pub fn error_help(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.push(Diagnostic::error(message).at(span, "").help(help));
    }

    /// Adds a warning at a place.
    pub fn warn(&mut self, span: Span, message: impl Into<String>) {
        self.push(Diagnostic::warning(message).at(span, ""));
    }

    /// "Expected …, found …".
    pub fn wrong_type(&mut self, node: &Node, expected: &str) {
        self.push(
            Diagnostic::error(format!("expected {expected}, found {}", node.describe())).at(node.span, ""),
        );
    }

    /// Adds the error of a value type; gives the value otherwise.
    pub fn value<T>(&mut self, span: Span, result: Result<T, ValueError>) -> Option<T> {
        let found =
            result.map_err(|error| Diagnostic::error(error.message).at(span, "").maybe_help(error.help));
        found.map_err(|found| self.push(found)).ok()
    }

    /// Reads a text and parses it; for the value types.
    pub fn parse<T>(
        &mut self,
        node: &Node,
        expected: &str,
        parse: impl FnOnce(&str) -> Result<T, ValueError>,
    ) -> Option<T> {
        let Some(text) = node.as_str() else {
            self.wrong_type(node, expected);
            return None;
        };
        self.value(node.span, parse(text))
    }

    /// A path as written at `span`: relative to the file that it is written in.
    pub fn resolve(&self, span: Span, path: &str) -> PathBuf {
        let directory = self.sources.get(span.source).map_or(Path::new(""), |source| source.directory());
        directory.join(path)
    }

    /// Remembers a file whose content became part of the config, so that a change of it is noticed.
    pub fn uses_file(&mut self, path: PathBuf) {
        self.files.push(path);
    }

    /// The files that [`Context::uses_file`] was told.
    pub fn take_files(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.files)
    }

    /// The least and the greatest that the value at a place may be, if its field says so.
    fn range_at(&self, span: Span) -> Ends {
        let own = self.range.filter(|(place, _)| *place == span);
        own.map_or((None, None), |(_, range)| range())
    }

    /// Whether an error was found; warnings do not count.
    pub fn has_errors(&self) -> bool {
        self.failed
    }

    /// What was found.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// What was found, for good.
    pub fn finish(self) -> Vec<Diagnostic> {
        self.diagnostics
    }
}

/// Decodes one section by itself, as an extension does with its own.
///
/// # Errors
/// All that is wrong with it.
pub fn decode<T: Decode>(node: &Node, sources: &Sources) -> Result<T, Vec<Diagnostic>> {
    let mut cx = Context::new(sources);
    let value = T::decode(node, &mut cx);
    match value {
        Some(value) if !cx.has_errors() => Ok(value),
        _ => Err(cx.finish()),
    }
}

/// Reads a text without includes and environment, and decodes it; for tests of sections.
///
/// # Errors
/// All that is wrong with it.
pub fn decode_text<T: Decode>(text: &str, format: crate::Format) -> Result<T, Box<Report>> {
    let mut sources = Sources::new();
    let id = sources.add("test", ".", text.to_owned());
    let result =
        crate::read::read(&sources, id, format).and_then(|document| decode(&document.root, &sources));
    result.map_err(|found| Box::new(Report::new(found, sources)))
}
