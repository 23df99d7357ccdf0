//! The peer's unidirectional streams (RFC 9114 section 6.2).

use std::task::{Context, Poll};

use usher_net::quic::{RecvStream, StreamError};

use super::code::{
    CLOSED_CRITICAL_STREAM, EXCESSIVE_LOAD, FRAME_ERROR, FRAME_UNEXPECTED, ID_ERROR, MISSING_SETTINGS,
    QPACK_DECODER_STREAM_ERROR, STREAM_CREATION_ERROR, Wrong,
};
use super::flood::{Kind, UNKNOWN_PIECE};
use super::frame::{self, integer};
use super::priority::{self, LARGEST_UPDATE};
use super::settings::{self, Settings};
use super::shared::{CONTROL_STREAM, DECODER_STREAM, ENCODER_STREAM, PUSH_STREAM, Shared};
use crate::buffer::{Buffer, SMALL};

/// The largest integer on the wire (bytes).
const LARGEST_INTEGER: u64 = 8;

/// A stream, and what came on it and was not used yet.
struct Inlet {
    stream: RecvStream,
    buffer: Buffer,
    ended: bool,
}

/// What has come of the peer's streams.
#[derive(Default)]
pub(super) struct Peer {
    /// Streams whose type has not arrived; QUIC bounds their number.
    unknown: Vec<Inlet>,
    control: Option<Inlet>,
    encoder: Option<Inlet>,
    decoder: Option<Inlet>,
    /// What is left of a frame on the control stream that is not read.
    skip: u64,
    /// The highest MAX_PUSH_ID.
    max_push: Option<u64>,
}

fn wrong<T>(code: u64, phrase: &'static str) -> Result<T, Wrong> {
    Err(Wrong::Connection(code, phrase))
}

impl Inlet {
    /// Reads what is there; true if something came, or the end.
    fn read(&mut self, cx: &mut Context<'_>) -> Result<bool, StreamError> {
        let room = self.buffer.room(SMALL);
        if self.ended || room.is_empty() {
            return Ok(false);
        }
        match self.stream.poll_read(cx, room) {
            Poll::Pending => {
                self.buffer.release();
                Ok(false)
            }
            Poll::Ready(Ok(len)) => {
                self.ended = len == 0;
                self.buffer.filled(len);
                Ok(true)
            }
            Poll::Ready(Err(error)) => Err(error),
        }
    }

    /// As [`read`](Self::read), of a stream that must not end before the connection does (RFC 9114 section 6.2.1, RFC 9204
    /// section 4.2).
    fn read_critical(&mut self, cx: &mut Context<'_>) -> Result<bool, Wrong> {
        match self.read(cx) {
            // Whoever asks for the next request learns of it.
            Err(StreamError::Connection(_)) => Ok(false),
            Ok(read) if !self.ended => Ok(read),
            _ => wrong(CLOSED_CRITICAL_STREAM, "critical stream closed"),
        }
    }
}

impl Peer {
    /// Takes new streams, and what came on those that are known.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, shared: &Shared) -> Result<(), Wrong> {
        while let Poll::Ready(Ok(stream)) = shared.connection.poll_accept_uni(cx) {
            self.unknown.push(Inlet { stream, buffer: Buffer::default(), ended: false });
        }
        self.poll_unknown(cx, shared)?;
        // The table first: frames and heads may wait for it.
        self.poll_encoder(cx, shared)?;
        self.poll_control(cx, shared)?;
        self.poll_decoder(cx, shared)
    }

    fn poll_unknown(&mut self, cx: &mut Context<'_>, shared: &Shared) -> Result<(), Wrong> {
        let mut at = 0;
        while let Some(inlet) = self.unknown.get_mut(at) {
            let read = inlet.read(cx);
            if let Some((kind, rest)) = integer(inlet.buffer.bytes()) {
                let used = inlet.buffer.len() - rest.len();
                inlet.buffer.consume(used);
                let inlet = self.unknown.swap_remove(at);
                self.adopt(kind, inlet, shared)?;
            } else if matches!(read, Ok(false)) {
                at += 1;
            } else if inlet.ended || read.is_err() {
                // Without a type it was nothing (RFC 9114 section 6.2).
                self.unknown.swap_remove(at);
                shared.floods.count(Kind::Stream, 1)?;
            }
        }
        Ok(())
    }

    fn adopt(&mut self, kind: u64, mut inlet: Inlet, shared: &Shared) -> Result<(), Wrong> {
        let place = match kind {
            CONTROL_STREAM => &mut self.control,
            ENCODER_STREAM => &mut self.encoder,
            DECODER_STREAM => &mut self.decoder,
            PUSH_STREAM if shared.is_server => {
                return wrong(STREAM_CREATION_ERROR, "push of a client");
            }
            // None was ever allowed.
            PUSH_STREAM => return wrong(ID_ERROR, "push that was not allowed"),
            _ => {
                inlet.stream.stop(STREAM_CREATION_ERROR);
                return shared.floods.count(Kind::Stream, 1);
            }
        };
        if place.is_some() {
            return wrong(STREAM_CREATION_ERROR, "critical stream that came twice");
        }
        // Until the connection ends; asking for less would be an error of ours.
        inlet.stream.keep();
        *place = Some(inlet);
        Ok(())
    }

    fn poll_encoder(&mut self, cx: &mut Context<'_>, shared: &Shared) -> Result<(), Wrong> {
        let Some(inlet) = &mut self.encoder else { return Ok(()) };
        loop {
            let used = shared.instructions(inlet.buffer.bytes())?;
            inlet.buffer.consume(used);
            if used > 0 {
                shared.flush()?;
            }
            if inlet.buffer.len() >= SMALL {
                return wrong(EXCESSIVE_LOAD, "instruction larger than any buffer");
            }
            if !inlet.read_critical(cx)? {
                return Ok(());
            }
        }
    }

    /// Our own heads refer to no table, so that there is nothing to acknowledge (RFC 9204 section 4.4).
    fn poll_decoder(&mut self, cx: &mut Context<'_>, shared: &Shared) -> Result<(), Wrong> {
        let Some(inlet) = &mut self.decoder else { return Ok(()) };
        loop {
            while let Some(len) = cancellation(inlet.buffer.bytes())? {
                shared.floods.count(Kind::Control, 1)?;
                inlet.buffer.consume(len);
            }
            if !inlet.read_critical(cx)? {
                return Ok(());
            }
        }
    }

    fn poll_control(&mut self, cx: &mut Context<'_>, shared: &Shared) -> Result<(), Wrong> {
        loop {
            while self.control_frame(shared)? {}
            let Some(inlet) = &mut self.control else { return Ok(()) };
            if !inlet.read_critical(cx)? {
                return Ok(());
            }
        }
    }

    /// Takes a frame of the control stream, or a part of one that is not read; false if its end is not there.
    fn control_frame(&mut self, shared: &Shared) -> Result<bool, Wrong> {
        let Some(inlet) = &mut self.control else { return Ok(false) };
        if self.skip > 0 {
            let held = inlet.buffer.len();
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(held);
            inlet.buffer.consume(skipped);
            self.skip -= skipped as u64;
            return Ok(skipped > 0);
        }
        let Some(head) = frame::head(inlet.buffer.bytes()) else { return Ok(false) };
        let is_first = shared.settings.get().is_none();
        match head.kind {
            frame::SETTINGS if is_first => {}
            _ if is_first => return wrong(MISSING_SETTINGS, "control stream without SETTINGS"),
            frame::GOAWAY | frame::CANCEL_PUSH => {}
            frame::MAX_PUSH_ID if shared.is_server => {}
            frame::PRIORITY_UPDATE_OF_REQUEST if shared.is_server && head.len <= LARGEST_UPDATE => {}
            kind if is_unexpected(kind, shared.is_server) => {
                return wrong(FRAME_UNEXPECTED, "unexpected frame on the control stream");
            }
            _ => {
                shared.floods.count(Kind::Control, 1 + head.len / UNKNOWN_PIECE)?;
                inlet.buffer.consume(head.taken);
                self.skip = head.len;
                return Ok(true);
            }
        }
        let largest = match head.kind {
            frame::SETTINGS => settings::LARGEST as u64,
            frame::PRIORITY_UPDATE_OF_REQUEST => LARGEST_UPDATE,
            _ => LARGEST_INTEGER,
        };
        if head.len > largest {
            let code = if is_first { EXCESSIVE_LOAD } else { FRAME_ERROR };
            return wrong(code, "frame too large on the control stream");
        }
        let end = head.taken + head.len as usize;
        let Some(payload) = inlet.buffer.bytes().get(head.taken..end) else { return Ok(false) };
        if is_first {
            shared.settings.set(Some(Settings::read(payload)?));
        } else {
            shared.floods.count(Kind::Control, 1)?;
            match integer(payload) {
                _ if head.kind == frame::PRIORITY_UPDATE_OF_REQUEST => {
                    let (stream, priority) = priority::update(payload)?;
                    shared.reprioritize(stream, priority);
                }
                Some((number, [])) => number_frame(head.kind, number, &mut self.max_push, shared)?,
                _ => return wrong(FRAME_ERROR, "malformed frame on the control stream"),
            }
        }
        inlet.buffer.consume(end);
        Ok(true)
    }
}

/// Frames that are of another stream, or of HTTP/2, or that came already (RFC 9114 section 7.2, RFC 9218 section 7.2).
fn is_unexpected(kind: u64, is_server: bool) -> bool {
    matches!(kind, frame::DATA | frame::HEADERS | frame::PUSH_PROMISE | frame::SETTINGS | frame::MAX_PUSH_ID)
        || frame::is_of_http2(kind)
        || !is_server && frame::PRIORITY_UPDATE.contains(&kind)
}

/// Frames whose payload is a number.
fn number_frame(kind: u64, number: u64, max_push: &mut Option<u64>, shared: &Shared) -> Result<(), Wrong> {
    match kind {
        frame::MAX_PUSH_ID => {
            if max_push.is_some_and(|max| number < max) {
                return wrong(ID_ERROR, "MAX_PUSH_ID that was lowered");
            }
            *max_push = Some(number);
            Ok(())
        }
        // There are no pushes to cancel: none was promised, and none allowed (RFC 9114 section 7.2.3).
        frame::CANCEL_PUSH => wrong(ID_ERROR, "CANCEL_PUSH of no push"),
        _ => goaway(number, shared),
    }
}

/// From a server, GOAWAY says a stream of ours; from a client, a push (RFC 9114 section 5.2).
fn goaway(number: u64, shared: &Shared) -> Result<(), Wrong> {
    if !shared.is_server && !number.is_multiple_of(4) {
        return wrong(ID_ERROR, "GOAWAY of a stream that is no request");
    }
    if shared.goaway.get().is_some_and(|before| number > before) {
        return wrong(ID_ERROR, "GOAWAY that was raised");
    }
    shared.goaway.set(Some(number));
    if !shared.is_server {
        shared.connection.wake_streams(number);
    }
    Ok(())
}

/// The length of a Stream Cancellation (RFC 9204 section 4.4.2); None if its end is not there.
fn cancellation(bytes: &[u8]) -> Result<Option<usize>, Wrong> {
    /// An integer of 62 bits takes no more (bytes).
    const LONGEST: usize = 10;
    let Some(first) = bytes.first() else { return Ok(None) };
    if first & 0xc0 != 0x40 {
        return wrong(QPACK_DECODER_STREAM_ERROR, "acknowledgement of nothing");
    }
    if first & 0x3f < 0x3f {
        return Ok(Some(1));
    }
    match bytes.iter().skip(1).position(|byte| *byte < 0x80) {
        Some(at) if at + 2 <= LONGEST => Ok(Some(at + 2)),
        None if bytes.len() < LONGEST => Ok(None),
        _ => wrong(QPACK_DECODER_STREAM_ERROR, "number too large"),
    }
}
