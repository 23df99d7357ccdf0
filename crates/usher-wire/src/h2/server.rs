//! The server's side: requests come in, each as a stream.

use std::task::{Context, Poll};

use usher_http::multiplexed::{MessageError, RequestBuilder, each_response_field};
use usher_http::{FieldId, Fields, Framing, Request, Response, Version, framing};
use usher_net::Transport;
use usher_net::shortage::{self, Level};

use super::Limits;
use super::core::{Core, Role};
use super::end::Leaving;
use super::flood::Kind;
use super::frame::{Code, Wrong};
use super::handle::{Handle, body, with};
use super::headers::Block;
use super::link::Link;
use super::priority::urgency;
use super::stream::{Direction, Fault};
use crate::error::WireError;
use crate::h1::{Downstream, ReplyContext};

/// While the process has no memory, no client gets more streams at once than so many, and when nothing is left; those
/// beyond are refused, so that they may be tried again (RFC 9113 section 8.7).
const CROWDED: usize = 4;
const ALONE: usize = 1;

/// The server's side of a connection.
pub struct Server<T: Transport> {
    link: Link<T>,
}

impl<T: Transport> Server<T> {
    /// A connection on which the bytes in `ahead` were read already; they begin with the preface.
    pub fn new(stream: T, ahead: &[u8], limits: Limits) -> Self {
        Self { link: Link::new(stream, Core::new(Role::Server, limits), ahead) }
    }

    /// Drives the connection (reads, writes, all streams) and gives the next request, whose head is put into `request`.
    /// To be polled as long as the connection lives: streams depend on it. None: the connection has ended in order.
    ///
    /// A head that cannot be served gives a stream too, which says so ([`ServerStream::refused`]); `request` is empty
    /// then. It may hold anything when this is pending.
    ///
    /// # Errors
    /// When the connection failed, or the client broke the protocol, which it was told then.
    pub fn poll_request(
        &mut self,
        cx: &mut Context<'_>,
        request: &mut Request,
    ) -> Poll<Result<Option<ServerStream>, WireError>> {
        let polled = self.link.poll(cx, |core, block| core.on_request_block(block, request));
        polled.map_ok(|found| {
            let Begun { slot, id, refused } = found?;
            Some(ServerStream { handle: Handle::new(self.link.core.clone(), slot, id), refused })
        })
    }

    /// After an error: reads what the client still sends and throws it away, so that closing does not destroy what it was
    /// told. Ready when the client has ended too; the caller limits the time.
    pub fn poll_last_words(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.link.poll_last_words(cx)
    }

    /// Streams that somebody works on.
    pub fn streams(&self) -> usize {
        self.link.core.borrow().streams.held()
    }

    /// Bytes that wait to be sent.
    pub fn queued(&self) -> usize {
        self.link.core.borrow().output.waiting()
    }

    /// Whether the connection is on its way to its end, for whatever reason.
    pub fn is_ending(&self) -> bool {
        let core = self.link.core.borrow();
        core.fault.is_some() || core.going.is_left || core.going.leaving != Leaving::No
    }

    /// Takes no new requests but those on their way, and ends with the last one (GOAWAY twice, RFC 9113 section 6.8). A
    /// second call does not wait for those on their way. Poll afterwards.
    pub fn shut_down(&mut self) {
        with(&self.link.core, Core::leave);
    }

    /// Asks whether the client is there. Poll afterwards.
    pub fn ping(&mut self) {
        with(&self.link.core, Core::ping);
    }

    /// Whether it has answered since it was asked; false again afterwards.
    pub fn take_pong(&mut self) -> bool {
        std::mem::take(&mut self.link.core.borrow_mut().ponged)
    }

    /// Bytes received and sent on the wire since the last call, those of streams among them.
    pub fn take_counts(&mut self) -> (u64, u64) {
        std::mem::take(&mut self.link.counts)
    }

    /// The stream of bytes.
    pub fn stream(&mut self) -> &mut T {
        &mut self.link.stream
    }
}

/// A stream that a client has begun.
struct Begun {
    slot: u32,
    id: u32,
    refused: Option<MessageError>,
}

impl Core {
    /// A block that came from a client: a request, or trailers. Gives a new stream.
    fn on_request_block(&mut self, block: &Block<'_>, request: &mut Request) -> Result<Option<Begun>, Wrong> {
        let id = block.about.stream;
        if let Some(slot) = self.streams.find(id) {
            return self.on_trailers(slot, block).map(|()| None);
        }
        if id <= self.highest || id.is_multiple_of(2) {
            return self.stray_block(block).map(|()| None);
        }
        if id > self.highest + 2 {
            self.skipped = (self.highest + 1, id - 2);
        }
        self.highest = id;
        if self.going.leaving == Leaving::Final {
            // It was told that nothing is done for this one; more of it may be on its way (RFC 9113 section 6.8).
            self.lately.note(id, false);
            return self.skip(block).map(|()| None);
        }
        if self.streams.open() >= self.most_streams() {
            self.skip(block)?;
            self.reset(id, Code::RefusedStream);
            self.lately.note(id, false);
            return self.flood.count(Kind::Reset).map(|()| None);
        }
        let refused = match self.read_request(block, request)? {
            Ok(()) if block.about.depends_on_itself => {
                Some(MessageError::Malformed("stream that depends on itself"))
            }
            read => read.err(),
        };
        if refused.is_some() {
            request.clear();
            request.version = Version::Http2;
            self.flood.count(Kind::Mistake)?;
        }
        let slot = self.begin_stream(block, request, refused);
        Ok(Some(Begun { slot, id, refused }))
    }

    /// Streams that the client may have at once.
    fn most_streams(&self) -> usize {
        let most = self.limits.max_streams as usize;
        match shortage::memory() {
            Level::Spent | Level::Over => ALONE.min(most),
            Level::Full => CROWDED.min(most),
            Level::Calm | Level::Tight | Level::Short => most,
        }
    }

    fn read_request(
        &mut self,
        block: &Block<'_>,
        request: &mut Request,
    ) -> Result<Result<(), MessageError>, Wrong> {
        let mut builder = RequestBuilder::new(request, Version::Http2, &self.limits.head);
        let mut failed = None;
        self.decoder.decode(block.bytes.get(), |name, value| {
            if failed.is_none() {
                failed = builder.field(name, value).err();
            }
        })?;
        Ok(match failed {
            None => builder.finish(block.about.ends),
            Some(error) => Err(error),
        })
    }

    /// Takes a stream in whose request has come. One that is malformed is over at once (RFC 9113 section 8.1.1).
    fn begin_stream(
        &mut self,
        block: &Block<'_>,
        request: &mut Request,
        refused: Option<MessageError>,
    ) -> u32 {
        let id = block.about.stream;
        let mut stream = self.fresh_stream(id);
        stream.receiving = if block.about.ends { Direction::Ended } else { Direction::Open };
        if refused.is_none()
            && let Ok(Framing::Length(length)) = framing::of_request(request)
        {
            stream.expected = Some(length);
        }
        stream.counts.0 = (super::frame::HEAD + block.bytes.get().len()) as u64;
        if let Some(value) = request.fields.get_named(b"priority") {
            stream.urgency = urgency(value);
        }
        // A request may come with some.
        self.flood.give_back(Kind::Priority, 2);
        self.flood.give_back(Kind::Unknown, 1);
        let slot = self.streams.insert(stream);
        self.streams.set_open(id, slot);
        if let Some(MessageError::Malformed(phrase)) = refused {
            self.reset(id, Code::Protocol);
            self.break_stream(slot, Fault::Protocol(phrase), false);
        }
        slot
    }
}

/// One request on a server's connection.
///
/// Dropped before the response was finished, it resets the stream with CANCEL; before the request was received to its
/// end, with NO_ERROR.
pub struct ServerStream {
    handle: Handle,
    refused: Option<MessageError>,
}

body!(ServerStream);

impl ServerStream {
    /// The stream's number.
    pub fn id(&self) -> u32 {
        self.handle.id
    }

    /// Why the request's head cannot be served. One that exceeds a limit is to be answered; where it is malformed, the
    /// stream was reset already, and an answer fails.
    pub fn refused(&self) -> Option<MessageError> {
        self.refused
    }

    /// Whether the stream is over before its time: the client reset it, or its connection has ended.
    pub fn is_gone(&self) -> bool {
        self.handle.with(|core, slot| core.fault_of(slot).is_some())
    }

    /// Whether the response was sent to its end.
    pub fn is_answered(&self) -> bool {
        self.handle.is_send_done()
    }

    /// Resets the stream: the response is broken off.
    pub fn abort(&mut self) {
        self.handle.abort(Code::Internal);
    }
}

impl Drop for ServerStream {
    fn drop(&mut self) {
        self.handle.give_up(Code::Cancel);
    }
}

impl Downstream for ServerStream {
    fn begin_response(&mut self, response: &Response, framing: Framing, reply: ReplyContext<'_>) -> bool {
        self.handle.pass_trailers = reply.trailers.cloned();
        let (left, is_empty) = Handle::announced(framing);
        let ends = is_empty && !reply.switches;
        self.handle.with(|core, slot| {
            if core.fault_of(slot).is_some() {
                return;
            }
            core.push_head(slot, ends, |encoder, out| {
                each_response_field(response, |name, value| encoder.field(name, value, out));
                if !response.fields.may_have(FieldId::Date) {
                    encoder.field(b"date", reply.date, out);
                }
            });
            let Some(stream) = core.streams.get_mut(slot) else { return };
            (stream.left, stream.sending) = match (reply.switches, ends) {
                (true, _) => (None, Direction::Switching),
                (false, true) => (Some(0), Direction::Ended),
                (false, false) => (left, Direction::Open),
            };
            core.close_if_ended(slot);
        });
        reply.persistent
    }

    fn inform(&mut self, response: &Response) {
        self.handle.with(|core, slot| {
            let begun = core.streams.get(slot).is_some_and(|stream| stream.sending != Direction::Idle);
            if !begun && core.fault_of(slot).is_none() {
                core.push_head(slot, false, |encoder, out| {
                    each_response_field(response, |name, value| encoder.field(name, value, out));
                });
            }
        });
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<WireError> {
        self.handle.poll_gone(cx)
    }

    fn is_watched(&self) -> bool {
        true
    }

    fn take_counts(&mut self) -> (u64, u64) {
        self.handle.take_counts()
    }

    fn begin_tunnel(&mut self) {
        self.handle.begin_tunnel();
    }
}
