//! Priorities as hints (RFC 9218): among streams that wait to send, the more urgent go first. The scheme of RFC 7540 is
//! deprecated; its frames are checked and ignored.

use super::core::{Core, Role};
use super::flood::Kind;
use super::frame::{self, FrameHead, MAX_31, Wrong};

/// RFC 9218 section 4.1.
pub(super) const DEFAULT_URGENCY: u8 = 3;

/// The urgency that a value of the `priority` field says, 0 to 7. What is no dictionary with an integer `u` says nothing.
pub(super) fn urgency(value: &[u8]) -> u8 {
    let mut found = DEFAULT_URGENCY;
    for member in usher_http::list(value) {
        if let [b'u', b'=', digit @ b'0'..=b'7', rest @ ..] = member
            && matches!(rest.first(), None | Some(b';'))
        {
            found = digit - b'0';
        }
    }
    found
}

impl Core {
    pub(super) fn on_priority(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Wrong> {
        if head.stream == 0 {
            return Err(Wrong::protocol("PRIORITY on no stream"));
        }
        self.flood.count(Kind::Priority)?;
        let is_idle = self.is_idle(head.stream);
        let wrong = |code, phrase| {
            // A stream that was never begun cannot be reset.
            if is_idle { Wrong::Connection(code, phrase) } else { Wrong::Stream(head.stream, code, phrase) }
        };
        if payload.len() != 5 {
            return Err(wrong(frame::Code::FrameSize, "PRIORITY of a length that is not 5"));
        }
        if depends_on_itself(head.stream, payload) {
            return Err(wrong(frame::Code::Protocol, "stream that depends on itself"));
        }
        Ok(())
    }

    pub(super) fn on_priority_update(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Wrong> {
        if self.role == Role::Client {
            return Err(Wrong::protocol("PRIORITY_UPDATE from a server"));
        }
        if head.stream != 0 {
            return Err(Wrong::protocol("PRIORITY_UPDATE on a stream"));
        }
        self.flood.count(Kind::Priority)?;
        let Some((id, value)) = payload.split_first_chunk() else {
            return Err(Wrong::size("PRIORITY_UPDATE of less than 4 bytes"));
        };
        let id = u32::from_be_bytes(*id) & MAX_31;
        if id == 0 {
            return Err(Wrong::protocol("PRIORITY_UPDATE for no stream"));
        }
        if let Some(stream) = self.streams.find(id).and_then(|slot| self.streams.get_mut(slot)) {
            stream.urgency = urgency(value);
        }
        Ok(())
    }
}

/// Whether the priority that a payload begins with makes a stream depend on itself (RFC 7540 section 5.3.1).
pub(super) fn depends_on_itself(id: u32, payload: &[u8]) -> bool {
    frame::number(payload).is_some_and(|dependency| dependency & MAX_31 == id)
}
