//! Step 4 for HTTP/1: one meaning for framing, host and path, whatever the client wrote.
//!
//! After this the head holds no field that is for one hop only and no Host: both are written anew towards the
//! endpoint, from what was understood here.

#[cfg(test)]
mod tests;

use crate::fields::FieldId;
use crate::framing::{self, ConnectionOptions, Framing, FramingError};
use crate::head::{Request, TargetForm, Version};
use crate::host::Authority;
use crate::method::Method;
use crate::path;

/// Why a request was refused although its head could be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SanitizeError {
    /// Its body has more than one reading.
    Framing(FramingError),
    /// HTTP/1.1 without Host (RFC 9112 section 3.2).
    HostMissing,
    /// More than one Host.
    HostRepeated,
    /// A Host or target that is not `host` or `host:port`.
    HostInvalid,
    /// A path that is ambiguous or malformed.
    Path(path::PathError),
    /// CONNECT: a reverse proxy opens no tunnels for strangers.
    Connect,
    /// An expectation other than `100-continue` (RFC 9110 section 10.1.1).
    Expectation,
}

impl SanitizeError {
    /// The status that answers the request.
    pub fn status(self) -> u16 {
        match self {
            Self::Framing(error) => error.status(),
            Self::Connect => 405,
            Self::Expectation => 417,
            _ => 400,
        }
    }

    /// One phrase for logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Framing(error) => error.as_str(),
            Self::HostMissing => "missing host",
            Self::HostRepeated => "more than one host",
            Self::HostInvalid => "invalid host",
            Self::Path(_) => "ambiguous or malformed path",
            Self::Connect => "CONNECT is not offered",
            Self::Expectation => "unknown expectation",
        }
    }
}

/// What was understood of a request beside its head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// How its body is framed.
    pub framing: Framing,
    /// Whether its connection may carry another request.
    pub persistent: bool,
    /// The client waits for 100 before it sends the body.
    pub expects_continue: bool,
    /// The client takes trailers (`TE: trailers`).
    pub takes_trailers: bool,
    /// The client asks for another protocol.
    pub upgrade: bool,
}

/// Buffers that outlive a request, so that sanitizing allocates nothing in the long run.
#[derive(Debug, Default)]
pub struct Scratch {
    path: Vec<u8>,
    host: String,
}

/// Gives every part of the head its one meaning. `upgrade` receives the Upgrade field's value if one is asked for.
pub fn sanitize(
    request: &mut Request,
    scratch: &mut Scratch,
    upgrade: &mut Vec<u8>,
) -> Result<Facts, SanitizeError> {
    if request.method == Method::Connect {
        return Err(SanitizeError::Connect);
    }
    let framing = framing::of_request(request).map_err(SanitizeError::Framing)?;
    resolve_target(request, scratch)?;
    let options = if request.fields.may_have(FieldId::Connection) {
        framing::connection_options(&request.fields)
    } else {
        ConnectionOptions::default()
    };
    let facts = Facts {
        framing,
        persistent: framing::is_persistent(request.version, options),
        expects_continue: expects_continue(request)?,
        takes_trailers: takes_trailers(request),
        upgrade: take_upgrade(request, options, upgrade),
    };
    request.fields.remove(FieldId::Host);
    framing::strip_hop_by_hop(&mut request.fields, options);
    Ok(facts)
}

/// Fills host, authority, path and query from the target and the Host field.
fn resolve_target(request: &mut Request, scratch: &mut Scratch) -> Result<(), SanitizeError> {
    let Request { fields, host, authority, path, query, target, form, version, .. } = request;
    let host_field = one_host(fields, *version)?;
    let raw = fields.buffer().get(target.0 as usize..target.1 as usize).unwrap_or_default();
    let (named, rest) = match form {
        TargetForm::Absolute => split_absolute(raw),
        _ => (host_field.unwrap_or_default(), raw),
    };
    resolve_authority(named, host_field.is_some(), (host, authority), &mut scratch.host)?;
    if *form == TargetForm::Absolute && host_field.is_some_and(|field| Authority::parse(field).is_err()) {
        return Err(SanitizeError::HostInvalid);
    }
    if *form == TargetForm::Asterisk {
        path.push('*');
        return Ok(());
    }
    let (raw_path, raw_query) = match memchr::memchr(b'?', rest) {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    // RFC 9110 section 4.2.3: an empty path in absolute-form is `/`.
    let raw_path = if raw_path.is_empty() { b"/" } else { raw_path };
    let normal = path::normalize(raw_path, &mut scratch.path).map_err(SanitizeError::Path)?.bytes();
    path.push_str(std::str::from_utf8(normal).unwrap_or("/"));
    if let Some(raw) = raw_query {
        *query = Some(encoded_query(raw)?);
    }
    Ok(())
}

/// The one Host field: required once in HTTP/1.1, at most once in HTTP/1.0 (RFC 9112 section 3.2).
fn one_host(fields: &crate::Fields, version: Version) -> Result<Option<&[u8]>, SanitizeError> {
    let mut hosts = fields.all(FieldId::Host);
    match (hosts.next(), hosts.next()) {
        (None, _) if version == Version::Http11 => Err(SanitizeError::HostMissing),
        (_, Some(_)) => Err(SanitizeError::HostRepeated),
        (host, None) => Ok(host),
    }
}

/// Fills the host (compared) and the authority (passed on).
fn resolve_authority(
    text: &[u8],
    required: bool,
    (host, authority): (&mut String, &mut String),
    spare: &mut String,
) -> Result<(), SanitizeError> {
    if text.is_empty() && !required {
        return Ok(());
    }
    let parsed = Authority::parse(text).map_err(|_| SanitizeError::HostInvalid)?;
    host.push_str(parsed.lower_into(spare));
    authority.push_str(std::str::from_utf8(text).map_err(|_| SanitizeError::HostInvalid)?);
    Ok(())
}

/// Authority and the rest of `http://authority/rest`; the parser has checked the scheme.
fn split_absolute(target: &[u8]) -> (&[u8], &[u8]) {
    let after = memchr::memmem::find(target, b"://").map_or(target.len(), |at| at + 3);
    let rest = &target[after..];
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    rest.split_at(end)
}

/// A query as UTF-8: bytes above 0x7F are percent-encoded; a raw `#` is refused, as it would cut the target short.
fn encoded_query(raw: &[u8]) -> Result<String, SanitizeError> {
    if memchr::memchr(b'#', raw).is_some() {
        return Err(SanitizeError::Path(path::PathError::Fragment));
    }
    if let Ok(text) = std::str::from_utf8(raw)
        && text.is_ascii()
    {
        return Ok(text.to_owned());
    }
    let mut out = String::with_capacity(raw.len() * 2);
    for &byte in raw {
        match byte {
            0..0x80 => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    Ok(out)
}

fn expects_continue(request: &mut Request) -> Result<bool, SanitizeError> {
    if !request.fields.may_have(FieldId::Expect) {
        return Ok(false);
    }
    let known = request.fields.all(FieldId::Expect).all(|value| value.eq_ignore_ascii_case(b"100-continue"));
    if !known {
        return Err(SanitizeError::Expectation);
    }
    // RFC 9110 section 10.1.1: an HTTP/1.0 client cannot mean it.
    Ok(request.version != Version::Http10)
}

fn takes_trailers(request: &Request) -> bool {
    request.fields.may_have(FieldId::Te)
        && request.fields.all(FieldId::Te).flat_map(framing::list).any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
}

/// Copies the protocol asked for into `upgrade`; HTTP/1.0 cannot upgrade (RFC 9110 section 7.8).
fn take_upgrade(request: &Request, options: ConnectionOptions, upgrade: &mut Vec<u8>) -> bool {
    upgrade.clear();
    if !options.upgrade || request.version == Version::Http10 {
        return false;
    }
    if let Some(protocol) = request.fields.get(FieldId::Upgrade) {
        upgrade.extend_from_slice(protocol);
    }
    // h2c by upgrade is obsolete (RFC 9113 section 3.1): the request is served as it is.
    !upgrade.is_empty() && !framing::list(upgrade).any(|protocol| protocol.eq_ignore_ascii_case(b"h2c"))
}
