//! What goes out: heads, bodies and trailers become frames in the output at once, so that nothing of a stream waits
//! anywhere else. Bodies are taken as the peer's windows and the room in the output allow; streams that find none take
//! turns.

use std::task::{Context, Poll, ready};

use usher_http::Fields;
use usher_http::multiplexed::each_trailer;

use super::core::{Core, Role};
use super::flood::Kind;
use super::frame::{self, Code, FrameHead, HEAD, MAX_PAYLOAD, Wrong, flag, kind};
use super::output;
use super::stream::{Direction, Fault, Interest};
use crate::error::WireError;
use crate::h1::NotTrailers;
use crate::hpack::Encoder;

/// Frames that are smaller than this because of a window, and not of what there is to send, are a waste (bytes).
const DRIBBLE: usize = 64;

impl Core {
    /// Appends a block of fields: HEADERS, and CONTINUATION where it is large.
    pub(super) fn push_block(
        &mut self,
        id: u32,
        ends: bool,
        fill: impl FnOnce(&mut Encoder, &mut Vec<u8>),
    ) -> usize {
        let out = self.output.begin();
        let from = out.len();
        out.extend_from_slice(&[0; HEAD]);
        self.encoder.begin(out);
        fill(&mut self.encoder, out);
        let len = out.len() - from - HEAD;
        let flags = if ends { flag::END_STREAM } else { 0 };
        if len <= MAX_PAYLOAD {
            let head = FrameHead { len, kind: kind::HEADERS, flags: flags | flag::END_HEADERS, stream: id };
            out[from..from + HEAD].copy_from_slice(&head.bytes());
        } else {
            let block = out.split_off(from + HEAD);
            out.truncate(from);
            let last = block.len().div_ceil(MAX_PAYLOAD) - 1;
            for (number, piece) in block.chunks(MAX_PAYLOAD).enumerate() {
                let kind = if number == 0 { kind::HEADERS } else { kind::CONTINUATION };
                let first = if number == 0 { flags } else { 0 };
                let end = if number == last { flag::END_HEADERS } else { 0 };
                frame::push(out, kind, first | end, id, piece);
            }
        }
        out.len() - from
    }

    /// As [`Core::push_block`], counted for the stream.
    pub(super) fn push_head(&mut self, slot: u32, ends: bool, fill: impl FnOnce(&mut Encoder, &mut Vec<u8>)) {
        let Some(stream) = self.streams.get(slot) else { return };
        let len = self.push_block(stream.id, ends, fill);
        self.note_sent(slot, len);
    }

    fn note_sent(&mut self, slot: u32, len: usize) {
        let end = self.output.end();
        if let Some(stream) = self.streams.get_mut(slot) {
            stream.counts.1 += len as u64;
            stream.last_end = end;
        }
    }

    /// Takes as much of `data` as may be sent now.
    pub(super) fn poll_send(
        &mut self,
        cx: &Context<'_>,
        slot: u32,
        data: &[u8],
    ) -> Poll<Result<usize, WireError>> {
        let Some(stream) = self.streams.get(slot) else { return Poll::Ready(Err(WireError::Closed)) };
        if let Some(fault) = stream.fault.or(self.fault) {
            return Poll::Ready(Err(fault.error(true)));
        }
        if stream.sending == Direction::Ended {
            return Poll::Ready(Err(WireError::Closed));
        }
        let most = stream.left.map_or(data.len(), |left| left.min(data.len() as u64) as usize);
        if most == 0 {
            // More payload than was announced: the surplus is never sent.
            let surplus = if data.is_empty() { Ok(0) } else { Err(WireError::Truncated) };
            return Poll::Ready(surplus);
        }
        let mut taken = 0;
        while taken < most {
            let room = self.room(slot).min(most - taken);
            if room == 0 {
                break;
            }
            let piece = data.get(taken..taken + room).unwrap_or_default();
            self.push_data(slot, piece);
            taken += room;
            if taken == most || room >= DRIBBLE || self.role == Role::Client {
                self.note_use(room);
            }
        }
        if taken > 0 {
            return Poll::Ready(Ok(taken));
        }
        self.wait_for_room(cx, slot);
        Poll::Pending
    }

    /// How much a stream may send now, in one frame.
    fn room(&self, slot: u32) -> usize {
        let Some(stream) = self.streams.get(slot) else { return 0 };
        let window = stream.send_window.min(self.send_window).clamp(0, MAX_PAYLOAD as i64) as usize;
        let output = output::bounds().0.saturating_sub(self.output.waiting());
        // While nobody waits there are no turns.
        let share = if self.queue.is_empty() { usize::MAX } else { stream.grant };
        window.min(output).min(share)
    }

    fn push_data(&mut self, slot: u32, data: &[u8]) {
        let at = self.output.end();
        let Some(stream) = self.streams.get_mut(slot) else { return };
        stream.send_window -= data.len() as i64;
        self.send_window -= data.len() as i64;
        if let Some(left) = &mut stream.left {
            *left -= (data.len() as u64).min(*left);
        }
        stream.grant = stream.grant.saturating_sub(data.len());
        stream.last_data = Some(at);
        frame::push(self.output.begin(), kind::DATA, 0, stream.id, data);
        self.note_sent(slot, HEAD + data.len());
    }

    /// A receiver may tell of each KiB that it took, on the stream and on the connection; and measure the path. One that
    /// opens its windows by a few bytes, to get a frame for each of them, gains nothing (CVE-2019-9511).
    fn note_use(&mut self, len: usize) {
        self.flood.give_back(Kind::Ping, 1);
        self.flood.give_back(Kind::Window, 4 + (len >> 9) as u32);
    }

    /// Notes that a stream waits until it may send.
    fn wait_for_room(&mut self, cx: &Context<'_>, slot: u32) {
        let Some(stream) = self.streams.get_mut(slot) else { return };
        stream.register(cx, Interest::WRITE);
        // Only its own window keeps it: that opens with an event of its own.
        if stream.send_window > 0 && !stream.is_queued {
            stream.is_queued = true;
            self.queue.push_back(slot);
        }
    }

    /// Ready unless so much waits that nobody should add to it.
    pub(super) fn poll_room(&mut self, cx: &Context<'_>, slot: u32) -> Poll<Result<(), WireError>> {
        if let Some(fault) = self.fault_of(slot) {
            return Poll::Ready(Err(fault.error(true)));
        }
        if self.output.waiting() < output::bounds().0 {
            return Poll::Ready(Ok(()));
        }
        if let Some(stream) = self.streams.get_mut(slot) {
            stream.register(cx, Interest::WRITE);
            if !stream.is_queued {
                stream.is_queued = true;
                self.queue.push_back(slot);
            }
            stream.wants_room = true;
            self.is_full = true;
        }
        Poll::Pending
    }

    /// Ends a body, with trailers but for those that are held back.
    pub(super) fn poll_finish(
        &mut self,
        cx: &Context<'_>,
        slot: u32,
        trailers: Option<(&Fields, &NotTrailers)>,
    ) -> Poll<Result<(), WireError>> {
        let Some(stream) = self.streams.get(slot) else { return Poll::Ready(Err(WireError::Closed)) };
        if stream.sending == Direction::Ended && stream.fault.is_none() {
            return Poll::Ready(Ok(()));
        }
        let sending = stream.sending;
        ready!(self.poll_room(cx, slot))?;
        if sending != Direction::Open {
            // A tunnel that has not begun.
            return Poll::Ready(Ok(()));
        }
        let Some(stream) = self.streams.get_mut(slot) else { return Poll::Ready(Err(WireError::Closed)) };
        if stream.left.is_some_and(|left| left > 0) {
            return Poll::Ready(Err(WireError::Truncated));
        }
        stream.sending = Direction::Ended;
        let (id, last_data) = (stream.id, stream.last_data);
        let has_trailers =
            trailers.filter(|(fields, but)| !fields.is_empty() && has_trailers(fields, but)).is_some();
        if let (true, Some((fields, but))) = (has_trailers, trailers) {
            self.push_head(slot, true, |encoder, out| {
                each_trailer(fields, but, |name, value| encoder.field(name, value, out));
            });
        } else if !last_data.is_some_and(|at| self.output.end_stream(at)) {
            frame::push(self.output.begin(), kind::DATA, flag::END_STREAM, id, &[]);
            self.note_sent(slot, HEAD);
        }
        self.close_if_ended(slot);
        Poll::Ready(Ok(()))
    }

    /// Gives streams that wait their turn, if there is room: the most urgent first, and among those in order. Whether
    /// others still wait who could send: those who got their turn may have nothing to say any more.
    pub(super) fn admit(&mut self) -> bool {
        let (full, low) = output::bounds();
        if self.queue.is_empty() || self.output.waiting() >= low {
            return false;
        }
        if self.send_window <= 0 {
            self.admit_without_window();
            return false;
        }
        // To each at least a whole frame.
        let room = full - self.output.waiting();
        let number = self.queue.len().min(room / MAX_PAYLOAD);
        let grant = room / number;
        for _ in 0..number {
            let Some(slot) = self.take_queued(grant) else { break };
            self.notify(slot, Interest::WRITE);
        }
        !self.queue.is_empty() && self.send_window > 0
    }

    /// While the window of the connection is shut, only those get a turn that wait for room in the output and nothing else.
    fn admit_without_window(&mut self) {
        if !std::mem::take(&mut self.is_full) {
            return;
        }
        for _ in 0..self.queue.len() {
            let Some(slot) = self.queue.pop_front() else { return };
            let Some(stream) = self.streams.get_mut(slot) else { continue };
            if std::mem::take(&mut stream.wants_room) {
                stream.is_queued = false;
                self.notify(slot, Interest::WRITE);
            } else {
                self.queue.push_back(slot);
            }
        }
    }

    /// The stream whose turn it is, which may send `grant` bytes now.
    fn take_queued(&mut self, grant: usize) -> Option<u32> {
        let urgency = |slot: u32| self.streams.get(slot).map_or(0, |stream| stream.urgency);
        let (at, _) = self.queue.iter().enumerate().min_by_key(|(_, slot)| urgency(**slot))?;
        let slot = self.queue.remove(at)?;
        if let Some(stream) = self.streams.get_mut(slot) {
            stream.is_queued = false;
            stream.wants_room = false;
            stream.grant = grant;
        }
        Some(slot)
    }

    /// Breaks a stream off.
    pub(super) fn abort(&mut self, slot: u32, code: Code) {
        let Some(stream) = self.streams.get(slot) else { return };
        let id = stream.id;
        if self.fault.is_none() && self.streams.find(id) == Some(slot) {
            self.reset(id, code);
            self.break_stream(slot, Fault::Aborted, false);
        }
    }

    /// A stream's message is not what its head said.
    pub(super) fn contradict(&mut self, slot: u32, phrase: &'static str) {
        let Some(stream) = self.streams.get_mut(slot) else { return };
        let id = stream.id;
        stream.fault = Some(Fault::Protocol(phrase));
        if self.fault.is_none() && self.streams.find(id) == Some(slot) {
            self.wrong(Wrong::Stream(id, Code::Protocol, phrase));
        }
    }
}

fn has_trailers(fields: &Fields, but: &NotTrailers) -> bool {
    let mut found = false;
    each_trailer(fields, but, |_, _| found = true);
    found
}
