//! A server that is polled by hand, so that a test sees every step.

use std::task::Poll;

use super::*;
use crate::body::Sink;
use crate::testing::once;

/// The server, and what its client does.
pub(super) struct Stage {
    pub(super) server: Server<MemoryStream>,
    stream: MemoryStream,
    held: Vec<u8>,
}

impl Stage {
    /// A server that was greeted.
    pub(super) fn new(limits: Limits) -> Self {
        Self::with_capacity(limits, 8 << 20)
    }

    pub(super) fn with_capacity(limits: Limits, capacity: usize) -> Self {
        let (stream, far) = MemoryStream::pair(capacity);
        let mut this = Self { server: Server::new(far, &[], limits), stream, held: Vec::new() };
        this.write(&greeting());
        this
    }

    /// Writes as much as is taken.
    pub(super) fn write(&mut self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            match once(|cx| self.stream.poll_write(cx, &bytes[written..])) {
                Poll::Ready(Ok(len)) => written += len,
                Poll::Ready(Err(_)) | Poll::Pending => break,
            }
        }
        written
    }

    /// Lets the server do what it can; the requests that came.
    pub(super) fn turn(&mut self) -> Vec<ServerStream> {
        self.try_turn().expect("the connection lives")
    }

    pub(super) fn try_turn(&mut self) -> Result<Vec<ServerStream>, WireError> {
        let mut came = Vec::new();
        let mut request = Request::default();
        loop {
            match once(|cx| self.server.poll_request(cx, &mut request)) {
                Poll::Ready(Ok(Some(stream))) => came.push(stream),
                Poll::Ready(Ok(None)) => return Err(WireError::Closed),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(came),
            }
        }
    }

    /// Lets the server do what it can, with one request.
    pub(super) fn request(&mut self, bytes: &[u8]) -> ServerStream {
        self.write(bytes);
        let mut came = self.turn();
        assert_eq!(came.len(), 1);
        came.remove(0)
    }

    /// The frames that the server has sent.
    pub(super) fn frames(&mut self) -> Vec<Frame> {
        let mut buffer = [0; 65_536];
        while let Poll::Ready(Ok(len @ 1..)) = once(|cx| self.stream.poll_read(cx, &mut buffer)) {
            self.held.extend_from_slice(&buffer[..len]);
        }
        let mut frames = Vec::new();
        let mut at = 0;
        while let Some(head) = FrameHead::read(&self.held[at..])
            && let Some(payload) = self.held.get(at + frame::HEAD..at + frame::HEAD + head.len)
        {
            frames.push(Frame {
                kind: head.kind,
                flags: head.flags,
                stream: head.stream,
                payload: payload.to_vec(),
            });
            at += frame::HEAD + head.len;
        }
        self.held.drain(..at);
        frames
    }

    /// The code of the GOAWAY that the server has sent, and its phrase.
    pub(super) fn goaway(&mut self) -> Option<(u32, String)> {
        let frames = self.frames();
        let goaway = frames.iter().find(|frame| frame.kind == kind::GOAWAY)?;
        Some((goaway.number(4), String::from_utf8_lossy(&goaway.payload[8..]).into_owned()))
    }
}

/// Begins a response of unknown length.
pub(super) fn begin(stream: &mut ServerStream) {
    let trailers = all_trailers();
    stream.begin_response(&response(200, &[]), Framing::Chunked, reply(&trailers));
}

/// Sends what is taken now; how much that is.
pub(super) fn push(stream: &mut ServerStream, data: &[u8]) -> usize {
    match once(|cx| stream.poll_send(cx, data)) {
        Poll::Ready(sent) => sent.expect("open"),
        Poll::Pending => 0,
    }
}

/// What can be read now.
pub(super) fn pull(stream: &mut ServerStream, most: usize) -> usize {
    let mut taken = 0;
    while taken < most {
        match once(|cx| stream.poll_fill(cx)) {
            Poll::Ready(Ok(len @ 1..)) => {
                let len = len.min(most - taken);
                stream.consume(len);
                taken += len;
            }
            _ => break,
        }
    }
    taken
}

/// The bytes of DATA on a stream.
pub(super) fn data_on(frames: &[Frame], stream: u32) -> usize {
    frames.iter().filter(|frame| frame.is(kind::DATA, stream)).map(|frame| frame.payload.len()).sum()
}
