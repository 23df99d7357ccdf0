//! How long a body is and whether the connection lives on (RFC 9112 sections 6 and 9).

#[cfg(test)]
mod tests;

use crate::fields::{FieldId, Fields, is_claim};
use crate::head::{Request, Response, Version};
use crate::method::Method;
pub use crate::syntax::list;

/// The framing of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    #[default]
    None,
    /// Exactly so many bytes; may be zero.
    Length(u64),
    /// A body whose length is not known before its end: in HTTP/1 the chunked transfer coding.
    Chunked,
    /// All bytes until the sender ends its direction; responses only.
    Close,
}

/// Why framing was refused: there must be one reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FramingError {
    /// `Content-Length` is not one decimal number, or came twice.
    ContentLength,
    /// `Content-Length` together with `Transfer-Encoding`.
    Both,
    /// A transfer coding that is not known, under `chunked` (RFC 9112 section 6.1: answer 501).
    Coding,
    /// `Transfer-Encoding` that does not end in `chunked`, or has it twice (RFC 9112 section 6.3: answer 400).
    NotChunked,
    /// `Transfer-Encoding` in HTTP/1.0, where it means nothing.
    OldVersion,
    /// A response that has no body, whatever it claims (1xx, 204), and claims one.
    Forbidden,
}

impl FramingError {
    /// The status that answers a request with this error.
    pub fn status(self) -> u16 {
        if self == Self::Coding { 501 } else { 400 }
    }

    /// One phrase for logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ContentLength => "conflicting or malformed content-length",
            Self::Both => "both content-length and transfer-encoding",
            Self::Coding => "unknown transfer coding",
            Self::NotChunked => "transfer-encoding does not end in chunked",
            Self::OldVersion => "transfer-encoding in HTTP/1.0",
            Self::Forbidden => "body framing where no body is allowed",
        }
    }
}

/// The framing of a request (RFC 9112 section 6.3). A Content-Length with leading zeros is written without them.
pub fn of_request(request: &mut Request) -> Result<Framing, FramingError> {
    let declared = declared(&mut request.fields, request.version)?;
    if request.version < Version::Http2 {
        return Ok(declared.unwrap_or(Framing::None));
    }
    match declared {
        // Only an extended CONNECT has it: what follows is a tunnel.
        None if request.fields.may_have(FieldId::Upgrade) => Ok(Framing::None),
        None if request.ends => Ok(Framing::None),
        declared => multiplexed(declared, request.ends),
    }
}

/// The framing of a final response to a request with `method`. A Content-Length with leading zeros is written without
/// them.
pub fn of_response(response: &mut Response, method: &Method) -> Result<Framing, FramingError> {
    let declared = declared(&mut response.fields, response.version)?;
    let bodiless = *method == Method::Head || matches!(response.status, 100..=199 | 204 | 304);
    if bodiless {
        // RFC 9112 section 6.1 and RFC 9110 section 8.6 forbid framing fields in 1xx and 204, and who sends a body
        // nevertheless would have it taken for the next response. HEAD and 304 may repeat what GET would say.
        let empty = matches!(declared, None | Some(Framing::Length(0)));
        let forbidden = !empty && matches!(response.status, 100..=199 | 204);
        return if forbidden { Err(FramingError::Forbidden) } else { Ok(Framing::None) };
    }
    if response.version < Version::Http2 {
        return Ok(declared.unwrap_or(Framing::Close));
    }
    multiplexed(declared, response.ends)
}

/// Where the end of the stream is the end of the body (RFC 9113 section 8.1.1): a length is a promise, and without one it
/// is not known.
fn multiplexed(declared: Option<Framing>, ends: bool) -> Result<Framing, FramingError> {
    match declared {
        Some(Framing::Length(1..)) if ends => Err(FramingError::ContentLength),
        None if ends => Ok(Framing::Length(0)),
        declared => Ok(declared.unwrap_or(Framing::Chunked)),
    }
}

fn declared(fields: &mut Fields, version: Version) -> Result<Option<Framing>, FramingError> {
    let coded = fields.may_have(FieldId::TransferEncoding);
    let length = content_length(fields)?;
    if !coded {
        return Ok(length.map(Framing::Length));
    }
    if length.is_some() {
        return Err(FramingError::Both);
    }
    if version == Version::Http10 {
        return Err(FramingError::OldVersion);
    }
    let mut codings = fields.all(FieldId::TransferEncoding);
    match (codings.next(), codings.next()) {
        (Some(value), None) if is_chunked(value) => Ok(Some(Framing::Chunked)),
        (None, _) => Ok(None),
        _ => Err(refused_coding(fields)),
    }
}

fn is_chunked(coding: &[u8]) -> bool {
    coding.eq_ignore_ascii_case(b"chunked")
}

/// Why a Transfer-Encoding other than a single `chunked` is refused.
fn refused_coding(fields: &Fields) -> FramingError {
    let (mut chunked, mut ends) = (0, false);
    for coding in fields.all(FieldId::TransferEncoding).flat_map(list) {
        ends = is_chunked(coding);
        chunked += usize::from(ends);
    }
    let lists_others = fields.all(FieldId::TransferEncoding).flat_map(list).count() > 1;
    if ends && chunked == 1 && lists_others { FramingError::Coding } else { FramingError::NotChunked }
}

/// The one value of Content-Length. Repeated values are refused even if they agree: no honest sender needs them.
///
/// Leading zeros, which the grammar allows (RFC 9110 section 8.6), are not passed on: some readers refuse them, and some
/// take them for octal.
fn content_length(fields: &mut Fields) -> Result<Option<u64>, FramingError> {
    if !fields.may_have(FieldId::ContentLength) {
        return Ok(None);
    }
    let mut values = fields.all(FieldId::ContentLength);
    let (length, padded) = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => {
            (decimal(value).ok_or(FramingError::ContentLength)?, value.len() > 1 && value.starts_with(b"0"))
        }
        _ => return Err(FramingError::ContentLength),
    };
    if padded {
        drop(values);
        fields.remove(FieldId::ContentLength);
        fields.push(FieldId::ContentLength, length.to_string().as_bytes());
    }
    Ok(Some(length))
}

/// A decimal number of at most 18 digits, digits only.
pub(crate) fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 18 {
        return None;
    }
    value
        .iter()
        .try_fold(0u64, |sum, &digit| digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0')))
}

/// What the Connection field says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionOptions {
    /// `close`
    pub close: bool,
    /// `keep-alive`
    pub keep_alive: bool,
    /// `upgrade`
    pub upgrade: bool,
    /// Names of other fields that are for this hop only, beside those that always are.
    pub names_fields: bool,
}

/// Reads all Connection fields.
pub fn connection_options(fields: &Fields) -> ConnectionOptions {
    let mut options = ConnectionOptions::default();
    for value in fields.all(FieldId::Connection) {
        if value.eq_ignore_ascii_case(b"keep-alive") {
            // What most clients say, and all they say.
            options.keep_alive = true;
        } else {
            list(value).for_each(|token| options.read(token));
        }
    }
    options
}

impl ConnectionOptions {
    fn read(&mut self, token: &[u8]) {
        if token.eq_ignore_ascii_case(b"close") {
            self.close = true;
        } else if token.eq_ignore_ascii_case(b"keep-alive") {
            self.keep_alive = true;
        } else if token.eq_ignore_ascii_case(b"upgrade") {
            self.upgrade = true;
        } else if !HOP_BY_HOP.contains(&FieldId::of(token)) {
            self.names_fields = true;
        }
    }
}

/// Whether the connection may carry another message after this one (RFC 9112 section 9.3).
pub fn is_persistent(version: Version, options: ConnectionOptions) -> bool {
    !options.close && (version != Version::Http10 || options.keep_alive)
}

/// Fields that are for one hop only, whether Connection names them or not.
const HOP_BY_HOP: [FieldId; 7] = [
    FieldId::Connection,
    FieldId::KeepAlive,
    FieldId::ProxyConnection,
    FieldId::Te,
    FieldId::TransferEncoding,
    FieldId::Upgrade,
    FieldId::Http2Settings,
];

/// Removes the fields that are for one hop only (RFC 9110 section 7.6.1), those that Connection names among them.
///
/// Content-Length stays: it belongs to the message. Trailer stays: it describes trailers, which are passed on.
pub fn strip_hop_by_hop(fields: &mut Fields, options: ConnectionOptions) {
    if options.names_fields {
        strip_named(fields);
    }
    fields.remove_all(&HOP_BY_HOP);
}

/// More names than this in Connection fields are not looked at.
const MAX_NAMED: usize = 32;

fn strip_named(fields: &mut Fields) {
    let named: Vec<Box<[u8]>> = fields
        .all(FieldId::Connection)
        .flat_map(list)
        .filter(|name| !is_end_to_end(name))
        .take(MAX_NAMED)
        .map(Into::into)
        .collect();
    for name in named {
        fields.remove_named(&name);
    }
}

/// Whether a field is meant for the far end whatever Connection says (RFC 9110 section 7.6.1: a sender must not name
/// such). So nobody can take away what frames, describes or guards a message by naming it.
///
/// All that the proxy knows, but for credentials of one hop; what describes content; and what browsers and endpoints
/// build their defences on.
fn is_end_to_end(name: &[u8]) -> bool {
    match FieldId::of(name) {
        FieldId::Other => {}
        FieldId::ProxyAuthenticate | FieldId::ProxyAuthorization | FieldId::Trailer => return false,
        known => return !HOP_BY_HOP.contains(&known),
    }
    let starts =
        |prefix: &[u8]| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    is_claim(name)
        || END_TO_END_PREFIXES.iter().any(|prefix| starts(prefix))
        || END_TO_END.iter().any(|known| name.eq_ignore_ascii_case(known))
}

const END_TO_END_PREFIXES: [&[u8]; 4] = [b"access-control-", b"content-", b"if-", b"sec-"];
const END_TO_END: [&[u8]; 12] = [
    b"age",
    b"etag",
    b"expires",
    b"last-modified",
    b"origin",
    b"range",
    b"referer",
    b"strict-transport-security",
    b"vary",
    b"www-authenticate",
    b"x-content-type-options",
    b"x-frame-options",
];
