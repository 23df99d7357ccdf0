//! Documents of the admin API: read as configs are, so that the same is right and wrong there. Mistakes have JSON pointers
//! (RFC 6901) rather than lines.

use std::collections::HashMap;
use std::ops::Deref;

use usher_api::clusters::{Edit, EditKind};
use usher_config::config::Endpoint;
use usher_config::{
    Context, Decode, Diagnostic, Document, Format, Named, Node, Sources, Span, Spanned, Value, read,
};

usher_config::section! {
    /// What is to be changed.
    pub(super) default struct Patch {
        /// Endpoints that join.
        pub add: Vec<Written> = Vec::new(),
        /// Endpoints that leave, by address or name.
        pub remove: Vec<Spanned<String>> = Vec::new(),
        /// How others shall stand, by address or name.
        pub set: Named<Setting> = Named::default(),
    }
}

usher_config::section! {
    /// All endpoints that there shall be.
    pub(super) struct Whole {
        /// The endpoints.
        pub endpoints: Vec<Written>,
    }
}

/// An endpoint, and what was said of it: one that is known already keeps the rest, which is not what a new one would have.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) endpoint: Spanned<Endpoint>,
    said: Vec<String>,
}

impl Written {
    /// Whether a key was written, if only with the value that it has without that.
    pub(super) fn says(&self, key: &str) -> bool {
        self.said.iter().any(|said| said == key)
    }

    /// Whether an address is all that is said.
    pub(super) fn is_bare(&self) -> bool {
        self.said.iter().all(|said| said == "address")
    }
}

impl Deref for Written {
    type Target = Spanned<Endpoint>;

    fn deref(&self) -> &Self::Target {
        &self.endpoint
    }
}

impl Decode for Written {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let said = match &node.value {
            Value::Table(entries) => entries.iter().map(|(key, _)| key.name.clone()).collect(),
            _ => Vec::new(),
        };
        Some(Self { endpoint: Spanned::decode(node, cx)?, said })
    }

    fn schema() -> usher_config::Schema {
        Endpoint::schema()
    }
}

usher_config::section! {
    /// How an endpoint shall stand.
    pub(super) default struct Setting {
        /// Whether it takes requests.
        pub state: Option<State>,
        /// Its weight from now on.
        pub weight: Option<Weight>,
    }
}

usher_config::names! {
    /// Whether an endpoint takes requests, as far as an administrator decides.
    pub(super) enum State {
        /// It takes requests, if it is well.
        Ready = "ready",
        /// It finishes what it has, and serves the visitors that are bound to it.
        Drain = "drain",
        /// It gets nothing more.
        Disable = "disable",
    }
}

/// A weight, or none to go back to the configured one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weight(pub(super) Option<u32>);

impl Decode for Weight {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        if node.as_str() == Some(CONFIGURED) {
            return Some(Self(None));
        }
        let weight = u16::decode(node, cx)?;
        Some(Self(Some(weight.into())))
    }

    fn schema() -> usher_config::Schema {
        u16::schema()
    }
}

/// What is written for the configured weight; `null` means the same.
const CONFIGURED: &str = "config";

/// What an edit says.
pub(super) enum Wanted {
    /// These changes.
    Patch(Patch),
    /// These endpoints and no others.
    Replace(Whole),
}

/// A document of which some more may turn out to be wrong.
pub(super) struct Reading {
    sources: Sources,
    document: Option<Document>,
    pub(super) found: Vec<Diagnostic>,
}

impl Reading {
    /// Reads what an edit says; what is wrong so far is in it.
    pub(super) fn new(edit: &Edit) -> (Self, Option<Wanted>) {
        let mut sources = Sources::new();
        let text = String::from_utf8_lossy(&edit.body).into_owned();
        let id = sources.add("request", "", text);
        let mut document = match read::read(&sources, id, Format::Json) {
            Ok(document) => document,
            Err(found) => return (Self { sources, document: None, found }, None),
        };
        without_nulls(&mut document.root);
        let mut cx = Context::new(&sources);
        let wanted = match edit.kind {
            EditKind::Patch => Patch::decode(&document.root, &mut cx).map(Wanted::Patch),
            EditKind::Replace => Whole::decode(&document.root, &mut cx).map(Wanted::Replace),
            EditKind::Add => Written::decode(&document.root, &mut cx)
                .map(|one| Wanted::Patch(Patch { add: vec![one], ..Patch::default() })),
        };
        let found = cx.finish();
        (Self { sources, document: Some(document), found }, wanted)
    }

    /// Notes one more mistake.
    pub(super) fn fault(&mut self, at: Span, message: impl Into<String>) {
        self.found.push(Diagnostic::error(message).at(at, ""));
    }

    /// All mistakes, each with its place.
    pub(super) fn mistakes(self) -> Vec<(String, String)> {
        let Self { sources, document, found } = self;
        let span_of = |one: &Diagnostic| one.labels.first().map_or(Span::NONE, |label| label.span);
        let mut pointers: Pointers = found.iter().map(|one| (span_of(one), None)).collect();
        if let Some(document) = &document {
            find(&document.root, &mut String::new(), &mut pointers);
        }
        let told = |one: Diagnostic| {
            let span = span_of(&one);
            let mut text = one.message;
            text.extend(one.help.map(|help| format!("; {help}")));
            if document.is_some() {
                return (pointers.get(&span).cloned().flatten().unwrap_or_default(), text);
            }
            let place =
                sources.place(span).map(|place| format!("line {}, column {}: ", place.line, place.column));
            (String::new(), format!("{}{text}", place.unwrap_or_default()))
        };
        found.into_iter().filter(Diagnostic::is_error).map(told).collect()
    }
}

/// `null` as a weight is the configured one, as in the older form of these documents.
fn without_nulls(root: &mut Node) {
    let Value::Table(entries) = &mut root.value else { return };
    let set = entries.iter_mut().filter(|(key, _)| key.name == "set");
    for (_, node) in set {
        let Value::Table(endpoints) = &mut node.value else { continue };
        for (_, setting) in endpoints {
            let Value::Table(keys) = &mut setting.value else { continue };
            let nulls =
                keys.iter_mut().filter(|(key, node)| key.name == "weight" && node.value == Value::Null);
            nulls.for_each(|(_, node)| node.value = Value::String(CONFIGURED.to_owned()));
        }
    }
}

/// Places, and where in a document they are: none if nowhere.
type Pointers = HashMap<Span, Option<String>>;

/// Finds all that are wanted below a node, which is at `path`.
fn find(node: &Node, path: &mut String, pointers: &mut Pointers) {
    note(node.span, path, pointers);
    let length = path.len();
    match &node.value {
        Value::Table(entries) => {
            for (key, node) in entries {
                path.push('/');
                path.push_str(&key.name.replace('~', "~0").replace('/', "~1"));
                note(key.span, path, pointers);
                find(node, path, pointers);
                path.truncate(length);
            }
        }
        Value::List(items) => {
            for (index, node) in items.iter().enumerate() {
                path.push_str(&format!("/{index}"));
                find(node, path, pointers);
                path.truncate(length);
            }
        }
        _ => {}
    }
}

fn note(span: Span, path: &str, pointers: &mut Pointers) {
    if let Some(found) = pointers.get_mut(&span) {
        found.get_or_insert_with(|| path.to_owned());
    }
}

/// An endpoint as JSON; none if it is none.
pub(super) fn endpoint(text: &str) -> Option<Endpoint> {
    let mut sources = Sources::new();
    let id = sources.add("endpoint", "", text.to_owned());
    let document = read::read(&sources, id, Format::Json).ok()?;
    let mut cx = Context::new(&sources);
    let endpoint = Endpoint::decode(&document.root, &mut cx)?;
    (!cx.has_errors()).then_some(endpoint)
}

#[cfg(test)]
mod tests;
