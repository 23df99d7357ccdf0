//! YAML 1.2 with the core schema, from the events of `saphyr-parser`.
//!
//! The tree is built without recursion; what an alias repeats is counted, so a few lines cannot become a gigabyte.

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};

use super::{MAX_DEPTH, duplicate, scalar, too_deep};
use crate::diagnostic::Diagnostic;
use crate::document::{Key, Node, Value};
use crate::source::{SourceId, Span};

/// Values that all aliases of one text together may repeat.
const MAX_REPEATED: usize = 100_000;

/// The root and the errors of syntax. An empty text is an empty table.
pub(super) fn read(text: &str, source: SourceId) -> (Option<Node>, Vec<Diagnostic>) {
    let mut builder = Builder::new(text, source);
    let mut parser = Parser::new_from_str(text);
    let result = loop {
        match parser.next_event() {
            None => break Ok(()),
            Some(Err(error)) => break Err(builder.syntax(&error)),
            Some(Ok((event, span))) => {
                let span = builder.places.span(span.start.index(), span.end.index());
                if let Err(error) = builder.event(event, span) {
                    break Err(error);
                }
            }
        }
    };
    builder.errors.extend(result.err());
    let empty = Node::new(Span::new(source, 0..0), Value::Table(Vec::new()));
    let root =
        builder.root.map_or(empty.clone(), |root| if root.value == Value::Null { empty } else { root });
    (Some(root), builder.errors)
}

/// Turns the parser's character offsets into byte offsets.
struct Places {
    source: SourceId,
    length: usize,
    /// Byte offset of each character; empty when the text is ASCII and the two are the same.
    offsets: Vec<u32>,
}

impl Places {
    fn new(text: &str, source: SourceId) -> Self {
        let wide = !text.is_ascii();
        let offsets =
            text.char_indices().filter(|_| wide).map(|(at, _)| u32::try_from(at).unwrap_or(u32::MAX));
        Self { source, length: text.len(), offsets: offsets.collect() }
    }

    fn byte(&self, index: usize) -> usize {
        if self.offsets.is_empty() {
            return index.min(self.length);
        }
        self.offsets.get(index).map_or(self.length, |offset| *offset as usize)
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.source, self.byte(start)..self.byte(end))
    }
}

/// A collection that is not closed yet.
struct Open {
    node: Node,
    anchor: usize,
    /// In a table: the key whose value comes next.
    key: Option<Key>,
    /// In a table: where each key was first set.
    seen: HashMap<String, Span>,
}

struct Builder<'t> {
    text: &'t str,
    places: Places,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    repeated: usize,
    root: Option<Node>,
    documents: usize,
    errors: Vec<Diagnostic>,
}

type Step = Result<(), Diagnostic>;

impl<'t> Builder<'t> {
    fn new(text: &'t str, source: SourceId) -> Self {
        Self {
            text,
            places: Places::new(text, source),
            open: Vec::new(),
            anchors: HashMap::new(),
            repeated: 0,
            root: None,
            documents: 0,
            errors: Vec::new(),
        }
    }

    fn syntax(&self, error: &ScanError) -> Diagnostic {
        let at = error.marker().index();
        let span = self.places.span(at, at + 1);
        if error.info().contains("recursion limit") {
            return too_deep(span);
        }
        let next = self.text.get(span.range().start..).and_then(|rest| rest.chars().next());
        let found = Diagnostic::error(format!("not valid YAML: {}", error.info())).at(span, "");
        found.maybe_help(repair(error.info(), next).map(str::to_owned))
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Step {
        match event {
            Event::DocumentStart(_) => self.document(span),
            Event::Scalar(text, style, anchor, tag) => {
                let node = self.scalar(&text, style, tag.as_ref(), span)?;
                self.value(node, anchor)
            }
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::SequenceStart(anchor, tag) => {
                self.start(Value::List(Vec::new()), anchor, tag.as_ref(), span)
            }
            Event::MappingStart(anchor, tag) => {
                self.start(Value::Table(Vec::new()), anchor, tag.as_ref(), span)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(done) => self.value(done.node, done.anchor),
                None => Ok(()),
            },
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn document(&mut self, span: Span) -> Step {
        self.documents += 1;
        if self.documents < 2 {
            return Ok(());
        }
        let error = Diagnostic::error("the text holds more than one YAML document")
            .at(span, "a second one starts here");
        Err(error.help("put it in a file of its own and name it in `include`"))
    }

    fn start(&mut self, value: Value, anchor: usize, tag: Option<&Cow<'_, Tag>>, span: Span) -> Step {
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(span));
        }
        if tag.is_some_and(|tag| !tag.is_yaml_core_schema()) {
            return Err(unknown_tag(span));
        }
        if let Some(table) = self.open.last().filter(|open| matches!(open.node.value, Value::Table(_)))
            && table.key.is_none()
        {
            return Err(
                Diagnostic::error("a key must be plain text").at(span, "this key is a list or a table")
            );
        }
        self.open.push(Open { node: Node::new(span, value), anchor, key: None, seen: HashMap::new() });
        Ok(())
    }

    fn scalar(
        &self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Cow<'_, Tag>>,
        span: Span,
    ) -> Result<Node, Diagnostic> {
        let value = match tag {
            Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => Value::String(text.to_owned()),
            Some(_) => return Err(unknown_tag(span)),
            None if style == ScalarStyle::Plain => scalar::core_schema(text),
            None => Value::String(text.to_owned()),
        };
        Ok(Node::new(self.trimmed(span), value))
    }

    /// The span without the white space and the comment that the parser counts to a scalar.
    fn trimmed(&self, span: Span) -> Span {
        let written = self.text.get(span.range()).unwrap_or("");
        let length = match written.chars().next() {
            Some(quote @ ('"' | '\'')) => quoted_length(written, quote),
            _ => written.find(" #").unwrap_or(written.len()),
        };
        let kept = written.get(..length).unwrap_or(written).trim_end();
        Span::new(span.source, span.range().start..span.range().start + kept.len())
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Step {
        let Some((node, size)) = self.anchors.get(&anchor) else {
            return Err(Diagnostic::error("the alias names no complete anchor").at(span, ""));
        };
        self.repeated = self.repeated.saturating_add(*size);
        if self.repeated > MAX_REPEATED {
            let message = format!("aliases repeat more than {MAX_REPEATED} values");
            return Err(Diagnostic::error(message).at(span, "the limit is reached here"));
        }
        let node = node.clone();
        if depth(&node) + self.open.len() > MAX_DEPTH {
            return Err(too_deep(span));
        }
        self.value(node, 0)
    }

    /// A value is complete: it becomes a key, an item, an entry, or the root.
    fn value(&mut self, node: Node, anchor: usize) -> Step {
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), size(&node)));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match (&mut open.node.value, open.key.take()) {
            (Value::List(items), _) => items.push(node),
            (Value::Table(entries), Some(key)) => entries.push((key, node)),
            (Value::Table(entries), None) => {
                if entries.is_empty() && open.node.span.start == open.node.span.end {
                    open.node.span = node.span;
                }
                let key = key_of(&node, self.text)?;
                if let Some(first) = open.seen.insert(key.name.clone(), key.span) {
                    self.errors.push(duplicate(&key.name, key.span, first));
                }
                open.key = Some(key);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Bytes up to and with the closing quote. In double quotes `\` escapes; in single quotes two stand for one.
fn quoted_length(written: &str, quote: char) -> usize {
    let mut chars = written.char_indices().skip(1).peekable();
    while let Some((at, char)) = chars.next() {
        let doubled = quote == '\'' && chars.peek().is_some_and(|(_, next)| *next == quote);
        if char == quote && !doubled {
            return at + 1;
        }
        if char == quote || (char == '\\' && quote == '"') {
            chars.next();
        }
    }
    written.len()
}

/// A key is the text of a scalar: `404` is the key "404".
fn key_of(node: &Node, text: &str) -> Result<Key, Diagnostic> {
    let name = match &node.value {
        Value::String(name) => name.clone(),
        Value::List(_) | Value::Table(_) => {
            return Err(Diagnostic::error("a key must be plain text").at(node.span, ""));
        }
        _ => text.get(node.span.range()).unwrap_or("").trim().to_owned(),
    };
    if name == "<<" {
        let error = Diagnostic::error("merge keys (`<<`) are not part of YAML 1.2").at(node.span, "");
        return Err(error.help("write the keys out, or share them by a `bundle`"));
    }
    Ok(Key { name, span: node.span })
}

/// What to do about an error of syntax; `next` is the character at its place.
fn repair(info: &str, next: Option<char>) -> Option<&'static str> {
    Some(match next {
        Some('*' | '&') => "a text that begins with `*` or `&` is written in quotes: `\"*.example.com\"`",
        Some('%' | '@' | '`') => "a text that begins with `%`, `@` or a backtick is written in quotes",
        _ if info.contains("tab") => "indent with spaces",
        _ if info.contains("mapping values are not allowed") => {
            "a text that holds `: ` is written in quotes; otherwise check the indentation"
        }
        _ if info.contains("quoted scalar") => "check where the quotes end",
        _ if info.contains("flow sequence") => "close the list by `]`",
        _ if info.contains("flow mapping") => "close the table by `}`",
        _ if info.contains("block collection") || info.contains("block mapping") => {
            "check the indentation: the keys of a table begin in one column"
        }
        _ => return None,
    })
}

fn unknown_tag(span: Span) -> Diagnostic {
    Diagnostic::error("tags (`!…`) mean nothing here").at(span, "").help("remove the tag")
}

/// How many values a node holds, itself included.
fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::List(items) => items.iter().map(size).sum(),
        Value::Table(entries) => entries.iter().map(|(_, node)| size(node)).sum(),
        _ => 0,
    }
}

fn depth(node: &Node) -> usize {
    1 + match &node.value {
        Value::List(items) => items.iter().map(depth).max().unwrap_or(0),
        Value::Table(entries) => entries.iter().map(|(_, node)| depth(node)).max().unwrap_or(0),
        _ => 0,
    }
}
