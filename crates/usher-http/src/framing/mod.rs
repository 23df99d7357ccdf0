//! How long a body is and whether the connection lives on (RFC 9112 sections 6 and 9).

#[cfg(test)]
mod tests;

use crate::fields::{FieldId, Fields};
use crate::head::{Request, Response, Version};
use crate::method::Method;

/// The framing of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    #[default]
    None,
    /// Exactly so many bytes; may be zero.
    Length(u64),
    /// The chunked transfer coding.
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
    /// A transfer coding other than `chunked` alone (RFC 9112 section 6.1: answer 501).
    Coding,
    /// `Transfer-Encoding` in HTTP/1.0, where it means nothing.
    OldVersion,
    /// A response without a body that claims a transfer coding, or 101 that claims a body.
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
            Self::OldVersion => "transfer-encoding in HTTP/1.0",
            Self::Forbidden => "body framing where no body is allowed",
        }
    }
}

/// The framing of a request (RFC 9112 section 6.3).
pub fn of_request(request: &Request) -> Result<Framing, FramingError> {
    Ok(declared(&request.fields, request.version)?.unwrap_or(Framing::None))
}

/// The framing of a final response to a request with `method`.
pub fn of_response(response: &Response, method: &Method) -> Result<Framing, FramingError> {
    let declared = declared(&response.fields, response.version)?;
    let bodiless = *method == Method::Head || matches!(response.status, 100..=199 | 204 | 304);
    if bodiless {
        // RFC 9112 section 6.1 forbids Transfer-Encoding in 1xx and 204; HEAD and 304 may repeat what GET would say.
        let forbidden = declared == Some(Framing::Chunked) && matches!(response.status, 100..=199 | 204);
        return if forbidden { Err(FramingError::Forbidden) } else { Ok(Framing::None) };
    }
    Ok(declared.unwrap_or(Framing::Close))
}

fn declared(fields: &Fields, version: Version) -> Result<Option<Framing>, FramingError> {
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
        (Some(value), None) if value.eq_ignore_ascii_case(b"chunked") => Ok(Some(Framing::Chunked)),
        (None, _) => Ok(None),
        _ => Err(FramingError::Coding),
    }
}

/// The one value of Content-Length. Repeated values are refused even if they agree: no honest sender needs them.
pub fn content_length(fields: &Fields) -> Result<Option<u64>, FramingError> {
    if !fields.may_have(FieldId::ContentLength) {
        return Ok(None);
    }
    let mut values = fields.all(FieldId::ContentLength);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => decimal(value).map(Some).ok_or(FramingError::ContentLength),
        _ => Err(FramingError::ContentLength),
    }
}

/// A decimal number of at most 18 digits, digits only.
fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 18 {
        return None;
    }
    value.iter().try_fold(0u64, |sum, &digit| digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0')))
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
    /// Names of other fields that are for this hop only.
    pub names_fields: bool,
}

/// Reads all Connection fields.
pub fn connection_options(fields: &Fields) -> ConnectionOptions {
    let mut options = ConnectionOptions::default();
    for token in fields.all(FieldId::Connection).flat_map(list) {
        if token.eq_ignore_ascii_case(b"close") {
            options.close = true;
        } else if token.eq_ignore_ascii_case(b"keep-alive") {
            options.keep_alive = true;
        } else if token.eq_ignore_ascii_case(b"upgrade") {
            options.upgrade = true;
        } else {
            options.names_fields = true;
        }
    }
    options
}

/// Whether the connection may carry another message after this one (RFC 9112 section 9.3).
pub fn is_persistent(version: Version, options: ConnectionOptions) -> bool {
    !options.close && (version != Version::Http10 || options.keep_alive)
}

/// The elements of a comma-separated list, trimmed, empty ones left out (RFC 9110 section 5.6.1).
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

/// Removes the fields that are for one hop only (RFC 9110 section 7.6.1), those that Connection names among them.
///
/// Content-Length stays: it belongs to the message. Trailer stays: it describes trailers, which are passed on.
pub fn strip_hop_by_hop(fields: &mut Fields, options: ConnectionOptions) {
    if options.names_fields {
        strip_named(fields);
    }
    for id in [
        FieldId::Connection,
        FieldId::KeepAlive,
        FieldId::ProxyConnection,
        FieldId::Te,
        FieldId::TransferEncoding,
        FieldId::Upgrade,
        FieldId::Http2Settings,
    ] {
        fields.remove(id);
    }
}

/// A client may not use Connection to take away what the proxy or the message itself depends on.
fn strip_named(fields: &mut Fields) {
    let mut named: Vec<Box<[u8]>> = Vec::new();
    for token in fields.all(FieldId::Connection).flat_map(list).take(MAX_NAMED) {
        let id = FieldId::of(token);
        let protected = matches!(
            id,
            FieldId::Host
                | FieldId::ContentLength
                | FieldId::ContentType
                | FieldId::CacheControl
                | FieldId::Authorization
                | FieldId::Cookie
                | FieldId::Forwarded
                | FieldId::XForwardedFor
                | FieldId::XForwardedHost
                | FieldId::XForwardedPort
                | FieldId::XForwardedProto
                | FieldId::XRealIp
                | FieldId::XRequestId
        );
        if !protected {
            named.push(token.into());
        }
    }
    for name in named {
        fields.remove_named(&name);
    }
}

/// More names than this in Connection fields are not looked at.
const MAX_NAMED: usize = 32;
