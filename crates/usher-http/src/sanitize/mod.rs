//! Step 4: one meaning for framing, host and path, whatever the client wrote.
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
use crate::syntax::list;
use std::fmt::Write as _;

/// Why a request was refused although its head could be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SanitizeError {
    /// Its body has more than one reading.
    Framing(FramingError),
    /// No Host, or in HTTP/2 and 3 no `:authority` either, but in HTTP/1.0 (RFC 9112 section 3.2).
    HostMissing,
    /// More than one Host.
    HostRepeated,
    /// A Host or target that is not `host` or `host:port`.
    HostInvalid,
    /// A path that is ambiguous or malformed.
    Path(path::PathError),
    /// An absolute-form target with another scheme than the connection's (RFC 9110 section 7.4: answer 421).
    Scheme,
    /// A field that endpoints may take for one of the proxy's own: `X_Forwarded_For` and the like.
    Disguise,
    /// Max-Forwards of TRACE or OPTIONS that is repeated or no number (RFC 9110 section 7.6.2).
    MaxForwards,
    /// TRACE with content (RFC 9110 section 9.3.8).
    TraceBody,
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
            Self::Scheme => 421,
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
            Self::Scheme => "scheme of the target is not the connection's",
            Self::Disguise => "field name that differs from the proxy's by underscores",
            Self::MaxForwards => "max-forwards is repeated or no number",
            Self::TraceBody => "TRACE with content",
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
    /// The request is not to be forwarded: the proxy answers as its recipient (Max-Forwards is 0).
    pub last_hop: bool,
}

/// Fields that no endpoint is sent: Host is written anew; `Proxy` becomes `HTTP_PROXY` in CGI and its heirs, which
/// many libraries take for the address of a proxy ("httpoxy", CVE-2016-5385).
const DROPPED: [FieldId; 2] = [FieldId::Host, FieldId::Proxy];

/// Buffers that outlive a request, so that sanitizing allocates nothing in the long run.
#[derive(Debug, Default)]
pub struct Scratch {
    path: Vec<u8>,
    host: String,
    last: Named,
}

/// The authority of the connection's last request, as it was named and in normal form: mostly the next one names the same.
#[derive(Debug, Default)]
struct Named {
    text: Vec<u8>,
    host: String,
    authority: String,
}

/// Gives every part of the head its one meaning. `upgrade` receives the Upgrade field's value if one is asked for.
///
/// The request's scheme must be the connection's already.
pub fn sanitize(
    request: &mut Request,
    scratch: &mut Scratch,
    upgrade: &mut Vec<u8>,
) -> Result<Facts, SanitizeError> {
    if request.method == Method::Connect {
        return Err(SanitizeError::Connect);
    }
    if request.fields.has_disguised() {
        return Err(SanitizeError::Disguise);
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
        expects_continue: expects_continue(request, framing)?,
        takes_trailers: takes_trailers(request),
        upgrade: take_upgrade(request, (framing, options), upgrade),
        last_hop: count_hop(request, framing)?,
    };
    request.fields.remove_all(&DROPPED);
    framing::strip_hop_by_hop(&mut request.fields, options);
    Ok(facts)
}

/// Fills host, authority, path and query from the target and the Host field.
fn resolve_target(request: &mut Request, scratch: &mut Scratch) -> Result<(), SanitizeError> {
    let Request { fields, host, authority, path, query, spare_query, target, form, version, .. } = request;
    let host_field = one_host(fields, *version)?;
    let raw = fields.buffer().get(target.0 as usize..target.1 as usize).unwrap_or_default();
    let mut rest = raw;
    if *form == TargetForm::Absolute {
        let (scheme, named, after) = split_absolute(raw);
        if !scheme.eq_ignore_ascii_case(request.scheme.as_bytes()) {
            return Err(SanitizeError::Scheme);
        }
        // RFC 9112 section 3.2.2: the target's authority wins. A Host that is none is refused all the same.
        if host_field.is_some_and(|field| Authority::parse(field).is_err()) {
            return Err(SanitizeError::HostInvalid);
        }
        resolve_authority(named, (host, authority), scratch)?;
        rest = after;
        // RFC 9112 section 3.2.4: the last proxy turns `OPTIONS http://host` into `OPTIONS *`.
        if after.is_empty() && request.method == Method::Options {
            *form = TargetForm::Asterisk;
        }
    } else if let Some(named) = host_field {
        resolve_authority(named, (host, authority), scratch)?;
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
        let mut text = std::mem::take(spare_query);
        text.clear();
        encode_query(raw, &mut text)?;
        *query = Some(text);
    }
    Ok(())
}

/// The one Host field, which `:authority` is too: required once since HTTP/1.1, at most once in HTTP/1.0 (RFC 9112 section 3.2).
fn one_host(fields: &crate::Fields, version: Version) -> Result<Option<&[u8]>, SanitizeError> {
    let mut hosts = fields.all(FieldId::Host);
    match (hosts.next(), hosts.next()) {
        (None, _) if version != Version::Http10 => Err(SanitizeError::HostMissing),
        (_, Some(_)) => Err(SanitizeError::HostRepeated),
        (host, None) => Ok(host),
    }
}

/// Fills the host (compared) and the authority (passed on): both in normal form, so that the endpoint reads the very
/// host that chose its route.
fn resolve_authority(
    text: &[u8],
    (host, authority): (&mut String, &mut String),
    scratch: &mut Scratch,
) -> Result<(), SanitizeError> {
    let Scratch { last, host: spare, .. } = scratch;
    // Nothing is an authority whose text is empty.
    if text.is_empty() || last.text != text {
        let parsed = Authority::parse(text).map_err(|_| SanitizeError::HostInvalid)?;
        last.text.clear();
        last.host.clear();
        last.authority.clear();
        last.host.push_str(parsed.lower_into(spare));
        last.authority.push_str(&last.host);
        if let Some(port) = parsed.port() {
            // Writing to a `String` cannot fail.
            let _ = write!(last.authority, ":{port}");
        }
        last.text.extend_from_slice(text);
    }
    host.push_str(&last.host);
    authority.push_str(&last.authority);
    Ok(())
}

/// Scheme, authority and the rest of `scheme://authority/rest`.
fn split_absolute(target: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let colon = memchr::memchr(b':', target).unwrap_or(target.len());
    let (scheme, rest) = target.split_at(colon);
    let rest = rest.strip_prefix(b"://").unwrap_or_default();
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    (scheme, authority, rest)
}

/// Writes a query as UTF-8: bytes above 0x7F are percent-encoded; a raw `#` is refused, as it would cut the target
/// short.
fn encode_query(raw: &[u8], out: &mut String) -> Result<(), SanitizeError> {
    if memchr::memchr(b'#', raw).is_some() {
        return Err(SanitizeError::Path(path::PathError::Fragment));
    }
    if raw.is_ascii()
        && let Ok(text) = std::str::from_utf8(raw)
    {
        out.push_str(text);
        return Ok(());
    }
    for &byte in raw {
        match byte {
            0..0x80 => out.push(char::from(byte)),
            // Writing to a `String` cannot fail.
            _ => _ = write!(out, "%{byte:02X}"),
        }
    }
    Ok(())
}

/// Whether the client waits for 100. An expectation that means nothing is not passed on: without a body, and from
/// HTTP/1.0 clients, which cannot mean it (RFC 9110 section 10.1.1).
fn expects_continue(request: &mut Request, framing: Framing) -> Result<bool, SanitizeError> {
    if !request.fields.may_have(FieldId::Expect) {
        return Ok(false);
    }
    let known = request.fields.all(FieldId::Expect).all(|value| value.eq_ignore_ascii_case(b"100-continue"));
    if !known {
        return Err(SanitizeError::Expectation);
    }
    let meant = request.version != Version::Http10 && !is_empty(framing);
    if !meant {
        request.fields.remove(FieldId::Expect);
    }
    Ok(meant)
}

fn is_empty(framing: Framing) -> bool {
    matches!(framing, Framing::None | Framing::Length(0))
}

/// Whether trailers mean anything to the client. HTTP/1.0 has none; in HTTP/2 and 3 they are part of every message.
fn takes_trailers(request: &Request) -> bool {
    if request.version >= Version::Http2 {
        return true;
    }
    request.fields.may_have(FieldId::Te)
        && request.version != Version::Http10
        && request
            .fields
            .all(FieldId::Te)
            .flat_map(list)
            .any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
}

/// Counts Max-Forwards down by one and says whether it was 0 (RFC 9110 section 7.6.2). It means something for TRACE and
/// OPTIONS only; with other methods it is passed on as it is.
fn count_hop(request: &mut Request, framing: Framing) -> Result<bool, SanitizeError> {
    match request.method {
        Method::Trace if !is_empty(framing) => return Err(SanitizeError::TraceBody),
        Method::Trace | Method::Options if request.fields.may_have(FieldId::MaxForwards) => {}
        _ => return Ok(false),
    }
    let left = {
        let mut values = request.fields.all(FieldId::MaxForwards);
        let only = (values.next().and_then(framing::decimal), values.next());
        if let (Some(left), None) = only { left } else { return Err(SanitizeError::MaxForwards) }
    };
    if left > 0 {
        request.fields.remove(FieldId::MaxForwards);
        request.fields.push(FieldId::MaxForwards, (left - 1).to_string().as_bytes());
    }
    Ok(left == 0)
}

/// Copies the protocol asked for into `upgrade`; RFC 9110 section 7.8 lets a server ignore any Upgrade.
///
/// Ignored are those of HTTP/1.0 clients, which cannot mean it; those of requests with a body, as the tunnel would
/// begin where the body ends, which both sides of the proxy would have to agree on; repeated ones; and `h2c`, which is
/// obsolete (RFC 9113 section 3.1).
fn take_upgrade(
    request: &Request,
    (framing, options): (Framing, ConnectionOptions),
    upgrade: &mut Vec<u8>,
) -> bool {
    upgrade.clear();
    // In HTTP/2 and 3 it stands for the protocol of an extended CONNECT.
    let asked = options.upgrade || request.version >= Version::Http2;
    if !asked || request.version == Version::Http10 || !is_empty(framing) {
        return false;
    }
    let mut protocols = request.fields.all(FieldId::Upgrade);
    let (Some(protocol), None) = (protocols.next(), protocols.next()) else { return false };
    if list(protocol).any(|protocol| protocol.eq_ignore_ascii_case(b"h2c")) {
        return false;
    }
    upgrade.extend_from_slice(protocol);
    !upgrade.is_empty()
}
