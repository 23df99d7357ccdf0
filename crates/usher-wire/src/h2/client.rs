//! The client's side: requests go out, each as a stream.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use usher_http::multiplexed::{ResponseBuilder, each_request_field};
use usher_http::parse::HeadLimits;
use usher_http::{FieldId, Fields, Framing, Request, Response, Version};
use usher_net::Transport;

use super::Limits;
use super::connect::Deferred;
use super::core::{Core, Role, Shared};
use super::end::Leaving;
use super::frame::{Code, HEAD, MAX_31, Wrong};
use super::handle::{Handle, body, with};
use super::headers::{Block, refused};
use super::link::Link;
use super::stream::{Direction, Fault, Interest};
use crate::error::WireError;
use crate::h1::RequestContext;
use crate::upstream::Upstream;

/// Heads of one stream that wait to be fetched; a server that informs faster than anybody listens is not worth more.
const MAX_HEADS: usize = 8;

/// The client's side of a connection: opens streams. All clones are one client; the connection ends when none is left and
/// no stream is.
pub struct Client {
    core: Shared,
}

impl Client {
    /// The client, and what drives its connection: a future to be spawned on the same thread, which ends with the
    /// connection.
    pub fn new<T: Transport>(stream: T, limits: Limits) -> (Self, Driver<T>) {
        let link = Link::new(stream, Core::new(Role::Client, limits), &[]);
        (Self { core: link.core.clone() }, Driver { link })
    }

    /// Whether another stream can be opened now.
    pub fn can_open(&self) -> bool {
        let core = self.core.borrow();
        let most = core.limits.max_streams.min(core.peer.max_streams) as usize;
        core.takes_streams() && core.streams.held() < most
    }

    /// Opens a stream, if that is possible now.
    pub fn open(&self) -> Option<ClientStream> {
        if !self.can_open() {
            return None;
        }
        let mut core = self.core.borrow_mut();
        let stream = core.fresh_stream(0);
        let slot = core.streams.insert(stream);
        Some(ClientStream { handle: Handle::new(self.core.clone(), slot, 0) })
    }

    /// Streams that somebody has.
    pub fn streams(&self) -> usize {
        self.core.borrow().streams.held()
    }

    /// Streams that can be open at once, as far as is known.
    pub fn max_streams(&self) -> u32 {
        let core = self.core.borrow();
        core.limits.max_streams.min(core.peer.max_streams)
    }

    /// Whether the connection lives and takes further streams, now or when others have ended.
    pub fn is_open(&self) -> bool {
        self.core.borrow().takes_streams()
    }

    /// Whether the server takes extended CONNECT (RFC 8441); false before its settings have come.
    pub fn takes_connect_protocol(&self) -> bool {
        self.core.borrow().peer.connect_protocol
    }

    /// Whether the server's settings have come.
    pub fn is_greeted(&self) -> bool {
        self.core.borrow().greeted
    }

    /// Opens no more streams; the connection ends with the last one.
    pub fn close(&self) {
        with(&self.core, Core::leave);
    }

    /// As if the server had been silent for so long.
    #[cfg(test)]
    pub(super) fn hear_nothing_for(&self, time: std::time::Duration) {
        let mut core = self.core.borrow_mut();
        core.heard = core.heard.checked_sub(time).expect("a time before now");
    }

    /// Asks whether the server is there.
    pub fn ping(&self) {
        with(&self.core, Core::ping);
    }

    /// Whether it has answered since it was asked; false again afterwards.
    pub fn take_pong(&self) -> bool {
        std::mem::take(&mut self.core.borrow_mut().ponged)
    }
}

impl Clone for Client {
    fn clone(&self) -> Self {
        Self { core: self.core.clone() }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Beside this one only the driver has it: it looks again when this is gone.
        if Rc::strong_count(&self.core) <= 2 {
            with(&self.core, |core| core.output.is_news = true);
        }
    }
}

/// Drives a client's connection; ends with it.
pub struct Driver<T: Transport> {
    link: Link<T>,
}

impl<T: Transport> Unpin for Driver<T> {}

impl<T: Transport> Future for Driver<T> {
    type Output = Result<(), WireError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let link = &mut self.get_mut().link;
        if Rc::strong_count(&link.core) == 1 {
            link.core.borrow_mut().leave();
        }
        let polled = link.poll(cx, |core, block| core.on_response_block(block).map(|()| None::<()>));
        polled.map_ok(|_| ())
    }
}

impl Core {
    fn takes_streams(&self) -> bool {
        self.fault.is_none()
            && !self.going.is_left
            && self.going.leaving == Leaving::No
            && self.highest < MAX_31 - 1
    }

    /// A block that came from a server: a head, informational or final, or trailers.
    fn on_response_block(&mut self, block: &Block<'_>) -> Result<(), Wrong> {
        let id = block.about.stream;
        let Some(slot) = self.streams.find(id) else { return self.stray_block(block) };
        let Some(stream) = self.streams.get_mut(slot) else { return Ok(()) };
        if stream.receiving != Direction::Idle {
            return self.on_trailers(slot, block);
        }
        stream.counts.0 += (HEAD + block.bytes.get().len()) as u64;
        let waiting = stream.heads.len();
        let mut response = self.spare_heads.pop().unwrap_or_default();
        self.read_response(block, &mut response)?;
        if waiting >= MAX_HEADS {
            return Err(Wrong::Stream(id, Code::EnhanceYourCalm, "flood of informational responses"));
        }
        let is_final = !response.is_informational();
        let Some(stream) = self.streams.get_mut(slot) else { return Ok(()) };
        if let (Some(protocol), 200..=299) = (&stream.protocol, response.status) {
            // As HTTP/1 answers an upgrade.
            response.status = 101;
            response.fields.push(FieldId::Upgrade, protocol);
            response.fields.push(FieldId::Connection, b"upgrade");
        }
        stream.heads.push_back(response);
        if !is_final {
            self.notify(slot, Interest::READ);
            return Ok(());
        }
        stream.receiving = Direction::Open;
        self.notify(slot, Interest::READ);
        if block.about.ends { self.end_receiving(slot) } else { Ok(()) }
    }

    fn read_response(&mut self, block: &Block<'_>, response: &mut Response) -> Result<(), Wrong> {
        let mut builder = ResponseBuilder::new(response, Version::Http2, &self.limits.head);
        let mut failed = None;
        self.decoder.decode(block.bytes.get(), |name, value| {
            if failed.is_none() {
                failed = builder.field(name, value).err();
            }
        })?;
        let read = match failed {
            None => builder.finish(block.about.ends),
            Some(error) => Err(error),
        };
        read.map_err(|error| refused(block.about.stream, error))
    }

    /// Gives a stream its number; none if the connection takes no more.
    pub(super) fn number(&mut self, slot: u32) -> Option<u32> {
        let is_open = self.takes_streams();
        let window = self.peer.initial_window.into();
        let stream = self.streams.get_mut(slot)?;
        if !is_open {
            stream.fault = Some(Fault::Refused);
            return None;
        }
        // Odd ones, from 1 on.
        self.highest = if self.highest == 0 { 1 } else { self.highest + 2 };
        stream.id = self.highest;
        stream.send_window = window;
        self.streams.set_open(self.highest, slot);
        Some(self.highest)
    }
}

/// Heads whose memory is kept for others, as long as there are streams.
const SPARE_HEADS: usize = 8;

/// One request on a client's connection, and its response.
///
/// Dropped before both were finished, it resets the stream with CANCEL.
pub struct ClientStream {
    handle: Handle,
}

body!(ClientStream);

impl ClientStream {
    /// The stream's number; 0 before its request has begun.
    pub fn id(&self) -> u32 {
        self.handle.with(|core, slot| core.streams.get(slot).map_or(0, |stream| stream.id))
    }

    /// Begins an extended CONNECT.
    fn connect(&self, request: &Request, host: &[u8], protocol: &[u8]) {
        self.handle.with(|core, slot| {
            let mut deferred = Deferred::new(slot);
            each_request_field(request, host, Some(protocol), |name, value| deferred.push(name, value));
            if let Some(stream) = core.streams.get_mut(slot) {
                stream.protocol = Some(protocol.into());
                stream.sending = Direction::Switching;
            }
            core.connect(deferred);
        });
    }
}

impl Drop for ClientStream {
    fn drop(&mut self) {
        self.handle.give_up(Code::Cancel);
    }
}

impl Upstream for ClientStream {
    fn begin_request(&mut self, request: &Request, host: &[u8], framing: Framing, extra: RequestContext<'_>) {
        self.handle.pass_trailers = extra.trailers.cloned();
        if let Some(protocol) = extra.upgrade {
            return self.connect(request, host, protocol);
        }
        let (left, ends) = Handle::announced(framing);
        self.handle.with(|core, slot| {
            if core.number(slot).is_none() {
                return;
            }
            core.push_head(slot, ends, |encoder, out| {
                each_request_field(request, host, None, |name, value| encoder.field(name, value, out));
                if extra.takes_trailers {
                    encoder.field(b"te", b"trailers", out);
                }
            });
            let Some(stream) = core.streams.get_mut(slot) else { return };
            (stream.left, stream.sending) =
                if ends { (Some(0), Direction::Ended) } else { (left, Direction::Open) };
        });
    }

    fn poll_response(
        &mut self,
        cx: &mut Context<'_>,
        _: &HeadLimits,
        response: &mut Response,
    ) -> Poll<Result<(), WireError>> {
        self.handle.with(|core, slot| {
            let fault = core.fault_of(slot);
            let Some(stream) = core.streams.get_mut(slot) else {
                return Poll::Ready(Err(WireError::Closed));
            };
            if let Some(mut head) = stream.heads.pop_front() {
                std::mem::swap(&mut head, response);
                if core.spare_heads.len() < SPARE_HEADS {
                    core.spare_heads.push(head);
                }
                return Poll::Ready(Ok(()));
            }
            match fault {
                Some(fault) => Poll::Ready(Err(fault.error(false))),
                None => {
                    stream.register(cx, Interest::READ);
                    Poll::Pending
                }
            }
        })
    }

    fn begin_receive(&mut self, framing: Framing) {
        let expected = match framing {
            Framing::None => 0,
            Framing::Length(length) => length,
            Framing::Chunked | Framing::Close => return,
        };
        self.handle.with(|core, slot| {
            let Some(stream) = core.streams.get_mut(slot) else { return };
            if stream.protocol.is_some() && framing == Framing::None {
                // A tunnel follows, or a response to HEAD never does.
                return;
            }
            let ended = stream.receiving == Direction::Ended;
            match expected.checked_sub(stream.arrived) {
                Some(left) if left == 0 || !ended => stream.expected = Some(left),
                Some(_) => core.contradict(slot, "body shorter than its content-length"),
                None => core.contradict(slot, "body longer than its content-length"),
            }
        });
    }

    fn begin_tunnel(&mut self) {
        self.handle.begin_tunnel();
    }

    fn is_send_done(&self) -> bool {
        self.handle.is_send_done()
    }

    fn has_input(&self) -> bool {
        self.handle.has_input()
    }

    fn take_counts(&mut self) -> (u64, u64) {
        self.handle.take_counts()
    }

    fn abort(&mut self) {
        self.handle.abort(Code::Cancel);
    }
}
