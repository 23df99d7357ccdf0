//! What is wrong with a pattern, and where.

use std::fmt;
use std::ops::Range;

/// A pattern that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    /// The bytes of the pattern's text that are at fault; empty if the end is.
    pub span: Range<usize>,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl PatternError {
    pub(crate) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into() }
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.message, self.span.start + 1)
    }
}

impl std::error::Error for PatternError {}
