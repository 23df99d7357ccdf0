//! The two directions of a stream.

use std::task::{Context, Poll};

use bytes::Bytes;
use quinn_proto::{FinishError, ReadError, StreamId, VarInt, WriteError};

use super::connection::Connection;
use super::error::StreamError;

/// The direction in which this side sends. A drop before [`finish`](Self::finish) resets it with code 0, unless it
/// was [`reset`](Self::reset) with another.
#[derive(Debug)]
pub struct SendStream {
    connection: Connection,
    id: StreamId,
    /// Opened before the handshake was complete.
    early: bool,
    ended: bool,
}

/// The direction in which the peer sends. A drop before its end asks the peer to send no more, with code 0.
#[derive(Debug)]
pub struct RecvStream {
    connection: Connection,
    id: StreamId,
    early: bool,
    ended: bool,
    /// Lives as long as its connection.
    kept: bool,
    /// The code of the peer's reset, once it was seen.
    reset: Option<u64>,
}

/// A stream of which the server never heard, as it refused the early data.
fn is_void(connection: &Connection, early: bool) -> bool {
    early && connection.state().early_refused.get()
}

fn code(code: u64) -> VarInt {
    VarInt::from_u64(code).unwrap_or(VarInt::MAX)
}

impl SendStream {
    pub(super) fn new(connection: &Connection, id: StreamId) -> Self {
        Self {
            early: connection.may_send_early() && connection.is_early(),
            connection: connection.clone(),
            id,
            ended: false,
        }
    }

    /// The number of the stream (RFC 9000 section 2.1).
    pub fn id(&self) -> u64 {
        self.id.into()
    }

    /// Its connection.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Takes bytes of `chunk` from its beginning on; ready when it is empty. One waker is kept.
    ///
    /// # Errors
    /// [`StreamError::Stopped`] if the peer wants no more.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, chunk: &mut Bytes) -> Poll<Result<(), StreamError>> {
        if self.ended || is_void(&self.connection, self.early) {
            return Poll::Ready(Err(StreamError::Ended));
        }
        let state = self.connection.state();
        if let Some(error) = self.connection.error() {
            return Poll::Ready(Err(StreamError::Connection(error)));
        }
        while !chunk.is_empty() {
            let written = state.write(self.id, chunk);
            // Also when it is blocked: the peer is told so.
            state.mark();
            match written {
                Ok(()) => {}
                // A window that is used up is told before the peer's STOP_SENDING, and may then never open.
                Err(WriteError::Blocked) => return self.poll_stopped(cx).map(Err),
                Err(WriteError::Stopped(code)) => {
                    return Poll::Ready(Err(StreamError::Stopped(code.into_inner())));
                }
                Err(WriteError::ClosedStream) => return Poll::Ready(Err(StreamError::Ended)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Ends the direction, behind what was written.
    ///
    /// # Errors
    /// [`StreamError::Stopped`] if the peer wants no more.
    pub fn finish(&mut self) -> Result<(), StreamError> {
        if self.ended || is_void(&self.connection, self.early) {
            return Err(StreamError::Ended);
        }
        let state = self.connection.state();
        let finished = state.proto.borrow_mut().send_stream(self.id).finish();
        match finished {
            Ok(()) => {
                self.ended = true;
                state.mark();
                Ok(())
            }
            Err(FinishError::Stopped(code)) => Err(StreamError::Stopped(code.into_inner())),
            Err(FinishError::ClosedStream) => Err(StreamError::Ended),
        }
    }

    /// Gives up the direction: the peer is told to forget what it did not get. Also after [`finish`](Self::finish),
    /// while not everything has arrived.
    pub fn reset(&mut self, error: u64) {
        self.ended = true;
        let state = self.connection.state();
        if !is_void(&self.connection, self.early) {
            // An error is one of a stream that is gone already.
            let _ = state.proto.borrow_mut().send_stream(self.id).reset(code(error));
            state.mark();
        }
    }

    /// Ready when the peer wants no more, or the connection is no more. Pending for ever once everything has arrived.
    /// Shares its waker with [`poll_write`](Self::poll_write), so that it is also woken when there is room after there was
    /// none.
    pub fn poll_stopped(&self, cx: &mut Context<'_>) -> Poll<StreamError> {
        let state = self.connection.state();
        if let Some(error) = self.connection.error() {
            return Poll::Ready(StreamError::Connection(error));
        }
        if is_void(&self.connection, self.early) {
            return Poll::Ready(StreamError::Ended);
        }
        let stopped = state.proto.borrow_mut().send_stream(self.id).stopped();
        if let Ok(Some(code)) = stopped {
            return Poll::Ready(StreamError::Stopped(code.into_inner()));
        }
        state.wait_writer(self.id, cx);
        Poll::Pending
    }

    /// Whether the peer is known to want no more, or the connection to be no more.
    pub fn is_stopped(&self) -> bool {
        let state = self.connection.state();
        self.connection.is_closed()
            || matches!(state.proto.borrow_mut().send_stream(self.id).stopped(), Ok(Some(_)))
    }

    /// Streams of a higher priority are sent first; 0 unless told otherwise.
    pub fn set_priority(&mut self, priority: i32) {
        // An error is one of a stream that is gone already.
        let _ = self.connection.state().proto.borrow_mut().send_stream(self.id).set_priority(priority);
    }

    /// Says that this stream lives as long as its connection: its drop does not reset it, and nobody waits for its end.
    pub fn keep(&mut self) {
        if !self.ended {
            self.ended = true;
            let kept = &self.connection.state().kept;
            kept.set(kept.get() + 1);
        }
    }

    /// Writes to a stream that was [kept](Self::keep), or to another, as far as there is room; true if all of `chunk` was
    /// taken. If not, whoever waits by [`poll_stopped`](Self::poll_stopped) is woken when there is room.
    pub fn write_now(&mut self, chunk: &mut Bytes) -> bool {
        let state = self.connection.state();
        let _ = state.write(self.id, chunk);
        state.mark();
        chunk.is_empty()
    }
}

impl Drop for SendStream {
    fn drop(&mut self) {
        self.connection.state().forget_writer(self.id);
        if !self.ended {
            self.reset(0);
        }
    }
}

impl RecvStream {
    pub(super) fn new(connection: &Connection, id: StreamId) -> Self {
        Self {
            early: connection.may_send_early() && connection.is_early(),
            connection: connection.clone(),
            id,
            ended: false,
            kept: false,
            reset: None,
        }
    }

    /// The number of the stream (RFC 9000 section 2.1).
    pub fn id(&self) -> u64 {
        self.id.into()
    }

    /// Whether the end was read, or this side wants no more.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Reads as much as there is and `buf` takes; 0 at the end of the stream (or for an empty `buf`). One waker is kept.
    ///
    /// # Errors
    /// [`StreamError::Reset`] if the peer sends no more; what it sent before may be lost.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Result<usize, StreamError>> {
        if let Some(code) = self.reset {
            return Poll::Ready(Err(StreamError::Reset(code)));
        }
        if self.ended || buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if is_void(&self.connection, self.early) {
            return Poll::Ready(Err(StreamError::Ended));
        }
        let state = self.connection.state();
        let (read, outcome, transmit) = {
            let mut proto = state.proto.borrow_mut();
            let mut stream = proto.recv_stream(self.id);
            let Ok(mut chunks) = stream.read(true) else { return Poll::Ready(Err(StreamError::Ended)) };
            let mut read = 0;
            let outcome = loop {
                let Some(room) = buf.get_mut(read..).filter(|room| !room.is_empty()) else { break None };
                match chunks.next(room.len()) {
                    Ok(Some(chunk)) => {
                        // No more than the room's length, as asked for.
                        let len = chunk.bytes.len().min(room.len());
                        room[..len].copy_from_slice(&chunk.bytes[..len]);
                        read += len;
                    }
                    end => break Some(end.map(|_| ())),
                }
            };
            (read, outcome, chunks.finalize().should_transmit())
        };
        state.note_read(read);
        if transmit {
            // Credit for more data, or for another stream.
            state.mark();
        }
        match outcome {
            Some(Ok(())) => self.ended = true,
            Some(Err(ReadError::Reset(code))) => {
                self.ended = true;
                self.reset = Some(code.into_inner());
                return Poll::Ready(Err(StreamError::Reset(code.into_inner())));
            }
            Some(Err(ReadError::Blocked)) if read == 0 => return self.wait(cx),
            _ => {}
        }
        Poll::Ready(Ok(read))
    }

    fn wait<T>(&self, cx: &Context<'_>) -> Poll<Result<T, StreamError>> {
        if let Some(error) = self.connection.error() {
            return Poll::Ready(Err(StreamError::Connection(error)));
        }
        self.connection.state().wait_reader(self.id, cx);
        Poll::Pending
    }

    /// Ready when the peer will send no more before the end, or the connection is no more. Reads nothing. Shares its
    /// waker with [`poll_read`](Self::poll_read).
    pub fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<StreamError> {
        let state = self.connection.state();
        if !self.ended {
            let reset = state.proto.borrow_mut().recv_stream(self.id).received_reset();
            if let Ok(Some(code)) = reset {
                self.ended = true;
                self.reset = Some(code.into_inner());
                state.mark();
            }
        }
        if let Some(code) = self.reset {
            return Poll::Ready(StreamError::Reset(code));
        }
        self.wait::<()>(cx).map(|error| error.err().unwrap_or(StreamError::Ended))
    }

    /// Says that this stream lives as long as its connection: its drop does not ask the peer to send no more.
    pub fn keep(&mut self) {
        self.kept = true;
    }

    /// Asks the peer to send no more (STOP_SENDING). Nothing can be read afterwards.
    pub fn stop(&mut self, error: u64) {
        if self.ended {
            return;
        }
        self.ended = true;
        if !is_void(&self.connection, self.early) {
            let state = self.connection.state();
            // An error is one of a stream that is gone already.
            let _ = state.proto.borrow_mut().recv_stream(self.id).stop(code(error));
            state.mark();
        }
    }
}

impl Drop for RecvStream {
    fn drop(&mut self) {
        self.connection.state().forget_reader(self.id);
        if !self.kept {
            self.stop(0);
        }
    }
}
