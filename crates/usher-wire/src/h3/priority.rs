//! Extensible priorities (RFC 9218), as hints: what is more urgent is sent first.

use super::code::{FRAME_ERROR, ID_ERROR, Wrong};
use super::frame::integer;

/// RFC 9218 section 4.1.
const DEFAULT_URGENCY: i32 = 3;
/// The largest PRIORITY_UPDATE that is read (bytes); values take a dozen.
pub(super) const LARGEST_UPDATE: u64 = 256;
/// Updates that wait for their requests; older ones are forgotten.
pub(super) const EARLY_UPDATES: usize = 16;

/// What a value of the Priority field means for the order of sending: higher goes first, 0 is the default.
pub(super) fn of(value: &[u8]) -> i32 {
    DEFAULT_URGENCY - urgency(value)
}

/// The urgency that a value of the Priority field says, 0 to 7 (RFC 9218 section 4.1). What is no dictionary with an
/// integer `u` says nothing.
fn urgency(value: &[u8]) -> i32 {
    let mut found = DEFAULT_URGENCY;
    for member in usher_http::list(value) {
        if let [b'u', b'=', digit @ b'0'..=b'7', rest @ ..] = member
            && matches!(rest.first(), None | Some(b';'))
        {
            found = i32::from(digit - b'0');
        }
    }
    found
}

/// Reads the payload of a PRIORITY_UPDATE: a request's stream, and the order of sending.
///
/// # Errors
/// When it is cut, or of a stream that is no request (RFC 9218 section 7.2).
pub(super) fn update(payload: &[u8]) -> Result<(u64, i32), Wrong> {
    let (stream, value) =
        integer(payload).ok_or(Wrong::Connection(FRAME_ERROR, "malformed PRIORITY_UPDATE"))?;
    if !stream.is_multiple_of(4) {
        return Err(Wrong::Connection(ID_ERROR, "PRIORITY_UPDATE of a stream that is no request"));
    }
    Ok((stream, of(value)))
}
