//! What is wrong with a config: a message, the places it is about, and what to do next.

use crate::source::{Sources, Span};

/// How the error begins that stands for all that are not told.
const MORE: &str = "there are more than";

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The config cannot be used.
    Error,
    /// The config works, though probably not as meant.
    Warning,
}

/// A place with a remark on it; the remark may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What to say about it.
    pub text: String,
}

/// One finding. The first label is the place at fault, further labels are places that explain it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// What happened: lower case, no full stop.
    pub message: String,
    /// The places.
    pub labels: Vec<Label>,
    /// The repair.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error without a place yet.
    pub fn error(message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, message: message.into(), labels: Vec::new(), help: None }
    }

    /// The last error of a report that tells no more than `limit` of them.
    pub(crate) fn and_more(limit: usize, what: &str) -> Self {
        Self::error(format!("{MORE} {limit} {what}; the others are not shown"))
    }

    /// A warning without a place yet.
    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// Adds a place; `text` may be empty. [`Span::NONE`] adds nothing.
    #[must_use]
    pub fn at(mut self, span: Span, text: impl Into<String>) -> Self {
        if !span.is_none() {
            self.labels.push(Label { span, text: text.into() });
        }
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// Like [`Diagnostic::help`] when there is something to say.
    #[must_use]
    pub fn maybe_help(mut self, text: Option<String>) -> Self {
        self.help = text.or(self.help);
        self
    }

    /// Whether the config cannot be used.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The text for people: message, file:line:column, line, caret, help. `colour` adds terminal escapes.
    pub fn render(&self, sources: &Sources, colour: bool) -> String {
        crate::render::diagnostic(self, sources, colour)
    }
}

/// Why a config was refused: every finding, in the order of the text.
#[derive(Debug, Clone)]
pub struct Report {
    diagnostics: Vec<Diagnostic>,
    sources: Sources,
}

impl Report {
    /// Sorts the findings by place, those without one first, and joins them with the texts they speak of.
    pub fn new(mut diagnostics: Vec<Diagnostic>, sources: Sources) -> Self {
        let is_last = |found: &Diagnostic| found.message.starts_with(MORE);
        diagnostics.sort_by_key(|found| (is_last(found), found.labels.first().map(|label| label.span)));
        let mut told: Vec<Diagnostic> = Vec::with_capacity(diagnostics.len());
        for found in diagnostics {
            // Those of one place stand together.
            let same = |other: &&Diagnostic| other.labels.first() == found.labels.first();
            if !told.iter().rev().take_while(same).any(|other| *other == found) {
                told.push(found);
            }
        }
        Self { diagnostics: told, sources }
    }

    /// The findings.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// The texts.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// All findings and a last line that counts them. `colour` adds terminal escapes.
    pub fn render(&self, colour: bool) -> String {
        crate::render::all(&self.diagnostics, &self.sources, colour)
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Report {}
