//! The connection: its stream, its buffers, and the state of the two bodies.

use std::hint::cold_path;
use std::task::{Context, Poll, ready};

use usher_http::parse::{HeadLimits, HeadParser, ParseError};
use usher_http::{Fields, Framing, Request, Response};
use usher_net::{Transport, shortage};

use super::receive::Receiving;
use super::send::Sending;
use crate::buffer::{Buffer, LARGE, SMALL, TIGHT};
use crate::error::WireError;
use crate::pressure;

/// An HTTP/1 connection.
pub struct Connection<T> {
    pub(super) stream: T,
    pub(super) input: Buffer,
    /// Bytes to send: heads, framing and small pieces of bodies, so that they leave in one write.
    pub(super) output: Vec<u8>,
    /// How much of `output` was sent.
    pub(super) sent: usize,
    pub(super) receiving: Receiving,
    pub(super) sending: Sending,
    pub(super) parser: HeadParser,
    pub(super) trailer_limits: HeadLimits,
    pub(super) ended: bool,
    /// It was asked whether something can be read since the last message was sent.
    asked: bool,
    received_bytes: u64,
    sent_bytes: u64,
}

/// Whose bytes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// A client that asks: it waits while the process is short of memory.
    Client,
    /// An endpoint that answers, or whoever has begun a body that is limited already.
    Other,
}

/// Output memory above this is given back when a connection waits, and above four times this when it is sent (bytes).
const OUTPUT_KEPT: usize = 4 << 10;

impl<T: Transport> Connection<T> {
    /// A connection over a fresh stream.
    pub fn new(stream: T) -> Self {
        Self {
            stream,
            input: Buffer::default(),
            output: Vec::new(),
            sent: 0,
            receiving: Receiving::default(),
            sending: Sending::default(),
            parser: HeadParser::default(),
            trailer_limits: HeadLimits { line: 0, head: 8 << 10, fields: 32 },
            ended: false,
            asked: false,
            received_bytes: 0,
            sent_bytes: 0,
        }
    }

    /// A connection on which some bytes were read already (behind a PROXY header).
    pub fn with_input(stream: T, bytes: &[u8]) -> Self {
        let mut this = Self::new(stream);
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = this.input.room(bytes.len().max(SMALL));
            let len = room.len().min(rest.len());
            room[..len].copy_from_slice(&rest[..len]);
            this.input.filled(len);
            rest = &rest[len..];
        }
        this
    }

    /// The stream.
    pub fn stream(&mut self) -> &mut T {
        &mut self.stream
    }

    /// Bytes received since the last call.
    pub fn take_received(&mut self) -> u64 {
        std::mem::take(&mut self.received_bytes)
    }

    /// Bytes sent since the last call.
    pub fn take_sent(&mut self) -> u64 {
        std::mem::take(&mut self.sent_bytes)
    }

    /// Whether bytes were received that are not used yet.
    pub fn has_input(&self) -> bool {
        !self.input.is_empty()
    }

    /// The bytes that were received and are not used yet.
    pub fn input(&self) -> &[u8] {
        self.input.bytes()
    }

    /// Whether a head may have begun: some clients send an empty line behind a request, which begins nothing.
    pub fn has_begun(&self) -> bool {
        !matches!(self.input.bytes(), b"" | b"\r" | b"\r\n")
    }

    /// Whether the peer ended its direction.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Whether everything queued was sent.
    pub fn is_flushed(&self) -> bool {
        self.sent == self.output.len()
    }

    /// Gives memory back that holds nothing, for a connection that is about to wait; not that of the output if it is
    /// small, as the next request would only ask for it again.
    pub fn release(&mut self) {
        self.input.release();
        if self.is_flushed() && self.output.capacity() > OUTPUT_KEPT {
            self.output = Vec::new();
            self.sent = 0;
        }
        self.receiving.release();
    }

    /// Ready when there is something to read; takes no memory.
    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        if self.has_input() {
            return Poll::Ready(Ok(()));
        }
        self.asked = true;
        let ready = self.stream.poll_read_ready(cx).map_err(WireError::Io);
        if ready.is_pending() {
            self.input.release();
        }
        ready
    }

    /// Reads a request head. [`WireError::Closed`] if the stream ends before its first byte.
    pub fn poll_request(
        &mut self,
        cx: &mut Context<'_>,
        limits: &HeadLimits,
        request: &mut Request,
    ) -> Poll<Result<(), WireError>> {
        self.poll_head(cx, (limits, Peer::Client), |parser, bytes| parser.request(bytes, limits, request))
    }

    /// Reads a response head, informational ones too.
    pub fn poll_response(
        &mut self,
        cx: &mut Context<'_>,
        limits: &HeadLimits,
        response: &mut Response,
    ) -> Poll<Result<(), WireError>> {
        self.poll_head(cx, (limits, Peer::Other), |parser, bytes| parser.response(bytes, limits, response))
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        (limits, peer): (&HeadLimits, Peer),
        mut parse: impl FnMut(&mut HeadParser, &[u8]) -> Result<Option<usize>, ParseError>,
    ) -> Poll<Result<(), WireError>> {
        loop {
            if !self.input.is_empty()
                && let Some(len) = parse(&mut self.parser, self.input.bytes())?
            {
                self.input.consume(len);
                self.parser = HeadParser::default();
                return Poll::Ready(Ok(()));
            }
            // The parser refuses a head before the buffer could be full: after a line and its end, or an empty line
            // and a head.
            let limit = limits.head.saturating_add(limits.line).saturating_add(4);
            if ready!(self.poll_read_more(cx, limit, peer))? == 0 {
                let error = if self.input.is_empty() { WireError::Closed } else { WireError::Truncated };
                return Poll::Ready(Err(error));
            }
        }
    }

    /// Reads into the buffer behind what it holds; 0 at the end of the stream.
    pub(super) fn poll_read_more(
        &mut self,
        cx: &mut Context<'_>,
        limit: usize,
        peer: Peer,
    ) -> Poll<Result<usize, WireError>> {
        if self.ended {
            return Poll::Ready(Ok(0));
        }
        // Of a client that has no memory coming: who sends much waits, and who sends little is not held up. What an endpoint
        // sends is bounded by what was asked of it, and to make it wait would look as if it were slow.
        if peer == Peer::Client && self.input.len() >= TIGHT && shortage::is_full() {
            pressure::wait(cx.waker());
            return Poll::Pending;
        }
        // Nobody has answered what was sent just now: to hear that takes no buffer.
        if !self.asked && self.input.is_empty() {
            self.asked = true;
            if self.stream.poll_read_ready(cx)?.is_pending() {
                self.input.release();
                return Poll::Pending;
            }
        }
        let room = self.input.room(limit);
        if room.is_empty() {
            return Poll::Ready(Err(WireError::Parse(ParseError::HeadTooLarge)));
        }
        let polled = self.stream.poll_read(cx, room);
        self.note_read(polled)
    }

    /// Reads payload into an empty buffer, in large pieces.
    pub(super) fn poll_read_stream(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, WireError>> {
        if self.ended {
            return Poll::Ready(Ok(0));
        }
        let room = self.input.room_for_stream();
        let polled = self.stream.poll_read(cx, room);
        self.note_read(polled)
    }

    #[inline]
    fn note_read(&mut self, polled: Poll<std::io::Result<usize>>) -> Poll<Result<usize, WireError>> {
        match polled {
            Poll::Pending => {
                // An empty buffer is not kept while waiting: an idle connection costs no memory.
                self.input.release();
                Poll::Pending
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            Poll::Ready(Ok(len)) => {
                self.input.filled(len);
                self.received_bytes += len as u64;
                self.ended = len == 0;
                Poll::Ready(Ok(len))
            }
        }
    }

    pub(super) fn note_plain_received(&mut self, len: u64) {
        self.received_bytes += len;
    }

    pub(super) fn note_sent(&mut self, len: u64) {
        self.sent_bytes += len;
    }

    /// Watches for the end of the client while an endpoint works: ready only if the connection failed.
    ///
    /// A client that merely ends its direction (half-close) still gets its response. Requests that are pipelined
    /// behind this one are read ahead, up to one buffer.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<WireError> {
        loop {
            if self.ended || self.input.len() >= LARGE / 4 {
                return Poll::Pending;
            }
            self.asked = true;
            match self.stream.poll_read_ready(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(error.into()),
                Poll::Ready(Ok(())) => {}
            }
            match self.poll_read_more(cx, SMALL, Peer::Client) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(error),
            }
        }
    }

    /// Where heads are encoded into. Call [`crate::Sink::poll_flush`] to send them.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Says how the body to be received is framed.
    pub fn begin_receive(&mut self, framing: Framing) {
        self.receiving.begin(framing);
    }

    /// Says how the body to be sent is framed; the head was encoded by the caller.
    pub fn begin_send(&mut self, framing: Framing) {
        self.sending = Sending::new(framing);
    }

    /// Whether the body being sent was ended.
    pub fn is_send_done(&self) -> bool {
        self.sending.is_done()
    }

    /// Sends what is queued.
    pub fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        while self.sent < self.output.len() {
            let len = ready!(self.stream.poll_write(cx, &self.output[self.sent..]))?;
            if len == 0 {
                return Poll::Ready(Err(std::io::Error::from(std::io::ErrorKind::WriteZero).into()));
            }
            self.sent += len;
            self.note_sent(len as u64);
        }
        self.output_done();
        Poll::Ready(Ok(()))
    }

    /// Forgets what was sent of the output, so that a peer who takes it in small bites does not make it grow.
    pub(super) fn trim_output(&mut self) {
        if self.sent > OUTPUT_KEPT {
            self.output.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Empties the output after all of it was sent.
    pub(super) fn output_done(&mut self) {
        self.sent = 0;
        self.asked = false;
        self.output.clear();
        if self.output.capacity() > OUTPUT_KEPT * 4 {
            cold_path();
            self.output = Vec::new();
        }
    }

    /// Ends the direction of sending (FIN).
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        self.stream.poll_shutdown(cx).map_err(WireError::Io)
    }

    /// The trailers that were received with the last chunked body.
    pub fn received_trailers(&self) -> Option<&Fields> {
        self.receiving.trailers()
    }

    /// Takes the connection apart for a tunnel: the stream and the bytes that were read ahead.
    pub fn into_parts(self) -> (T, Buffer) {
        (self.stream, self.input)
    }
}
