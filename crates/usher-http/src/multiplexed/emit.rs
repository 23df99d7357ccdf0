//! What heads are on the wire: lists of fields, with names in lower case.

use crate::fields::{FieldId, Fields, may_be_trailer};
use crate::head::{Request, Response, TargetForm};

/// Fields that no list of HTTP/2 or HTTP/3 has (RFC 9113 section 8.2.2).
const LEFT_OUT: u64 = FieldId::Connection.bit()
    | FieldId::KeepAlive.bit()
    | FieldId::ProxyConnection.bit()
    | FieldId::TransferEncoding.bit()
    | FieldId::Upgrade.bit()
    | FieldId::Http2Settings.bit()
    | FieldId::Te.bit();

/// Names and paths up to this size need no memory of their own (bytes).
const USUAL: usize = 256;

/// Gives the fields of a request, pseudo-fields first (RFC 9113 section 8.3.1). With a `protocol` it is an extended
/// CONNECT (RFC 8441 section 4). `te: trailers` is the caller's to add.
pub fn each_request_field(
    request: &Request,
    host: &[u8],
    protocol: Option<&[u8]>,
    mut emit: impl FnMut(&[u8], &[u8]),
) {
    let method = if protocol.is_some() { "CONNECT" } else { request.method.as_str() };
    emit(b":method", method.as_bytes());
    if let Some(protocol) = protocol {
        emit(b":protocol", protocol);
    }
    emit(b":scheme", request.scheme.as_bytes());
    emit(b":authority", host);
    match &request.query {
        _ if request.form == TargetForm::Asterisk => emit(b":path", b"*"),
        None => emit(b":path", request.path.as_bytes()),
        Some(query) => {
            let parts = [request.path.as_bytes(), b"?", query.as_bytes()];
            joined(&parts, |path| emit(b":path", path));
        }
    }
    let left_out = LEFT_OUT | FieldId::Host.bit();
    // The handshake of RFC 6455 has no key and no answer to it here (RFC 8441 section 5).
    each(&request.fields, left_out, |id, name, value| {
        if protocol.is_none() || id != FieldId::Other || name != b"sec-websocket-key" {
            emit(name, value);
        }
    });
}

/// Gives the fields of a response, `:status` first. A 101 is the 200 to an extended CONNECT (RFC 8441 section 5). A length
/// is left out where there may be none (RFC 9110 section 8.6: 1xx, 204).
pub fn each_response_field(response: &Response, mut emit: impl FnMut(&[u8], &[u8])) {
    let switches = response.status == 101;
    let status = if switches { 200 } else { response.status };
    let digits =
        [b'0' + (status / 100 % 10) as u8, b'0' + (status / 10 % 10) as u8, b'0' + (status % 10) as u8];
    emit(b":status", &digits);
    let bodiless = matches!(response.status, 100..=199 | 204);
    let left_out = if bodiless { LEFT_OUT | FieldId::ContentLength.bit() } else { LEFT_OUT };
    each(&response.fields, left_out, |id, name, value| {
        if !switches || id != FieldId::Other || name != b"sec-websocket-accept" {
            emit(name, value);
        }
    });
}

/// Gives the trailers that may be passed on ([`may_be_trailer`]), but for those of the names in `but`.
pub fn each_trailer(trailers: &Fields, but: &[Box<str>], mut emit: impl FnMut(&[u8], &[u8])) {
    let held_back = |name: &[u8]| but.iter().any(|other| name.eq_ignore_ascii_case(other.as_bytes()));
    for field in trailers.iter().filter(|field| may_be_trailer(field) && !held_back(field.name)) {
        in_lower_case(field.name, |name| emit(name, field.value));
    }
}

#[inline]
fn each(fields: &Fields, left_out: u64, mut emit: impl FnMut(FieldId, &[u8], &[u8])) {
    for field in fields.iter().filter(|field| field.id.bit() & left_out == 0) {
        if field.id == FieldId::Other {
            in_lower_case(field.name, |name| emit(field.id, name, field.value));
        } else {
            emit(field.id, field.id.lower(), field.value);
        }
    }
}

#[inline]
fn in_lower_case(name: &[u8], emit: impl FnOnce(&[u8])) {
    if !name.iter().any(u8::is_ascii_uppercase) {
        return emit(name);
    }
    let mut usual = [0; USUAL];
    match usual.get_mut(..name.len()) {
        Some(lower) => {
            lower.copy_from_slice(name);
            lower.make_ascii_lowercase();
            emit(lower);
        }
        None => emit(&name.to_ascii_lowercase()),
    }
}

fn joined(parts: &[&[u8]], emit: impl FnOnce(&[u8])) {
    let mut usual = [0; USUAL];
    let len = parts.iter().map(|part| part.len()).sum();
    match usual.get_mut(..len) {
        Some(all) => {
            let mut rest = &mut *all;
            for part in parts {
                let (here, after) = rest.split_at_mut(part.len());
                here.copy_from_slice(part);
                rest = after;
            }
            emit(all);
        }
        None => emit(&parts.concat()),
    }
}
