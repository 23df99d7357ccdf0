//! `endpoints_file` of a cluster: what stands in such a file.
//!
//! A half-written file may look like a whole one with fewer endpoints. So a text whose end can be recognized must have
//! it: a list of lines its last newline.

use std::path::Path;

use super::Endpoint;
use crate::decode::{Context, Decode as _, Spanned};
use crate::diagnostic::{Diagnostic, Report};
use crate::document::{Node, Value};
use crate::read::{self, Format, NotText};
use crate::source::{SourceId, Sources, Span};

/// Bytes that such a file may have: some 100,000 endpoints.
pub const MAX_ENDPOINTS_FILE: usize = 8 << 20;
/// Endpoints that one may name.
const MAX_ENDPOINTS: usize = 100_000;

crate::section! {
    /// Endpoints in a file of their own.
    pub struct EndpointsFile {
        /// The endpoints: addresses, or tables with more about each. An empty list is a cluster without endpoints.
        pub endpoints: Vec<Spanned<Endpoint>>,
    }
}

impl EndpointsFile {
    /// Reads one. `path` tells its format: TOML, YAML or JSON by their endings, and otherwise an address in each line,
    /// with its weight behind it, if it has one. The texts are for what turns out to be wrong later.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read(path: &Path, bytes: Vec<u8>) -> Result<(Self, Sources), Box<Report>> {
        let name = path.display().to_string();
        let mut sources = Sources::new();
        let text = match read::text_of(bytes, &name) {
            Ok(text) => text,
            Err(NotText { error, shown }) => {
                let place = shown.map(|(text, range)| Span::new(sources.add(name, "", text), range));
                let error = error.at(place.unwrap_or(Span::NONE), "");
                return Err(Box::new(Report::new(vec![error], sources)));
            }
        };
        let id = sources.add(name, path.parent().unwrap_or(Path::new("")), text);
        let mut cx = Context::new(&sources);
        let found = match Format::of_path(path) {
            Some(format) => structured(id, format, &mut cx),
            None => Some(lines(id, &mut cx)),
        };
        if let Some(many) = found.as_ref().and_then(|file| file.endpoints.get(MAX_ENDPOINTS)) {
            cx.error(many.span, format!("more than {MAX_ENDPOINTS} endpoints"));
        }
        let failed = cx.has_errors();
        let diagnostics = cx.finish();
        match found {
            Some(found) if !failed => Ok((found, sources)),
            _ => Err(Box::new(Report::new(diagnostics, sources))),
        }
    }
}

fn structured(id: SourceId, format: Format, cx: &mut Context<'_>) -> Option<EndpointsFile> {
    let text = cx.sources().get(id).map_or("", |source| source.text());
    if format == Format::Yaml {
        is_ended(id, text, cx);
    }
    match read::read(cx.sources(), id, format) {
        Ok(document) => EndpointsFile::decode(&document.root, cx),
        Err(errors) => {
            errors.into_iter().for_each(|error| cx.push(error));
            None
        }
    }
}

/// A text that ends in the middle of a line is perhaps being written.
fn is_ended(id: SourceId, text: &str, cx: &mut Context<'_>) {
    let help = "end it with a newline; for no endpoints at all, write a comment";
    if text.trim().is_empty() {
        cx.push(Diagnostic::error("the file is empty: it may be half-written").help(help));
    } else if !text.ends_with('\n') {
        let start = text.rfind('\n').map_or(0, |at| at + 1);
        let place = Span::new(id, start..text.len());
        cx.error_help(place, "the last line has no end: the file may be half-written", help);
    }
}

/// `10.0.0.1:3000 5 # comment`
fn lines(id: SourceId, cx: &mut Context<'_>) -> EndpointsFile {
    let text = cx.sources().get(id).map_or("", |source| source.text());
    is_ended(id, text, cx);
    let mut endpoints = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let said = line.split('#').next().unwrap_or_default();
        let mut words = Words { id, line: said, start, at: 0 };
        start += line.len();
        let Some(address) = words.next() else { continue };
        let weight = words.next();
        if let Some(more) = words.next() {
            let help = "write an address and perhaps a weight; a `.toml` file can say more";
            cx.error_help(more.span, "there is more in the line than an address and a weight", help);
            continue;
        }
        endpoints.extend(endpoint(address, weight, cx));
        if endpoints.len() > MAX_ENDPOINTS || cx.is_full() {
            break;
        }
    }
    EndpointsFile { endpoints }
}

fn endpoint(address: Node, weight: Option<Node>, cx: &mut Context<'_>) -> Option<Spanned<Endpoint>> {
    let span = address.span;
    let key = |name: &str| crate::Key { name: name.to_owned(), span };
    let mut entries = vec![(key("address"), address)];
    if let Some(mut weight) = weight {
        // A number as in any other format.
        if let Some(number) = weight.as_str().and_then(|text| text.parse().ok()) {
            weight.value = Value::Integer(number);
        }
        entries.push((key("weight"), weight));
    }
    Spanned::<Endpoint>::decode(&Node::new(span, Value::Table(entries)), cx)
}

/// The words of a line, with their places.
struct Words<'a> {
    id: SourceId,
    line: &'a str,
    /// Where the line begins.
    start: usize,
    at: usize,
}

impl Iterator for Words<'_> {
    type Item = Node;

    fn next(&mut self) -> Option<Node> {
        let rest = self.line.get(self.at..)?;
        let begin = self.at + (rest.len() - rest.trim_start().len());
        let word = rest.split_whitespace().next()?;
        self.at = begin + word.len();
        let span = Span::new(self.id, self.start + begin..self.start + self.at);
        Some(Node::new(span, Value::String(word.to_owned())))
    }
}

#[cfg(test)]
mod tests;
