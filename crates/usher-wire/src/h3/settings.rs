//! Settings (RFC 9114 section 7.2.4).

use super::code::{FRAME_ERROR, SETTINGS_ERROR, Wrong};
use super::frame::{self, integer, write_integer};
use super::limits::Limits;
use crate::qpack::BLOCKED_STREAMS;

const QPACK_MAX_TABLE_CAPACITY: u64 = 0x1;
const MAX_FIELD_SECTION_SIZE: u64 = 0x6;
const QPACK_BLOCKED_STREAMS: u64 = 0x7;
/// RFC 9220.
const ENABLE_CONNECT_PROTOCOL: u64 = 0x8;

/// Identifiers of HTTP/2 that must not come (RFC 9114 section 7.2.4.1).
fn is_of_http2(identifier: u64) -> bool {
    matches!(identifier, 0x0 | 0x2 | 0x3 | 0x4 | 0x5)
}

/// The largest frame that is read (bytes); known settings take no more than 60, reserved ones a little more.
pub(super) const LARGEST: usize = 4 << 10;
/// How many settings a frame may have.
const MOST: usize = 64;
/// What each field counts beside its name and value in MAX_FIELD_SECTION_SIZE (RFC 9114 section 4.2.2).
const FIELD_OVERHEAD: u64 = 32;

/// What the peer has set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The size of a head beyond which the peer will refuse it (bytes, with 32 more per field).
    pub max_field_section: u64,
    /// The peer takes extended CONNECT.
    pub connect_protocol: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_field_section: u64::MAX, connect_protocol: false }
    }
}

impl Settings {
    /// Reads the payload of a SETTINGS frame.
    ///
    /// # Errors
    /// When it is cut, has a setting twice, or one that must not be.
    pub fn read(payload: &[u8]) -> Result<Self, Wrong> {
        let mut settings = Self::default();
        let mut seen = [0; MOST];
        let mut count = 0;
        let mut rest = payload;
        while !rest.is_empty() {
            let cut = Wrong::Connection(FRAME_ERROR, "malformed SETTINGS");
            let (identifier, after) = integer(rest).ok_or(cut)?;
            let (value, after) = integer(after).ok_or(cut)?;
            rest = after;
            let wrong = |phrase| Wrong::Connection(SETTINGS_ERROR, phrase);
            if seen.iter().take(count).any(|other| *other == identifier) {
                return Err(wrong("setting that came twice"));
            }
            *seen.get_mut(count).ok_or(wrong("too many settings"))? = identifier;
            count += 1;
            match identifier {
                MAX_FIELD_SECTION_SIZE => settings.max_field_section = value,
                ENABLE_CONNECT_PROTOCOL if value > 1 => return Err(wrong("malformed setting")),
                ENABLE_CONNECT_PROTOCOL => settings.connect_protocol = value == 1,
                other if is_of_http2(other) => return Err(wrong("setting of HTTP/2")),
                // Of the tables nothing is used; unknown ones are to be ignored.
                _ => {}
            }
        }
        Ok(settings)
    }
}

/// Appends our SETTINGS frame.
pub(super) fn write(limits: &Limits, is_server: bool, out: &mut Vec<u8>) {
    let largest = limits.head.head as u64 + FIELD_OVERHEAD * limits.head.fields as u64;
    let mut payload = Vec::new();
    let mut set = |identifier, value| {
        write_integer(identifier, &mut payload);
        write_integer(value, &mut payload);
    };
    set(MAX_FIELD_SECTION_SIZE, largest);
    if limits.table > 0 {
        set(QPACK_MAX_TABLE_CAPACITY, limits.table.into());
        set(QPACK_BLOCKED_STREAMS, BLOCKED_STREAMS as u64);
    }
    if is_server {
        set(ENABLE_CONNECT_PROTOCOL, 1);
    }
    frame::write_head(frame::SETTINGS, payload.len(), out);
    out.extend_from_slice(&payload);
}
