//! HTTP/1 messages as the kit's reader saw them: ordered fields, the decoded body, and the raw bytes.

use std::ops::Deref;

/// One header or trailer line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name as it was written on the wire.
    pub name: String,
    /// The value without surrounding whitespace; bytes that are not UTF-8 become U+FFFD (see [`Message::raw`]).
    pub value: String,
}

/// Header or trailer lines in the order of the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(pub Vec<Field>);

impl Fields {
    /// The value of the first line of that name; names compare without regard to case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value.as_str())
    }

    /// The values of every line of that name, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let same_name = move |field: &&Field| field.name.eq_ignore_ascii_case(name);
        self.0.iter().filter(same_name).map(|field| field.value.as_str())
    }

    /// True when a line of that name exists.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

/// How the length of a body was told (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// No body: by the method, by the status, or a request without framing fields.
    #[default]
    None,
    /// `Content-Length`.
    Length,
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// A response that ends with the connection.
    Close,
}

/// What requests and responses share.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// The request line or status line, without its CRLF.
    pub line: String,
    /// The header section.
    pub fields: Fields,
    /// The body with any chunked coding taken off.
    pub body: Vec<u8>,
    /// The trailer section of a chunked body.
    pub trailers: Fields,
    /// How the length of the body was told.
    pub framing: Framing,
    /// Every byte of the message as it came.
    pub raw: Vec<u8>,
}

impl Message {
    /// The body as text; bytes that are not UTF-8 become U+FFFD.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A request as an endpoint received it; derefs to [`Message`] for `fields`, `body`, `trailers` and `raw`.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The method, as written.
    pub method: String,
    /// The request target, as written.
    pub target: String,
    /// `HTTP/1.1` or `HTTP/1.0`.
    pub version: String,
    /// The rest of the message.
    pub message: Message,
}

impl Deref for Request {
    type Target = Message;
    fn deref(&self) -> &Message {
        &self.message
    }
}

/// A response as a client received it; derefs to [`Message`] for `fields`, `body`, `trailers` and `raw`.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// `HTTP/1.1` or `HTTP/1.0`.
    pub version: String,
    /// The status code.
    pub status: u16,
    /// The reason phrase, possibly empty.
    pub reason: String,
    /// The rest of the message.
    pub message: Message,
}

impl Deref for Response {
    type Target = Message;
    fn deref(&self) -> &Message {
        &self.message
    }
}
