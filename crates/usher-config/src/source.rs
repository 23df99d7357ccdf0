//! The texts that a config was read from, and places in them.

use std::ops::Range;
use std::path::{Path, PathBuf};

/// Which text a [`Span`] lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(u32);

/// A range of bytes in one source. Cheap to copy; [`Span::NONE`] stands for "written nowhere", such as a default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The text.
    pub source: SourceId,
    /// Offset of the first byte.
    pub start: u32,
    /// Offset after the last byte.
    pub end: u32,
}

impl Span {
    /// Nowhere: the value was not written by the user.
    pub const NONE: Self = Self { source: SourceId(u32::MAX), start: 0, end: 0 };

    /// The bytes `range` of `source`. Offsets over 4 GiB are cut; sources are far smaller
    /// ([`crate::read::MAX_BYTES`]).
    pub fn new(source: SourceId, range: Range<usize>) -> Self {
        let cut = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Self { source, start: cut(range.start), end: cut(range.end.max(range.start)) }
    }

    /// Whether this is [`Span::NONE`].
    pub fn is_none(self) -> bool {
        self.source == Self::NONE.source
    }

    /// The range as offsets into the source's text.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// One text: a file, or standard input.
#[derive(Debug, Clone)]
pub struct Source {
    name: String,
    directory: PathBuf,
    text: String,
    line_starts: Vec<u32>,
}

impl Source {
    /// What diagnostics call it: the path as the user wrote it, or `<stdin>`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text, without a byte order mark.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What relative paths written in this text are relative to; empty is the working directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The zero-based line that holds the byte at `offset`.
    fn line_of(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start as usize <= offset).saturating_sub(1)
    }

    /// The bytes of a zero-based line, without its line end.
    pub(crate) fn line_range(&self, line: usize) -> Range<usize> {
        let start = self.line_starts.get(line).map_or(self.text.len(), |start| *start as usize);
        let end = self.line_starts.get(line + 1).map_or(self.text.len(), |next| *next as usize);
        let line = self.text.get(start..end).unwrap_or("");
        start..start + line.trim_end_matches(['\n', '\r']).len()
    }
}

/// A place as people write it: `usher.toml:3:14`. Both numbers start at 1; the column counts characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place<'a> {
    /// Name of the source.
    pub name: &'a str,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.name, self.line, self.column)
    }
}

/// All texts of one config, so that diagnostics can show the lines they speak of.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    list: Vec<Source>,
}

impl Sources {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps a text. `directory` is what relative paths in it are relative to.
    pub fn add(&mut self, name: impl Into<String>, directory: impl Into<PathBuf>, text: String) -> SourceId {
        let id = SourceId(u32::try_from(self.list.len()).unwrap_or(u32::MAX - 1));
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = breaks.map(|(offset, _)| u32::try_from(offset + 1).unwrap_or(u32::MAX));
        let line_starts = std::iter::once(0).chain(starts).collect();
        self.list.push(Source { name: name.into(), directory: directory.into(), text, line_starts });
        id
    }

    /// The text with this id; none for [`Span::NONE`]'s.
    pub fn get(&self, id: SourceId) -> Option<&Source> {
        self.list.get(id.0 as usize)
    }

    /// The bytes of a span; empty when it lies nowhere.
    pub fn slice(&self, span: Span) -> &str {
        self.get(span.source).and_then(|source| source.text.get(span.range())).unwrap_or("")
    }

    /// The place of a part of a text that stands at `span`. The whole text where it is not written as it reads (escapes,
    /// variables of the environment).
    pub fn part(&self, span: Span, text: &str, part: Range<usize>) -> Span {
        let Some(at) = self.slice(span).find(text).filter(|_| !text.is_empty()) else { return span };
        let start = span.range().start + at;
        Span::new(span.source, start + part.start..start + part.end)
    }

    /// Where a span starts, for people.
    pub fn place(&self, span: Span) -> Option<Place<'_>> {
        let source = self.get(span.source)?;
        let line = source.line_of(span.start as usize);
        let before = source.text.get(source.line_range(line).start..span.start as usize).unwrap_or("");
        Some(Place { name: &source.name, line: line + 1, column: before.chars().count() + 1 })
    }
}
