//! `error_pages`

use std::path::PathBuf;

use crate::decode::{Context, Decode, Named, Spanned};
use crate::diagnostic::Diagnostic;
use crate::document::{Key, Node};
use crate::schema::Schema;
use crate::value::ValueError;

/// Pages by status.
#[derive(Debug, Clone, Default)]
pub struct ErrorPages(pub Vec<(Spanned<StatusPattern>, ErrorPage)>);

/// One status, or a class of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusPattern {
    /// `404`
    Exact(u16),
    /// `4xx`: the first digit.
    Class(u16),
}

/// A page.
#[derive(Debug, Clone)]
pub struct ErrorPage {
    /// Where its text comes from.
    pub content: PageContent,
    /// Its `Content-Type`; told by the file's extension if not set.
    pub content_type: Option<String>,
}

/// Where a page's text comes from.
#[derive(Debug, Clone)]
pub enum PageContent {
    /// A file, read when the config is loaded.
    File(Spanned<PathBuf>),
    /// A text with `{variables}`.
    Text(Spanned<String>),
}

crate::section! {
    /// A page that is shown in place of an error. Either `file` or `text` is set.
    #[bare(file)]
    struct ErrorPageTable {
        /// A file with the page. It may hold `{variables}` such as `{status}` and `{request.id}`.
        pub file: Option<Spanned<PathBuf>>,
        /// The page itself, with the same variables.
        pub text: Option<Spanned<String>>,
        /// The `Content-Type`; otherwise told by the file's extension, `text/html` for a text.
        pub content_type: Option<String>,
    }
}

impl std::str::FromStr for StatusPattern {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let class = match text {
            "4xx" => Some(4),
            "5xx" => Some(5),
            _ => None,
        };
        let exact = text.parse::<u16>().ok().filter(|status| text.len() == 3 && (400..600).contains(status));
        class.map(Self::Class).or(exact.map(Self::Exact)).ok_or_else(|| {
            let error = ValueError::new(format!("`{text}` is not the status of an error"));
            error.help("write a number from 400 to 599, `4xx` or `5xx`")
        })
    }
}

impl ErrorPages {
    /// The page for a status: its own, or else its class's.
    pub fn get(&self, status: u16) -> Option<&ErrorPage> {
        let find = |wanted| self.0.iter().find(|(pattern, _)| pattern.value == wanted).map(|(_, page)| page);
        find(StatusPattern::Exact(status)).or_else(|| find(StatusPattern::Class(status / 100)))
    }
}

impl Decode for ErrorPages {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let named = Named::<ErrorPage>::decode(node, cx)?;
        let mut status =
            |Key { name, span }: Key| cx.value(span, name.parse()).map(|value| Spanned { value, span });
        Some(Self(named.into_iter().filter_map(|(key, page)| Some((status(key)?, page))).collect()))
    }

    fn schema() -> Schema {
        Named::<ErrorPage>::schema()
    }

    fn encode(&self) -> serde_json::Value {
        let name = |pattern: StatusPattern| match pattern {
            StatusPattern::Exact(status) => status.to_string(),
            StatusPattern::Class(digit) => format!("{digit}xx"),
        };
        let pages = self.0.iter().map(|(pattern, page)| (name(pattern.value), page.encode()));
        serde_json::Value::Object(pages.collect())
    }
}

impl Decode for ErrorPage {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let table = ErrorPageTable::decode(node, cx)?;
        let content = match (table.file, table.text) {
            (Some(file), None) => {
                cx.uses_file(file.value.clone());
                PageContent::File(file)
            }
            (None, Some(text)) => PageContent::Text(text),
            _ => {
                let error = Diagnostic::error("a page has either `file` or `text`").at(node.span, "");
                cx.push(error.help("write one of the two"));
                return None;
            }
        };
        Some(Self { content, content_type: table.content_type })
    }

    fn schema() -> Schema {
        ErrorPageTable::schema()
    }

    fn encode(&self) -> serde_json::Value {
        let (file, text) = match &self.content {
            PageContent::File(file) => (Some(file.clone()), None),
            PageContent::Text(text) => (None, Some(text.clone())),
        };
        ErrorPageTable { file, text, content_type: self.content_type.clone() }.encode()
    }
}
