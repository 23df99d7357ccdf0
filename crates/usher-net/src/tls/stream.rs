//! An encrypted stream: the record layer, once rustls has agreed the keys.

use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use rustls::{AlertDescription, ExtractedSecrets};

use self::input::{Input, Next};
use self::keys::{APPLICATION_DATA, Fault, Keys, MAX_PLAIN, RECORD_HEAD};
use self::messages::{Effect, Failure, Messages};
use self::output::Output;
use super::error::alert_name;
use super::handshake::{Kernel, throw_away};
use super::session::Session;
use crate::transport::Transport;

mod buffers;
mod input;
mod keys;
mod messages;
mod output;

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const FATAL: u8 = 2;
const WARNING: u8 = 1;
/// KeyUpdate with update_not_requested (RFC 8446 section 4.6.3).
const KEY_UPDATE: [u8; 5] = [24, 0, 0, 1, 0];

/// What a handshake leaves.
pub(super) struct Established {
    pub(super) secrets: ExtractedSecrets,
    /// None in TLS 1.2.
    pub(super) kernel: Option<Kernel>,
    pub(super) is_server: bool,
    /// Records that came behind the handshake.
    pub(super) input: Vec<u8>,
    /// What rustls opened of them.
    pub(super) early: Vec<u8>,
    pub(super) is_closed: bool,
    /// What is still to be sent.
    pub(super) output: Vec<u8>,
}

/// An encrypted stream. Read and written like any other; what is its own:
///
/// - The end of reading is the end that the peer announced. A stream that just ends is an error of the kind
///   `UnexpectedEof`, since somebody may have cut it off.
/// - A write that is told to wait has been sealed already: the promise of [`Transport::poll_write`], that the writer comes
///   back with the same bytes first or never, is held to. Builds for development check it.
/// - While nothing is to be read or written, it owns no buffer.
pub struct TlsStream<T> {
    stream: T,
    session: Arc<Session>,
    opener: Keys,
    sealer: Keys,
    messages: Messages,
    input: Input,
    output: Output,
    /// The peer announced the end.
    is_read_closed: bool,
    /// We announced the end, or gave up.
    is_write_closed: bool,
    /// The peer asked for a new key of ours.
    owes_key: bool,
    /// Renegotiation was asked for and is to be refused.
    owes_refusal: bool,
    failure: Option<Failure>,
}

impl<T: Transport> TlsStream<T> {
    /// None for keys that cannot be used, which rustls does not give.
    pub(super) fn new(stream: T, established: Established, session: Session) -> Option<Self> {
        let is_tls13 = established.kernel.is_some();
        Some(Self {
            stream,
            session: Arc::new(session),
            opener: Keys::new(established.secrets.rx, is_tls13)?,
            sealer: Keys::new(established.secrets.tx, is_tls13)?,
            messages: Messages::new(established.kernel, established.is_server),
            input: Input::new(established.early, &established.input),
            output: Output::new(&established.output),
            is_read_closed: established.is_closed,
            is_write_closed: false,
            owes_key: false,
            owes_refusal: false,
            failure: None,
        })
    }

    /// Tells the peer why it is refused, and that this is the end. Whether it arrives or not.
    pub(super) async fn refuse(mut self, alert: AlertDescription) {
        self.tell(alert);
        let _ = std::future::poll_fn(|cx| self.output.poll_send(cx, &mut self.stream)).await;
        let _ = std::future::poll_fn(|cx| self.stream.poll_shutdown(cx)).await;
        throw_away(&mut self.stream).await;
    }

    fn tell(&mut self, alert: AlertDescription) {
        if !self.is_write_closed {
            self.is_write_closed = true;
            self.output.message(&mut self.sealer, ALERT, &[FATAL, u8::from(alert)]);
        }
    }

    /// Whether there is text that was opened, or a record that can be.
    #[inline]
    fn has_input(&self) -> bool {
        !self.input.is_bare()
            && (self.input.has_plain() || self.input.next(self.opener.max_payload()) != Next::Incomplete)
    }

    /// Opens records into `buf`, as many as fit; says how much. 0 when the peer has to say more, the stream is over,
    /// or what was opened waits in the input.
    fn open(&mut self, buf: &mut [u8]) -> usize {
        let mut got = 0;
        while !self.is_read_closed && self.failure.is_none() {
            let Some(rest) = buf.get_mut(got..).filter(|rest| !rest.is_empty()) else { break };
            let (head, len) = match self.input.next(self.opener.max_payload()) {
                Next::Incomplete => break,
                Next::Record(head, len) => (head, len),
                Next::TooLong => {
                    self.fail(Failure::Broken(AlertDescription::RecordOverflow, "a record is too long"));
                    break;
                }
                Next::Unknown => {
                    self.fail(Failure::Broken(AlertDescription::DecodeError, "a record is malformed"));
                    break;
                }
            };
            let fits = self.opener.room_to_open(len).is_some_and(|room| room <= rest.len());
            if !fits && got > 0 {
                break;
            }
            let opened = if fits { self.open_into(head, len, rest) } else { self.open_in_place(head, len) };
            match opened {
                Ok(len) => got += len,
                Err(failure) => self.fail(failure),
            }
            if self.input.has_plain() {
                break;
            }
        }
        got
    }

    fn open_into(&mut self, head: [u8; RECORD_HEAD], len: usize, buf: &mut [u8]) -> Result<usize, Failure> {
        self.check_type(head)?;
        let opened = self.opener.open_into(head, self.input.payload(len), buf).map_err(broken)?;
        self.input.consume(len, (0, 0));
        if opened.typ == APPLICATION_DATA {
            self.messages.note_data(opened.len)?;
            return Ok(opened.len);
        }
        let content = buf.get(..opened.len).unwrap_or_default();
        let effect = self.messages.take(opened.typ, content, &mut self.opener)?;
        self.note(effect);
        Ok(0)
    }

    fn open_in_place(&mut self, head: [u8; RECORD_HEAD], len: usize) -> Result<usize, Failure> {
        self.check_type(head)?;
        let payload = self.input.payload(len);
        let opened = self.opener.open_in_place(head, payload).map_err(broken)?;
        if opened.typ == APPLICATION_DATA {
            self.messages.note_data(opened.len)?;
            self.input.consume(len, (opened.start, opened.len));
            return Ok(0);
        }
        let content = payload.get(opened.start..opened.start + opened.len).unwrap_or_default();
        let effect = self.messages.take(opened.typ, content, &mut self.opener)?;
        self.input.consume(len, (0, 0));
        self.note(effect);
        Ok(0)
    }

    /// RFC 8446 section 5.2: after the handshake, everything looks like application data.
    fn check_type(&self, head: [u8; RECORD_HEAD]) -> Result<(), Failure> {
        if self.messages.is_tls13() && head[0] != APPLICATION_DATA {
            return Err(Failure::Broken(
                AlertDescription::UnexpectedMessage,
                "a record that is not encrypted",
            ));
        }
        Ok(())
    }

    fn note(&mut self, effect: Effect) {
        match effect {
            Effect::Nothing => {}
            Effect::Closed => {
                self.is_read_closed = true;
                self.input.discard();
            }
            Effect::NewKey => self.owes_key = true,
            Effect::NoRenegotiation => self.owes_refusal = true,
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.failure = Some(failure);
        self.input.discard();
        match failure {
            Failure::Broken(alert, _) => self.tell(alert),
            // RFC 8446 section 6.2: nothing is sent after an alert that ends the connection.
            Failure::Alert(_) => self.is_write_closed = true,
            Failure::Truncated => {}
        }
    }

    /// Seals the announcement of our end, once.
    fn end(&mut self) {
        if !self.is_write_closed {
            self.pay();
            let alert = [WARNING, u8::from(AlertDescription::CloseNotify)];
            self.output.message(&mut self.sealer, ALERT, &alert);
            self.is_write_closed = true;
        }
    }

    /// Announces our end (RFC 8446 section 6.1) as far as that takes no waiting, for a stream that is dropped next with
    /// nothing cut off. After a failure, or within a write, it says nothing.
    pub fn announce_end(&mut self) {
        if self.failure.is_none() && self.output.is_empty() && !self.output.has_writer() {
            self.end();
            let _ = self.output.poll_send(&mut Context::from_waker(Waker::noop()), &mut self.stream);
        }
    }

    /// Seals what is owed to the peer, if there is room.
    fn pay(&mut self) {
        if self.is_write_closed {
            return;
        }
        if self.owes_refusal {
            let alert = [WARNING, u8::from(AlertDescription::NoRenegotiation)];
            self.owes_refusal = !self.output.message(&mut self.sealer, ALERT, &alert);
        }
        // The last record that a key may protect announces the next key.
        let is_used_up = self.messages.is_tls13() && self.sealer.left() <= 2;
        if (self.owes_key || is_used_up) && self.output.message(&mut self.sealer, HANDSHAKE, &KEY_UPDATE) {
            self.owes_key = false;
            match self.messages.next_key() {
                Some(keys) => self.sealer = keys,
                None => self.is_write_closed = true,
            }
        }
    }

    /// Sends what TLS itself has to say, before a wait for the peer. A writer that waits does it anyway.
    fn send_ours(&mut self, cx: &mut Context<'_>) {
        if self.output.has_writer() {
            return;
        }
        // While the peer takes nothing, one answer is enough for all that it asks.
        if (self.owes_key || self.owes_refusal) && !self.output.is_blocked() {
            self.pay();
        }
        if self.output.is_ours() {
            // If it fails, reading fails too.
            let _ = self.output.poll_send(cx, &mut self.stream);
        }
    }

    fn write(&mut self, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.output.is_blocked() {
            ready!(self.output.poll_send(cx, &mut self.stream))?;
        }
        let given = parts.iter().fold(0, |sum: usize, part| sum.saturating_add(part.len()));
        if let Some(told) = self.output.told(parts, given) {
            return Poll::Ready(Ok(told));
        }
        if self.is_write_closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let mut sealed = 0;
        while sealed < given {
            self.pay();
            // Rather the rest in the next round than in a record that is needlessly small.
            let is_last = sealed > 0 && self.output.most() < (given - sealed).min(MAX_PLAIN);
            if is_last || self.is_write_closed {
                break;
            }
            let len = self.output.record(&mut self.sealer, parts, sealed);
            if len == 0 {
                break;
            }
            sealed += len;
        }
        if sealed == 0 && given > 0 {
            let reason = "the key has protected as much as it may, and TLS 1.2 knows no other";
            return Poll::Ready(Err(io::Error::other(reason)));
        }
        match self.output.poll_send(cx, &mut self.stream) {
            Poll::Pending if sealed > 0 => {
                self.output.owe(parts, sealed);
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
            Poll::Ready(sent) => Poll::Ready(sent.map(|()| sealed)),
        }
    }
}

impl<T> TlsStream<T> {
    /// What was agreed.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// The stream underneath.
    pub fn get_ref(&self) -> &T {
        &self.stream
    }
}

impl<T> fmt::Debug for TlsStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").field("session", &self.session).finish_non_exhaustive()
    }
}

fn broken(fault: Fault) -> Failure {
    match fault {
        Fault::Length => {
            Failure::Broken(AlertDescription::RecordOverflow, "a record's length is out of bounds")
        }
        Fault::Forged => Failure::Broken(AlertDescription::BadRecordMac, "a record could not be decrypted"),
        Fault::Empty => Failure::Broken(AlertDescription::UnexpectedMessage, "a record with nothing in it"),
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Broken(_, phrase) => Self::new(io::ErrorKind::InvalidData, phrase),
            Failure::Alert(alert) => {
                let phrase = format!("the peer sent the TLS alert `{}`", alert_name(alert));
                Self::new(io::ErrorKind::ConnectionAborted, phrase)
            }
            Failure::Truncated => {
                Self::new(io::ErrorKind::UnexpectedEof, "the TLS stream ended without being closed")
            }
        }
    }
}

impl<T: Transport> Transport for TlsStream<T> {
    /// Ready for a whole record only. A part of one is kept: whoever waits for a peer is not to count anew for each byte.
    #[inline(never)]
    fn notice_room(&mut self) {
        self.stream.notice_room();
    }

    fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let is_over = self.is_read_closed || self.failure.is_some();
            if is_over || self.has_input() {
                return Poll::Ready(Ok(()));
            }
            self.input.release();
            self.send_ours(cx);
            ready!(self.stream.poll_read_ready(cx))?;
            match self.stream.poll_read(cx, self.input.room()) {
                Poll::Ready(Ok(0)) => self.fail(Failure::Truncated),
                Poll::Ready(Ok(len)) => self.input.filled(len),
                waits_or_failed => {
                    self.input.release();
                    return waits_or_failed.map_ok(|_| ());
                }
            }
        }
    }

    #[inline(never)]
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        loop {
            let got = if self.input.has_plain() { self.input.take_plain(buf) } else { self.open(buf) };
            if self.input.is_drained() {
                self.input.release();
            }
            if got > 0 {
                return Poll::Ready(Ok(got));
            }
            if self.input.has_plain() {
                continue;
            }
            if let Some(failure) = self.failure {
                self.send_ours(cx);
                return Poll::Ready(Err(failure.into()));
            }
            if self.is_read_closed {
                return Poll::Ready(Ok(0));
            }
            match self.stream.poll_read(cx, self.input.room()) {
                Poll::Ready(Ok(0)) => self.fail(Failure::Truncated),
                Poll::Ready(Ok(len)) => self.input.filled(len),
                Poll::Ready(Err(error)) => {
                    self.input.release();
                    return Poll::Ready(Err(error));
                }
                Poll::Pending => {
                    self.input.release();
                    self.send_ours(cx);
                    return Poll::Pending;
                }
            }
        }
    }

    #[inline(never)]
    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.write(cx, &[IoSlice::new(buf)])
    }

    #[inline(never)]
    fn poll_write_vectored(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.write(cx, bufs)
    }

    #[inline(never)]
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end();
        ready!(self.output.poll_send(cx, &mut self.stream))?;
        self.stream.poll_shutdown(cx)
    }

    fn is_watched(&self) -> bool {
        self.stream.is_watched()
    }

    fn leave_runtime(&mut self) -> Option<BorrowedFd<'_>> {
        let is_over = self.is_read_closed || self.failure.is_some();
        let owes = self.owes_key || self.owes_refusal || !self.output.is_empty();
        if is_over || owes || self.input.has_plain() || !self.input.is_drained() {
            return None;
        }
        self.input.release();
        self.stream.leave_runtime()
    }

    fn rejoin_runtime(&mut self) {
        self.stream.rejoin_runtime();
    }

    fn abort(&mut self) {
        self.stream.abort();
    }
}

#[cfg(test)]
mod tests;
