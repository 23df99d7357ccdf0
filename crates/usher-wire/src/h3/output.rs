//! What goes out on a request's stream.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use usher_http::multiplexed::each_trailer;
use usher_http::{Fields, Framing};
use usher_net::quic::{SendStream, StreamError};

use super::frame;
use crate::h1::NotTrailers;
use crate::qpack::encode;

/// Heads and payload are gathered up to this size before they are handed to the connection (bytes).
const GATHERED: usize = 16 << 10;
/// The most payload that one frame takes (bytes).
const LARGEST_DATA: usize = 64 << 10;
/// What most heads take at most (bytes).
const USUAL_HEAD: usize = 512;

/// A request's stream, as it is written.
pub(super) struct Output {
    pub(super) stream: SendStream,
    /// Frames that are being gathered.
    gathered: Vec<u8>,
    /// Frames that the connection has no room for.
    waiting: Bytes,
    /// Payload still to come, if the length was declared.
    left: Option<u64>,
    /// Trailers are sent, but for those of these names.
    trailers: Option<NotTrailers>,
    /// Nothing goes out until the peer has switched to a tunnel, or has not.
    switching: bool,
    /// The end was written behind what is gathered.
    ends: bool,
    /// The end was handed over.
    finished: bool,
    sent: u64,
}

/// Why sending cannot go on.
pub(super) enum SendStop {
    Broken(StreamError),
    /// More or less payload than was declared.
    Length,
}

impl From<StreamError> for SendStop {
    fn from(error: StreamError) -> Self {
        Self::Broken(error)
    }
}

impl Output {
    pub(super) fn new(stream: SendStream) -> Self {
        Self {
            stream,
            gathered: Vec::new(),
            waiting: Bytes::new(),
            left: Some(0),
            trailers: None,
            switching: false,
            ends: false,
            finished: false,
            sent: 0,
        }
    }

    /// Queues a head; `write` gives its fields.
    pub(super) fn head(&mut self, framing: Framing, write: impl FnOnce(&mut dyn FnMut(&[u8], &[u8]))) {
        let body = if let Framing::Length(len) = framing { len.min(GATHERED as u64) as usize } else { 0 };
        self.gathered.reserve(USUAL_HEAD + body);
        frame::write_headers(&mut self.gathered, |out| {
            encode::begin(out);
            write(&mut |name, value| encode::field(name, value, out));
        });
    }

    /// Says what is known of the body's length. Without a body, the end goes with the head.
    pub(super) fn begin_body(&mut self, framing: Framing, trailers: Option<&NotTrailers>) {
        self.left = match framing {
            Framing::None => Some(0),
            Framing::Length(len) => Some(len),
            Framing::Chunked | Framing::Close => None,
        };
        self.ends = self.left == Some(0);
        self.trailers = trailers.cloned();
    }

    /// Says that a tunnel may follow.
    pub(super) fn begin_switching(&mut self) {
        self.left = Some(0);
        self.switching = true;
    }

    /// A tunnel follows.
    pub(super) fn begin_tunnel(&mut self) {
        self.left = None;
        self.switching = false;
    }

    /// Takes payload; returns how much of it, at least 1.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, SendStop>> {
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let most = usize::try_from(self.left.unwrap_or(u64::MAX)).unwrap_or(usize::MAX).min(LARGEST_DATA);
        let data = data.get(..most.min(data.len())).unwrap_or_default();
        if data.is_empty() || self.ends {
            // The surplus is never sent.
            return Poll::Ready(Err(SendStop::Length));
        }
        if self.gathered.len() >= GATHERED || !self.waiting.is_empty() {
            ready!(self.poll_flush(cx))?;
        }
        self.gathered.reserve(data.len() + 16);
        frame::write_head(frame::DATA, data.len(), &mut self.gathered);
        self.gathered.extend_from_slice(data);
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(data.len() as u64);
        }
        if self.gathered.len() >= GATHERED
            && let Poll::Ready(Err(error)) = self.poll_flush(cx)
        {
            return Poll::Ready(Err(error.into()));
        }
        Poll::Ready(Ok(data.len()))
    }

    /// Hands everything to the connection.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        loop {
            if self.waiting.is_empty() {
                if self.gathered.is_empty() {
                    break;
                }
                self.sent += self.gathered.len() as u64;
                self.waiting = Bytes::from(std::mem::take(&mut self.gathered));
            }
            ready!(self.stream.poll_write(cx, &mut self.waiting))?;
        }
        if self.ends && !self.finished {
            self.stream.finish()?;
            self.finished = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Ends the body and hands everything to the connection.
    pub(super) fn poll_finish(
        &mut self,
        cx: &mut Context<'_>,
        trailers: Option<&Fields>,
    ) -> Poll<Result<(), SendStop>> {
        if !self.ends && !self.switching {
            if self.left.is_some_and(|left| left > 0) {
                return Poll::Ready(Err(SendStop::Length));
            }
            if let (Some(trailers), Some(but)) = (trailers, self.trailers.take()) {
                self.write_trailers(trailers, &but);
            }
            self.ends = true;
        }
        self.poll_flush(cx).map_err(Into::into)
    }

    fn write_trailers(&mut self, trailers: &Fields, but: &NotTrailers) {
        let mut section = Vec::new();
        encode::begin(&mut section);
        let none = section.len();
        each_trailer(trailers, but, |name, value| encode::field(name, value, &mut section));
        if section.len() > none {
            frame::write_head(frame::HEADERS, section.len(), &mut self.gathered);
            self.gathered.extend_from_slice(&section);
        }
    }

    pub(super) fn queued(&self) -> usize {
        self.gathered.len() + self.waiting.len()
    }

    /// Whether all there is was handed over, up to the end: nobody needs to flush it any more.
    pub(super) fn is_sent(&self) -> bool {
        self.finished || self.switching && self.queued() == 0
    }

    /// Whether the end was handed over.
    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Bytes handed over since the last call.
    pub(super) fn take_sent(&mut self) -> u64 {
        std::mem::take(&mut self.sent)
    }

    /// Breaks off what was not sent to its end.
    pub(super) fn reset(&mut self, code: u64) {
        if !self.finished {
            self.finished = true;
            self.ends = true;
            self.stream.reset(code);
        }
    }
}
