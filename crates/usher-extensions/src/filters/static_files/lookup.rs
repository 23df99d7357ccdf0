//! From the path of a request to the name of a file.

use usher_http::path::decode_segment;

/// The one name with a dot that is public by its standard (RFC 8615).
const WELL_KNOWN: &[u8] = b".well-known";

/// What a path names, relative to the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// Decoded segments, joined by `/`; empty for the root itself.
    pub(super) bytes: Vec<u8>,
    /// The path ended with `/`: a folder is meant.
    pub(super) is_folder: bool,
}

/// The name of a path in normal form; none where no file can have it.
pub(super) fn name(path: &str, strip_prefix: &str, hidden: bool) -> Option<Name> {
    let rest = path.strip_prefix(strip_prefix)?;
    if !rest.is_empty() && !rest.starts_with('/') {
        return None;
    }
    let mut bytes = Vec::with_capacity(rest.len());
    for segment in rest.as_bytes().split(|&byte| byte == b'/').filter(|segment| !segment.is_empty()) {
        let decoded = decode_segment(segment).ok()?;
        let dotted = decoded.starts_with(b".") && !(bytes.is_empty() && &*decoded == WELL_KNOWN);
        if dotted && !hidden {
            return None;
        }
        if !bytes.is_empty() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(&decoded);
    }
    Some(Name { bytes, is_folder: rest.ends_with('/') })
}

impl Name {
    /// Something in this folder.
    pub(super) fn join(&self, inside: &[u8]) -> Vec<u8> {
        let mut joined = self.bytes.clone();
        if !joined.is_empty() {
            joined.push(b'/');
        }
        joined.extend_from_slice(inside);
        joined
    }
}
