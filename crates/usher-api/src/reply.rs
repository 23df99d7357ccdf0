//! Responses that the proxy makes itself.

use std::borrow::Cow;
use std::fs::File;
use std::sync::Arc;

/// A part of a reply's body.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Bytes in memory.
    Bytes(Cow<'static, [u8]>),
    /// Bytes in memory that several replies share.
    Shared(Arc<[u8]>),
    /// A range of an open file; read in pieces while it is sent.
    File {
        /// The file; its offset is not used.
        file: Arc<File>,
        /// Where the range begins (bytes).
        offset: u64,
        /// The length of the range (bytes).
        len: u64,
    },
}

impl Piece {
    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Shared(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
        }
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A response that the proxy makes. The engine adds Date, Content-Length and the like, and leaves out the body where
/// the request is HEAD or the status has none.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Fields to add, in order. A value that is not valid is left out.
    pub fields: Vec<(Cow<'static, str>, String)>,
    /// The body's parts.
    pub body: Vec<Piece>,
    /// Why the proxy answered itself, for the access log: `redirect`, `rate_limited`, `unauthenticated` …
    pub reason: &'static str,
    /// The body is already what the client shall see: an error page of the route does not replace it.
    pub finished: bool,
}

impl Reply {
    /// A reply without fields and body.
    pub fn new(status: u16, reason: &'static str) -> Self {
        Self { status, fields: Vec::new(), body: Vec::new(), reason, finished: false }
    }

    /// Adds a field.
    #[must_use]
    pub fn field(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// Adds a part of the body.
    #[must_use]
    pub fn piece(mut self, piece: Piece) -> Self {
        self.body.push(piece);
        self
    }

    /// Adds plain text as the body.
    #[must_use]
    pub fn text(self, text: impl Into<Cow<'static, str>>) -> Self {
        let bytes = match text.into() {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
        self.field("Content-Type", "text/plain; charset=utf-8").piece(Piece::Bytes(bytes))
    }

    /// Says that the body is what the client shall see.
    #[must_use]
    pub fn finished(mut self) -> Self {
        self.finished = true;
        self
    }

    /// The body's length in bytes.
    pub fn len(&self) -> u64 {
        self.body.iter().map(Piece::len).sum()
    }

    /// Whether the body is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
