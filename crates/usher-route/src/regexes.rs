//! Regexes: reading one with the position of a mistake, and searching many at once.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use regex::{RegexSet, RegexSetBuilder};

use crate::PatternError;

/// The most memory that the automaton of one set of regexes may take, in bytes.
const REGEX_SET_BYTES: usize = 64 << 20;

/// Checks `pattern`, which starts at byte `at` of the text that the user wrote, and returns it so that it matches whole
/// values only.
pub(crate) fn whole(pattern: &str, at: usize) -> Result<String, PatternError> {
    if let Err(error) = regex_syntax::Parser::new().parse(pattern) {
        let (span, message) = match &error {
            regex_syntax::Error::Parse(e) => (Some(e.span()), e.kind().to_string()),
            regex_syntax::Error::Translate(e) => (Some(e.span()), e.kind().to_string()),
            _ => (None, "it cannot be read".to_owned()),
        };
        let span = span.map_or(0..pattern.len(), |s| s.start.offset..s.end.offset);
        return Err(PatternError::new(at + span.start..at + span.end, format!("bad regex: {message}")));
    }
    Ok(format!(r"\A(?:{pattern})\z"))
}

/// The error of a regex that can be read but not compiled.
pub(crate) fn too_big(pattern: &str, at: usize, error: &regex::Error) -> PatternError {
    let message = match error {
        regex::Error::CompiledTooBig(limit) => {
            format!("the regex needs more than {limit} bytes when compiled")
        }
        _ => "the regex cannot be anchored; does it end in a comment?".to_owned(),
    };
    PatternError::new(at..at + pattern.len(), message)
}

/// Something for each of a set of regexes, all of which are tried in one pass.
pub(crate) struct Regexes<T> {
    set: RegexSet,
    of: Vec<T>,
    /// Where the item of each source is; emptied by `compile`.
    places: HashMap<String, usize, FixedState>,
    sources: Vec<String>,
}

impl<T> Default for Regexes<T> {
    fn default() -> Self {
        Self { set: RegexSet::empty(), of: Vec::new(), places: HashMap::default(), sources: Vec::new() }
    }
}

impl<T: Default> Regexes<T> {
    /// The item of the regex `source`, new if there is none.
    pub(crate) fn entry(&mut self, source: &str) -> &mut T {
        let place = *self.places.entry(source.to_owned()).or_insert_with(|| {
            self.of.push(T::default());
            self.sources.push(source.to_owned());
            self.of.len() - 1
        });
        &mut self.of[place]
    }
}

impl<T> Regexes<T> {
    /// Makes the automaton; to be called once all items are in.
    pub(crate) fn compile(&mut self, ignore_case: bool) -> Result<(), regex::Error> {
        self.places = HashMap::default();
        let sources = std::mem::take(&mut self.sources);
        self.set = RegexSetBuilder::new(sources)
            .case_insensitive(ignore_case)
            .size_limit(REGEX_SET_BYTES)
            .build()?;
        Ok(())
    }

    pub(crate) fn items_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.of.iter_mut()
    }

    /// Calls `visit` with the item of every regex that matches `text`.
    pub(crate) fn each(&self, text: &str, mut visit: impl FnMut(&T)) {
        for place in &self.set.matches(text) {
            if let Some(item) = self.of.get(place) {
                visit(item);
            }
        }
    }
}
