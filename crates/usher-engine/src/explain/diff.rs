//! What changes in a request on its way.

use std::fmt;

use usher_http::{Fields, Request};

/// A change of one part of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The part: `path`, `query`, `host`, or a field's name.
    pub part: String,
    /// What it was; none if it is new.
    pub from: Option<String>,
    /// What it is; none if it was taken away.
    pub to: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = &self.part;
        match (&self.from, &self.to) {
            (Some(from), Some(to)) => write!(f, "{part}: `{from}` becomes `{to}`"),
            (None, Some(to)) => write!(f, "{part}: `{to}` is added"),
            (Some(from), None) => write!(f, "{part}: `{from}` is removed"),
            (None, None) => write!(f, "{part} stays"),
        }
    }
}

/// Whether the client sent a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The client sent it, and it is passed on.
    Passed,
    /// The proxy wrote it.
    Written,
}

/// A field as an endpoint receives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentField {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Whether the client sent it.
    pub mark: Mark,
}

/// The name and the value of a field.
pub(super) type Line = (String, String);

/// The fields as text.
pub(super) fn lines(fields: &Fields) -> Vec<Line> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    fields.iter().map(|field| (text(field.name), text(field.value))).collect()
}

/// A request at one moment.
pub(super) struct Moment {
    parts: [(&'static str, Option<String>); 3],
    lines: Vec<Line>,
}

impl Moment {
    pub(super) fn of(request: &Request) -> Self {
        let parts = [
            ("host", Some(request.authority.clone()).filter(|host| !host.is_empty())),
            ("path", Some(request.path.clone())),
            ("query", request.query.clone()),
        ];
        Self { parts, lines: lines(&request.fields) }
    }

    /// What is different now.
    pub(super) fn changes(self, request: &Request) -> Vec<Change> {
        let now = Self::of(request);
        let parts = self.parts.into_iter().zip(now.parts).filter(|(before, after)| before != after);
        let mut changes: Vec<Change> =
            parts.map(|((part, from), (_, to))| Change { part: part.to_owned(), from, to }).collect();
        let (mut gone, new) = differences(&self.lines, &now.lines);
        for (name, to) in new {
            let same = gone.iter().position(|(other, _)| other.eq_ignore_ascii_case(&name));
            let from = same.map(|at| gone.remove(at).1);
            changes.push(Change { part: name, from, to: Some(to) });
        }
        changes.extend(gone.into_iter().map(|(part, from)| Change { part, from: Some(from), to: None }));
        changes
    }
}

/// The lines of `before` that are not in `after`, and those of `after` that are not in `before`; each counts as often
/// as it is there.
pub(super) fn differences(before: &[Line], after: &[Line]) -> (Vec<Line>, Vec<Line>) {
    let mut gone = before.to_vec();
    let mut new = Vec::new();
    for line in after {
        match gone.iter().position(|other| same(other, line)) {
            Some(at) => drop(gone.remove(at)),
            None => new.push(line.clone()),
        }
    }
    (gone, new)
}

/// Whether two lines say the same.
fn same(one: &Line, other: &Line) -> bool {
    one.0.eq_ignore_ascii_case(&other.0) && one.1 == other.1
}

/// The fields that are sent, each with who wrote it, and those of the client that are not.
pub(super) fn marked(came: &[Line], sent: Vec<Line>) -> (Vec<SentField>, Vec<Line>) {
    let mut left = came.to_vec();
    let mark = |(name, value): Line| {
        let at = left.iter().position(|other| same(other, &(name.clone(), value.clone())));
        let mark = at.map_or(Mark::Written, |at| {
            left.remove(at);
            Mark::Passed
        });
        SentField { name, value, mark }
    };
    let fields = sent.into_iter().map(mark).collect();
    (fields, left)
}
