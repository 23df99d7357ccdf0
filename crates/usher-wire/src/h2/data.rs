//! DATA, and the windows that bound it (RFC 9113 sections 5.2, 6.1 and 6.9).
//!
//! A window opens again when the *reader* has taken half of it, so that whoever is slow behind us slows the peer down.
//! Those of streams grow, up to half of the connection's, while they are what holds the peer back: while nearly a whole
//! one arrives in the time that a PING takes.

use usher_net::shortage;

use super::core::{Core, Role};
use super::flood::Kind;
use super::frame::{self, Code, FrameHead, Wrong, flag, kind, without_padding};
use super::settings::DEFAULT_WINDOW;
use super::stream::{Direction, Interest};

impl Core {
    pub(super) fn on_data(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Wrong> {
        if head.stream == 0 {
            return Err(Wrong::protocol("DATA on no stream"));
        }
        let data = without_padding(head, payload)?;
        let ends = head.has(flag::END_STREAM);
        self.arrived += payload.len() as u64;
        self.receive_window -= payload.len() as i64;
        if self.receive_window < 0 {
            return Err(Wrong::Connection(Code::FlowControl, "more DATA than the window of the connection"));
        }
        if data.is_empty() && !ends {
            self.flood.count(Kind::Empty)?;
        }
        let Some(slot) = self.streams.find(head.stream) else {
            return self.stray_data(head.stream, payload.len());
        };
        // What nobody will read was read.
        let padding = payload.len() - data.len();
        let taken = self.accept(slot, data, padding);
        self.credit_connection(if taken.is_ok() { padding } else { payload.len() });
        taken?;
        if ends {
            return self.end_receiving(slot);
        }
        self.notify(slot, Interest::READ);
        Ok(())
    }

    /// Puts data into an open stream.
    fn accept(&mut self, slot: u32, data: &[u8], padding: usize) -> Result<(), Wrong> {
        let early = self.role == Role::Client;
        let Some(stream) = self.streams.get_mut(slot) else { return Ok(()) };
        let wrong = |code, phrase| Err(Wrong::Stream(stream.id, code, phrase));
        match stream.receiving {
            Direction::Ended => return wrong(Code::StreamClosed, "DATA behind the end of a stream"),
            Direction::Idle if early => return wrong(Code::Protocol, "DATA before a head"),
            _ => {}
        }
        stream.receive_window -= (data.len() + padding) as i64;
        if stream.receive_window < 0 {
            return wrong(Code::FlowControl, "more DATA than the window of a stream");
        }
        if let Some(expected) = &mut stream.expected {
            match expected.checked_sub(data.len() as u64) {
                Some(left) => *expected = left,
                None => return wrong(Code::Protocol, "body longer than its content-length"),
            }
        }
        stream.arrived += data.len() as u64;
        stream.counts.0 += (frame::HEAD + data.len() + padding) as u64;
        stream.received.extend_from_slice(data);
        if padding > 0 {
            self.credit_stream(slot, padding);
        }
        Ok(())
    }

    /// DATA for a stream that is not open. It counts for the connection's window all the same.
    fn stray_data(&mut self, id: u32, len: usize) -> Result<(), Wrong> {
        self.credit_connection(len);
        if self.is_idle(id) {
            return Err(Wrong::protocol("DATA on a stream that was never begun"));
        }
        match self.lately.find(id) {
            Some(false) => Ok(()),
            Some(true) => Err(Wrong::Stream(id, Code::StreamClosed, "DATA on a stream that was reset")),
            None => Err(Wrong::Connection(Code::StreamClosed, "DATA on a stream that has ended")),
        }
    }

    /// Notes that `len` bytes of a stream's body were taken.
    pub(super) fn credit(&mut self, slot: u32, len: usize) {
        self.credit_connection(len);
        self.credit_stream(slot, len);
    }

    /// Opens the window of the connection again, once half of it was taken.
    pub(super) fn credit_connection(&mut self, len: usize) {
        self.taken = self.taken.saturating_add(len as u32);
        if self.taken > 0 && self.taken >= self.limits.connection_window / 2 && self.fault.is_none() {
            self.receive_window += i64::from(self.taken);
            let more = std::mem::take(&mut self.taken).to_be_bytes();
            frame::push(self.output.begin(), kind::WINDOW_UPDATE, 0, 0, &more);
        }
    }

    fn credit_stream(&mut self, slot: u32, len: usize) {
        let window = self.window;
        let Some(stream) = self.streams.get_mut(slot) else { return };
        if stream.receiving == Direction::Ended || stream.fault.is_some() || self.fault.is_some() {
            return;
        }
        stream.taken = stream.taken.saturating_add(len as u32);
        if stream.taken > 0 && stream.taken >= stream.window / 2 {
            let wider = window.saturating_sub(stream.window);
            let more = std::mem::take(&mut stream.taken).saturating_add(wider);
            stream.window += wider;
            stream.receive_window += i64::from(more);
            frame::push(self.output.begin(), kind::WINDOW_UPDATE, 0, stream.id, &more.to_be_bytes());
            self.measure();
        }
    }

    /// Whether a client has sent enough that nobody has read, while the process has no memory for more of it.
    pub(super) fn holds_too_much(&self) -> bool {
        shortage::is_full() && self.role == Role::Server && self.unread() > ENOUGH
    }

    /// What has come of bodies and was not taken (bytes).
    fn unread(&self) -> i64 {
        let window = i64::from(self.limits.connection_window.max(DEFAULT_WINDOW));
        window - self.receive_window - i64::from(self.taken)
    }

    /// The widest window that a stream gets (bytes): no one may use up that of the connection.
    fn widest(&self) -> u32 {
        self.limits.connection_window / 2
    }

    /// Begins to measure what arrives while a PING goes there and back, unless windows are as wide as they get.
    fn measure(&mut self) {
        if self.measured.is_none() && self.window <= self.widest() / 2 && !shortage::is_tight() {
            self.measured = Some(self.arrived);
            frame::push(self.output.begin(), kind::PING, 0, 0, MEASURE);
        }
    }

    /// The PING is back. If nearly a window arrived meanwhile, the window is what holds the peer back.
    pub(super) fn on_measured(&mut self) {
        let Some(begun) = self.measured.take() else { return };
        let meanwhile = self.arrived.saturating_sub(begun);
        let may_grow = self.window <= self.widest() / 2 && !shortage::is_tight();
        if meanwhile >= u64::from(self.window / 3 * 2) && may_grow {
            self.window *= 2;
        }
    }
}

/// What a client may have sent that nobody has read, and still be listened to while there is no memory (bytes).
const ENOUGH: i64 = 32 << 10;

/// What is sent in a PING that measures.
pub(super) const MEASURE: &[u8; 8] = b"measure\0";
