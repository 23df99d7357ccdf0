//! Which fields may be passed on behind a body.

use super::{Field, FieldId, is_claim};

/// Whether a field may be passed on as a trailer.
///
/// Not those that frame, route, modify or authorise a message, control a response or say how its content is to be read
/// (RFC 9110 section 6.5.1): who reads heads and trailers into one list would take them for the proxy's own word, or
/// act on them after they were looked at. Nor names with `_`, in which any of these can be disguised.
pub fn may_be_trailer(field: &Field<'_>) -> bool {
    let name = field.name;
    let starts =
        |prefix: &[u8]| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    field.id == FieldId::Other
        && !name.contains(&b'_')
        && !is_claim(name)
        && !PREFIXES.iter().any(|prefix| starts(prefix))
        && !NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

const PREFIXES: [&[u8]; 14] = [
    b"accept-",
    b"access-control-",
    b"cookie",
    b"if-",
    b"proxy-",
    b"remote-",
    b"sec-",
    b"ssl-",
    b"x-auth",
    b"x-http-method",
    b"x-method-",
    b"x-original-",
    b"x-remote-",
    b"x-rewrite-",
];

const NAMES: [&[u8]; 23] = [
    b"age",
    b"allow",
    b"alt-svc",
    b"authentication-info",
    b"clear-site-data",
    b"content-disposition",
    b"content-encoding",
    b"content-language",
    b"content-location",
    b"content-range",
    b"content-security-policy",
    b"expires",
    b"from",
    b"origin",
    b"pragma",
    b"range",
    b"referer",
    b"refresh",
    b"retry-after",
    b"strict-transport-security",
    b"vary",
    b"warning",
    b"www-authenticate",
];
