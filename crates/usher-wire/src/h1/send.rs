//! The body that is being sent.

use std::io::IoSlice;
use std::task::{Context, Poll, ready};

use usher_http::chunk;
use usher_http::fields::may_be_trailer;
use usher_http::{Field, Fields, Framing};
use usher_net::Transport;

use super::connection::Connection;
use super::sides::NotTrailers;
use crate::body::{Plain, Sink};
use crate::error::WireError;

/// Pieces up to this size are copied behind the head, so that both leave in one write (bytes).
const COPIED: usize = 8 << 10;

/// How far a body was sent.
#[derive(Debug, Default)]
pub(super) struct Sending {
    framing: Framing,
    /// Payload bytes still to come: of the body, or of the chunk whose size line was written.
    left: u64,
    done: bool,
    /// Trailers are sent, but for those of these names.
    trailers: Option<NotTrailers>,
}

impl Sending {
    pub(super) fn new(framing: Framing) -> Self {
        let left = match framing {
            Framing::Length(len) => len,
            Framing::Close => u64::MAX,
            Framing::None | Framing::Chunked => 0,
        };
        Self { framing, left, done: false, trailers: None }
    }

    pub(super) fn is_done(&self) -> bool {
        self.done
    }
}

impl<T: Transport> Connection<T> {
    /// Says which trailers are sent behind the body that was just begun, if any; without it, they are dropped, as RFC 9112
    /// section 7.1.2 allows.
    pub fn pass_trailers(&mut self, but: Option<&NotTrailers>) {
        if self.sending.framing == Framing::Chunked {
            self.sending.trailers = but.cloned();
        }
    }

    /// Writes what is queued and then `data`; returns how much of `data` was written, at least 1.
    fn poll_write_behind(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, WireError>> {
        loop {
            let queued = self.output.len() - self.sent;
            let written = if queued == 0 {
                ready!(self.stream.poll_write(cx, data))?
            } else {
                let pieces = [IoSlice::new(&self.output[self.sent..]), IoSlice::new(data)];
                ready!(self.stream.poll_write_vectored(cx, &pieces))?
            };
            self.note_sent(written as u64);
            self.sent += written.min(queued);
            if self.sent == self.output.len() {
                self.output_done();
            }
            if written > queued {
                return Poll::Ready(Ok(written - queued));
            }
            if written == 0 {
                return Poll::Ready(Err(std::io::Error::from(std::io::ErrorKind::WriteZero).into()));
            }
        }
    }

    fn took(&mut self, len: usize) {
        if self.sending.framing != Framing::Close {
            self.sending.left -= (len as u64).min(self.sending.left);
        }
        if self.sending.framing == Framing::Chunked && self.sending.left == 0 {
            self.output.extend_from_slice(b"\r\n");
        }
    }
}

impl<T: Transport> Sink for Connection<T> {
    fn poll_send(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, WireError>> {
        if data.is_empty() {
            // A chunk of size 0 would end the body.
            return Poll::Ready(Ok(0));
        }
        self.trim_output();
        if self.sending.framing == Framing::Chunked && self.sending.left == 0 {
            if self.output.len() - self.sent > COPIED {
                ready!(self.poll_output(cx))?;
            }
            let mut line = [0; 18];
            self.output.extend_from_slice(chunk::encode_size(data.len(), &mut line));
            self.sending.left = data.len() as u64;
        }
        let len = usize::try_from(self.sending.left).unwrap_or(usize::MAX).min(data.len());
        let Some(data) = data.get(..len).filter(|data| !data.is_empty()) else {
            // More payload than the framing announced: the surplus is never sent.
            return Poll::Ready(Err(WireError::Truncated));
        };
        let taken = if len + self.output.len() - self.sent <= COPIED {
            self.output.extend_from_slice(data);
            len
        } else {
            ready!(self.poll_write_behind(cx, data))?
        };
        self.took(taken);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        self.poll_output(cx)
    }

    fn poll_finish(
        &mut self,
        cx: &mut Context<'_>,
        trailers: Option<&Fields>,
    ) -> Poll<Result<(), WireError>> {
        if !self.sending.done {
            match self.sending.framing {
                Framing::Chunked if self.sending.left > 0 => return Poll::Ready(Err(WireError::Truncated)),
                Framing::Chunked => {
                    self.output.extend_from_slice(b"0\r\n");
                    if let (Some(trailers), Some(but)) = (trailers, &self.sending.trailers) {
                        encode_trailers(trailers, but, &mut self.output);
                    }
                    self.output.extend_from_slice(b"\r\n");
                }
                Framing::Length(_) if self.sending.left > 0 => return Poll::Ready(Err(WireError::Truncated)),
                _ => {}
            }
            self.sending.done = true;
        }
        self.poll_output(cx)
    }

    fn plain(&mut self) -> Option<Plain<'_>> {
        let usable = self.is_flushed()
            && matches!(self.sending.framing, Framing::Length(_) | Framing::Close)
            && self.stream.can_splice();
        usable.then_some(Plain { stream: &mut self.stream, left: self.sending.left })
    }

    fn queued(&self) -> usize {
        self.output.len() - self.sent
    }

    fn notice_room(&mut self) {
        self.stream.notice_room();
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        ready!(self.poll_output(cx))?;
        self.poll_shutdown(cx)
    }

    fn gave_plain(&mut self, len: u64) {
        self.note_sent(len);
        if self.sending.framing != Framing::Close {
            self.sending.left = self.sending.left.saturating_sub(len);
        }
    }
}

/// Left out are fields that have no place in trailers, and those that the proxy itself writes or keeps back.
fn encode_trailers(trailers: &Fields, but: &[Box<str>], out: &mut Vec<u8>) {
    let held_back = |name: &[u8]| but.iter().any(|other| name.eq_ignore_ascii_case(other.as_bytes()));
    let passed = |field: &Field<'_>| may_be_trailer(field) && !held_back(field.name);
    for field in trailers.iter().filter(passed) {
        out.extend_from_slice(field.name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(field.value);
        out.extend_from_slice(b"\r\n");
    }
}
