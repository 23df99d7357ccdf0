//! The state of a connection, without its stream of bytes: shared by what drives the connection and by the streams, all
//! of one thread.
//!
//! Streams take what was received for them and add frames to the output; what drives the connection reads, writes and
//! wakes. Nobody is woken while the state is borrowed: wakers are collected, and the driver's is taken out.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant};

use usher_http::Response;

use super::Limits;
use super::connect::Deferred;
use super::end::Going;
use super::flood::{Flood, Kind};
use super::frame::{self, Code, MAX_PAYLOAD, PREFACE, Wrong, kind};
use super::headers::Partial;
use super::output::Output;
use super::priority::DEFAULT_URGENCY;
use super::settings::{self, DEFAULT_WINDOW, Settings};
use super::stream::{Direction, Fault, Interest, Lately, Stream, Streams};
use crate::hpack::{Decoder, Encoder, TABLE_SIZE};

/// Which side we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Client,
    Server,
}

/// The state of a connection.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) role: Role,
    pub(super) limits: Limits,
    pub(super) peer: Settings,
    pub(super) streams: Streams,
    pub(super) lately: Lately,
    /// The highest stream that was begun.
    pub(super) highest: u32,
    /// The first and the last of the streams that the peer left out lately.
    pub(super) skipped: (u32, u32),
    pub(super) encoder: Encoder,
    pub(super) decoder: Decoder,
    pub(super) output: Output,
    pub(super) flood: Flood,
    /// A block of fields whose end has not come.
    pub(super) partial: Option<Partial>,
    /// The peer's first frame has come.
    pub(super) greeted: bool,
    /// What may be sent on all streams together (bytes).
    pub(super) send_window: i64,
    /// What the peer may send on all streams together (bytes).
    pub(super) receive_window: i64,
    /// What was taken of bodies since the last WINDOW_UPDATE (bytes).
    pub(super) taken: u32,
    /// How wide the windows of streams become (bytes).
    pub(super) window: u32,
    /// What arrived of bodies (bytes), and how much that was when a PING was sent that measures.
    pub(super) arrived: u64,
    pub(super) measured: Option<u64>,
    /// Streams that wait for their turn to send.
    pub(super) queue: VecDeque<u32>,
    pub(super) going: Going,
    /// Why the connection is over.
    pub(super) fault: Option<Fault>,
    /// Pings that were not answered yet are at most one; an answer came.
    pub(super) ponged: bool,
    /// Of a client: requests that wait for the server's settings.
    pub(super) deferred: Vec<Deferred>,
    /// Of a client: when anything came from the server.
    pub(super) heard: Instant,
    /// Of a client: heads whose memory the next ones take.
    pub(super) spare_heads: Vec<Response>,
    /// Whom to wake when nobody borrows this any more.
    pub(super) wakes: Vec<Waker>,
    pub(super) driver: Option<Waker>,
    /// The driver waits for a stream to be given up before it takes another.
    pub(super) is_crowded: bool,
    /// Some of those that wait to send want room in the output.
    pub(super) is_full: bool,
}

/// How long a server may say nothing before a request that it left unanswered makes it one that may not be there.
const SILENT: Duration = Duration::from_secs(10);

/// The state of a connection, as its driver and its streams have it.
pub(super) type Shared = Rc<RefCell<Core>>;

impl Core {
    pub(super) fn new(role: Role, limits: Limits) -> Self {
        let mut output = Output::default();
        if role == Role::Client {
            output.begin().extend_from_slice(PREFACE);
        }
        settings::announce(role, &limits, output.begin());
        Self {
            role,
            limits,
            peer: Settings::default(),
            streams: Streams::default(),
            lately: Lately::default(),
            highest: 0,
            skipped: (0, 0),
            encoder: Encoder::default(),
            decoder: Decoder::new(TABLE_SIZE),
            output,
            flood: Flood::new(),
            partial: None,
            greeted: false,
            send_window: DEFAULT_WINDOW.into(),
            receive_window: limits.connection_window.max(DEFAULT_WINDOW).into(),
            taken: 0,
            window: limits.stream_window,
            arrived: 0,
            measured: None,
            queue: VecDeque::new(),
            going: Going::default(),
            fault: None,
            ponged: false,
            deferred: Vec::new(),
            heard: Instant::now(),
            spare_heads: Vec::new(),
            wakes: Vec::new(),
            driver: None,
            is_crowded: false,
            is_full: false,
        }
    }

    /// A stream with the windows that streams begin with.
    ///
    /// Before the peer knows our settings, it may send as much as the default.
    pub(super) fn fresh_stream(&self, id: u32) -> Stream {
        Stream {
            id,
            send_window: self.peer.initial_window.into(),
            receive_window: self.limits.stream_window.max(DEFAULT_WINDOW).into(),
            window: self.limits.stream_window,
            urgency: DEFAULT_URGENCY,
            // A small body need not wait for its turn behind large ones.
            grant: MAX_PAYLOAD,
            ..Stream::default()
        }
    }

    /// Wakes a stream's task, if it waits for this.
    pub(super) fn notify(&mut self, slot: u32, event: Interest) {
        if let Some(waker) = self.streams.get_mut(slot).and_then(|stream| stream.take_waker(event)) {
            self.wakes.push(waker);
        }
    }

    /// The driver's waker, if a stream has something to do for it.
    pub(super) fn take_driver(&mut self) -> Option<Waker> {
        if self.output.is_news { self.driver.take() } else { None }
    }

    /// What is wrong with a stream or with the connection.
    pub(super) fn fault_of(&self, slot: u32) -> Option<Fault> {
        match self.streams.get(slot) {
            Some(stream) => stream.fault.or(self.fault),
            None => Some(Fault::Closed),
        }
    }

    /// Deals with what is wrong with something that was received.
    pub(super) fn wrong(&mut self, wrong: Wrong) {
        match wrong {
            Wrong::Stream(id, code, phrase) => {
                self.reset(id, code);
                if let Some(slot) = self.streams.find(id) {
                    self.break_stream(slot, Fault::Protocol(phrase), false);
                } else {
                    self.lately.note(id, false);
                }
                // Of a server's mistakes there are no more than requests of ours.
                if self.role == Role::Server
                    && let Err(Wrong::Connection(code, phrase)) = self.flood.count(Kind::Mistake)
                {
                    self.fail(code, phrase);
                }
            }
            Wrong::Connection(code, phrase) => self.fail(code, phrase),
        }
    }

    /// Ends the connection for what the peer did (RFC 9113 section 5.4.1).
    pub(super) fn fail(&mut self, code: Code, phrase: &'static str) {
        if self.fault.is_none() {
            let last = self.last_taken();
            self.push_goaway(last, code, phrase.as_bytes());
            self.end(Fault::Protocol(phrase));
        }
    }

    /// Notes that the connection is over, and tells all streams.
    pub(super) fn end(&mut self, fault: Fault) {
        if self.fault.is_some() {
            return;
        }
        self.fault = Some(fault);
        self.partial = None;
        let wakers = self.streams.all_mut().filter_map(|stream| stream.take_waker(Interest::ALL));
        self.wakes.extend(wakers);
    }

    /// Sends RST_STREAM.
    pub(super) fn reset(&mut self, id: u32, code: Code) {
        frame::push(self.output.begin(), kind::RST_STREAM, 0, id, &(code as u32).to_be_bytes());
    }

    /// Notes that an open stream was reset, by the peer or by us: no more frames are expected for it.
    pub(super) fn break_stream(&mut self, slot: u32, fault: Fault, by_peer: bool) {
        let Some(stream) = self.streams.get_mut(slot) else { return };
        let id = stream.id;
        let unread = std::mem::take(&mut stream.received).len();
        stream.fault = Some(fault);
        if self.streams.set_closed(id) {
            self.lately.note(id, by_peer);
        }
        self.credit_connection(unread);
        self.notify(slot, Interest::ALL);
    }

    /// Notes that both directions of a stream may have ended.
    pub(super) fn close_if_ended(&mut self, slot: u32) {
        let Some(stream) = self.streams.get(slot) else { return };
        let ended = (stream.sending, stream.receiving) == (Direction::Ended, Direction::Ended);
        if ended && self.streams.set_closed(stream.id) {
            self.flood.give_back(Kind::Reset, 1);
        }
    }

    /// Gives a stream up, of whose body `unread` bytes were fetched and not taken. What is not complete is reset: with
    /// `unfinished`, or where only the rest of a request is not needed, with NO_ERROR (RFC 9113 section 8.1).
    pub(super) fn drop_stream(&mut self, slot: u32, unread: usize, unfinished: Code) -> Option<Box<Stream>> {
        let stream = self.streams.remove(slot)?;
        if stream.is_queued {
            self.queue.retain(|queued| *queued != slot);
        }
        if self.fault.is_none() && self.streams.set_closed(stream.id) {
            let answered = self.role == Role::Server && stream.sending == Direction::Ended;
            self.reset(stream.id, if answered { Code::NoError } else { unfinished });
            self.lately.note(stream.id, false);
            self.doubt(&stream);
        }
        if !self.deferred.is_empty() {
            self.forget_deferred(slot);
        }
        self.credit_connection(stream.received.len() + unread);
        if self.is_crowded || self.streams.held() == 0 {
            // The driver may take a new stream, or end.
            self.output.is_news = true;
        }
        Some(stream)
    }

    /// Of a client: a stream was given up. If the server has said nothing for long, to anybody, it may be there no more, as
    /// a system that was cut off says nothing either: the next requests go another way.
    fn doubt(&mut self, stream: &Stream) {
        let unheard =
            self.role == Role::Client && stream.receiving == Direction::Idle && stream.heads.is_empty();
        if unheard && self.heard.elapsed() >= SILENT {
            self.leave();
        }
    }

    /// Gives memory back that a connection without streams does not need.
    pub(super) fn release(&mut self) {
        if self.streams.held() == 0 {
            self.streams.release();
            self.output.release();
            self.decoder.release();
            self.queue = VecDeque::new();
            self.wakes = Vec::new();
            self.spare_heads = Vec::new();
        }
    }
}
