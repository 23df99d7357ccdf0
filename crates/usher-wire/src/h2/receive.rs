//! What comes in: each frame to its rules.

use super::core::{Core, Role};
use super::flood::Kind;
use super::frame::{self, Code, FrameHead, HEAD, MAX_31, MAX_PAYLOAD, Wrong, flag, kind};
use super::headers::Block;
use super::stream::{Direction, Fault, Interest};

/// What the bytes at hand begin with.
pub(super) enum Next<'a> {
    /// Less than a frame.
    Incomplete,
    /// A frame that was dealt with; so many bytes are to be taken.
    Done(usize),
    /// A whole block of fields, and the bytes that its last frame took.
    Block(Block<'a>, usize),
    /// A frame that is not dealt with before streams are given up.
    Wait,
}

impl Core {
    /// Deals with the frame that `bytes` begin with.
    pub(super) fn next<'a>(&mut self, bytes: &'a [u8]) -> Result<Next<'a>, Wrong> {
        let Some(head) = FrameHead::read(bytes) else { return Ok(Next::Incomplete) };
        if head.len > MAX_PAYLOAD {
            return Err(Wrong::size("frame larger than SETTINGS_MAX_FRAME_SIZE"));
        }
        if !self.greeted && (head.kind != kind::SETTINGS || head.has(flag::ACK)) {
            return Err(Wrong::protocol("first frame that is not SETTINGS"));
        }
        let size = HEAD + head.len;
        let Some(payload) = bytes.get(HEAD..size) else { return Ok(Next::Incomplete) };
        self.greeted = true;
        if self.partial.is_some() && head.kind != kind::CONTINUATION {
            return Err(Wrong::protocol("block of fields that is interrupted"));
        }
        let block = match head.kind {
            kind::HEADERS if head.stream > self.highest && self.must_wait() => return Ok(Next::Wait),
            kind::HEADERS => self.on_headers(head, payload)?,
            kind::CONTINUATION => self.on_continuation(head, payload)?,
            _ => {
                self.dispatch(head, payload)?;
                None
            }
        };
        Ok(block.map_or(Next::Done(size), |block| Next::Block(block, size)))
    }

    /// Whether the places are taken by streams that were reset while somebody works on them: whoever resets streams to
    /// begin others waits until that work has stopped. Trailers do not: they may be what that work waits for.
    fn must_wait(&mut self) -> bool {
        let most = self.limits.max_streams as usize;
        self.is_crowded =
            self.role == Role::Server && self.streams.held() >= most && self.streams.open() < most;
        self.is_crowded
    }

    #[inline]
    fn dispatch(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Wrong> {
        match head.kind {
            kind::DATA => self.on_data(head, payload),
            kind::WINDOW_UPDATE => self.on_window_update(head, payload),
            kind::RST_STREAM => self.on_reset(head, payload),
            kind::SETTINGS => self.on_settings(head, payload),
            kind::PING => self.on_ping(head, payload),
            kind::GOAWAY => self.on_goaway(head, payload),
            kind::PRIORITY => self.on_priority(head, payload),
            kind::PRIORITY_UPDATE => self.on_priority_update(head, payload),
            // We never allow it, and clients never may (RFC 9113 section 8.4).
            kind::PUSH_PROMISE => Err(Wrong::protocol("PUSH_PROMISE that is not allowed")),
            // RFC 9113 section 5.5.
            _ => self.flood.count(Kind::Unknown),
        }
    }

    /// Whether a stream was never begun: by the client with an odd number, and by the server, which may not, with an
    /// even one.
    pub(super) fn is_idle(&self, id: u32) -> bool {
        id.is_multiple_of(2) || id > self.highest
    }

    fn on_reset(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Wrong> {
        let &[a, b, c, d] = payload else { return Err(Wrong::size("RST_STREAM of a length that is not 4")) };
        if head.stream == 0 || self.is_idle(head.stream) {
            return Err(Wrong::protocol("RST_STREAM for a stream that was never begun"));
        }
        let code = u32::from_be_bytes([a, b, c, d]);
        let open = self.streams.find(head.stream);
        // A server can reset no more streams than we open.
        if open.is_none() || self.role == Role::Server {
            self.flood.count(Kind::Reset)?;
        }
        let Some(slot) = open else { return Ok(()) };
        let refused = self.role == Role::Client && code == Code::RefusedStream as u32;
        let fault = if refused { self.refusal(slot) } else { Fault::Reset(code) };
        self.reset_by_peer(slot, fault);
        Ok(())
    }

    /// What the peer sent to its end stays: a server may have answered and want no more of the request (RFC 9113
    /// section 8.1).
    fn reset_by_peer(&mut self, slot: u32, fault: Fault) {
        let Some(stream) = self.streams.get_mut(slot) else { return };
        if self.role == Role::Client && stream.receiving == Direction::Ended {
            let id = stream.id;
            stream.sending = Direction::Ended;
            stream.left = None;
            self.streams.set_closed(id);
            self.lately.note(id, true);
            return self.notify(slot, Interest::ALL);
        }
        self.break_stream(slot, fault, true);
    }

    fn on_ping(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Wrong> {
        if head.stream != 0 {
            return Err(Wrong::protocol("PING on a stream"));
        }
        if payload.len() != 8 {
            return Err(Wrong::size("PING of a length that is not 8"));
        }
        if head.has(flag::ACK) {
            self.on_pong(payload);
            return Ok(());
        }
        self.flood.count(Kind::Ping)?;
        frame::push(self.output.begin(), kind::PING, flag::ACK, 0, payload);
        Ok(())
    }

    fn on_window_update(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Wrong> {
        let &[a, b, c, d] = payload else {
            return Err(Wrong::size("WINDOW_UPDATE of a length that is not 4"));
        };
        self.flood.count(Kind::Window)?;
        let more = u32::from_be_bytes([a, b, c, d]) & MAX_31;
        if head.stream == 0 {
            return self.widen(more);
        }
        if self.is_idle(head.stream) {
            return Err(Wrong::protocol("WINDOW_UPDATE for a stream that was never begun"));
        }
        let Some(slot) = self.streams.find(head.stream) else { return Ok(()) };
        let Some(stream) = self.streams.get_mut(slot) else { return Ok(()) };
        if more == 0 {
            return Err(Wrong::Stream(head.stream, Code::Protocol, "WINDOW_UPDATE of nothing"));
        }
        stream.send_window += i64::from(more);
        if stream.send_window > i64::from(MAX_31) {
            return Err(Wrong::Stream(head.stream, Code::FlowControl, "window of a stream overflows"));
        }
        if stream.send_window > 0 && !stream.is_queued {
            self.notify(slot, Interest::WRITE);
        }
        Ok(())
    }

    /// Widens the window of the connection.
    fn widen(&mut self, more: u32) -> Result<(), Wrong> {
        if more == 0 {
            return Err(Wrong::protocol("WINDOW_UPDATE of nothing"));
        }
        self.send_window += i64::from(more);
        if self.send_window > i64::from(MAX_31) {
            return Err(Wrong::Connection(Code::FlowControl, "window of the connection overflows"));
        }
        Ok(())
    }
}
