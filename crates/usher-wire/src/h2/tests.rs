//! Tests of both sides: against frames made by hand, against the `h2` crate, and against each other.

use std::future::poll_fn;

use tokio::task::LocalSet;
use usher_http::parse::HeadLimits;
use usher_http::{Fields, Framing, Request, Response, Version};
use usher_net::{MemoryStream, Transport};

use super::frame::{self, FrameHead, PREFACE, flag, kind};
use super::*;
use crate::body::Source;
use crate::error::WireError;
use crate::h1::{Downstream, NotTrailers, ReplyContext};
use crate::testing::{finish, receive, send, write_all};

mod attacks;
mod client_rules;
mod connect;
mod flow;
mod greeting;
mod interop;
mod leaving;
mod own;
mod random;
mod server_rules;
mod stage;

/// What the stream in between holds (bytes).
const CAPACITY: usize = 1 << 20;

/// Runs a test whose tasks are all on this thread.
fn local<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, test)
}

/// A frame as the test sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frame {
    fn is(&self, kind: u8, stream: u32) -> bool {
        (self.kind, self.stream) == (kind, stream)
    }

    /// The number that the payload begins with, or has behind its first four bytes.
    fn number(&self, at: usize) -> u32 {
        frame::number(&self.payload[at..]).expect("four bytes")
    }
}

/// The other side, made by hand.
struct Wire {
    stream: MemoryStream,
    held: Vec<u8>,
}

impl Wire {
    fn new(stream: MemoryStream) -> Self {
        Self { stream, held: Vec::new() }
    }

    async fn write(&mut self, bytes: &[u8]) {
        write_all(&mut self.stream, bytes).await;
    }

    /// Takes what a client says first, which is no frame.
    async fn skip_preface(&mut self) {
        let mut preface = [0; 24];
        for byte in &mut preface {
            poll_fn(|cx| self.stream.poll_read(cx, std::slice::from_mut(byte))).await.expect("a byte");
        }
        assert_eq!(&preface, PREFACE);
    }

    /// The next frame; none at the end of the stream.
    async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(head) = FrameHead::read(&self.held)
                && self.held.len() >= frame::HEAD + head.len
            {
                let rest = self.held.split_off(frame::HEAD + head.len);
                let bytes = std::mem::replace(&mut self.held, rest);
                let payload = bytes[frame::HEAD..].to_vec();
                return Some(Frame { kind: head.kind, flags: head.flags, stream: head.stream, payload });
            }
            let mut buffer = [0; 4096];
            let len = poll_fn(|cx| self.stream.poll_read(cx, &mut buffer)).await.unwrap_or(0);
            if len == 0 {
                return None;
            }
            self.held.extend_from_slice(&buffer[..len]);
        }
    }

    /// Frames up to one of a kind on a stream.
    async fn until(&mut self, kind: u8, stream: u32) -> Frame {
        loop {
            let frame = self.frame().await.unwrap_or_else(|| panic!("ended before a frame of kind {kind}"));
            if frame.is(kind, stream) {
                return frame;
            }
        }
    }

    /// All that the other side does up to now, or until it ends the stream. It must not be waiting for us.
    async fn settled(&mut self) -> Vec<Frame> {
        self.write(&one(kind::PING, 0, 0, b"settled?")).await;
        let mut frames = Vec::new();
        while let Some(frame) = self.frame().await {
            if frame.kind == kind::PING && frame.payload == b"settled?" {
                break;
            }
            frames.push(frame);
        }
        frames
    }
}

/// The bytes of a frame.
fn one(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::push(&mut out, kind, flags, stream, payload);
    out
}

/// A block of fields, each a literal that goes into no table.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        for text in [name, value] {
            crate::hpack::integer::write(0, 7, text.len() as u32, &mut out);
            out.extend_from_slice(text.as_bytes());
        }
    }
    out
}

const GET: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a.test")];

/// A request's fields with another path and some more fields.
fn asked(method: &str, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let first = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "a.test")];
    block(&[&first, more].concat())
}

/// HEADERS with a whole request.
fn get(stream: u32, path: &str) -> Vec<u8> {
    headers(stream, true, &asked("GET", path, &[]))
}

fn headers(stream: u32, ends: bool, block: &[u8]) -> Vec<u8> {
    let end = if ends { flag::END_STREAM } else { 0 };
    one(kind::HEADERS, flag::END_HEADERS | end, stream, block)
}

fn data(stream: u32, ends: bool, payload: &[u8]) -> Vec<u8> {
    one(kind::DATA, if ends { flag::END_STREAM } else { 0 }, stream, payload)
}

/// What a client says first.
fn greeting() -> Vec<u8> {
    [PREFACE.as_slice(), &one(kind::SETTINGS, 0, 0, &[])].concat()
}

fn limits() -> Limits {
    Limits { head: HeadLimits { line: 1000, head: 4000, fields: 20 }, ..Limits::default() }
}

fn all_trailers() -> NotTrailers {
    NotTrailers::from([])
}

fn reply(trailers: &NotTrailers) -> ReplyContext<'_> {
    ReplyContext {
        version: Version::Http2,
        persistent: true,
        date: b"Thu, 01 Jan 1970 00:00:00 GMT",
        trailers: Some(trailers),
        switches: false,
    }
}

fn response(status: u16, fields: &[(&str, &str)]) -> Response {
    let mut response = Response::default();
    response.status = status;
    for (name, value) in fields {
        response.fields.add(name.as_bytes(), value.as_bytes()).expect("a field");
    }
    response
}

/// Answers a request by its path: `/hold` never, `/echo` with its body and trailers, all others with `ok` after their
/// body came.
async fn answer(request: &Request, mut stream: ServerStream) -> Result<(), WireError> {
    let trailers = all_trailers();
    if let Some(error) = stream.refused() {
        stream.begin_response(&response(error.status(), &[]), Framing::None, reply(&trailers));
        return finish(&mut stream, None).await;
    }
    match request.raw_target() {
        b"/hold" => Err(poll_fn(|cx| stream.poll_gone(cx)).await),
        b"/echo" => {
            stream.begin_response(&response(200, &[]), Framing::Chunked, reply(&trailers));
            echo(&mut stream).await
        }
        _ => {
            receive(&mut stream, 1000).await?;
            stream.begin_response(&response(200, &[]), Framing::Length(2), reply(&trailers));
            send(&mut stream, b"ok").await?;
            finish(&mut stream, None).await
        }
    }
}

/// Sends back what comes, with its trailers.
async fn echo(stream: &mut ServerStream) -> Result<(), WireError> {
    while poll_fn(|cx| stream.poll_fill(cx)).await? > 0 {
        let piece = stream.chunk().to_vec();
        stream.consume(piece.len());
        send(stream, &piece).await?;
    }
    let mut trailers = Fields::default();
    for field in Source::trailers(stream).into_iter().flat_map(Fields::iter) {
        trailers.add(field.name, field.value).expect("a field");
    }
    finish(stream, Some(&trailers)).await
}

/// Serves a connection, every request in a task of its own. Gives how it ended.
async fn serve(mut server: Server<impl Transport>) -> Result<(), WireError> {
    let outcome = loop {
        let mut request = Request::default();
        match poll_fn(|cx| server.poll_request(cx, &mut request)).await {
            Ok(Some(stream)) => _ = tokio::task::spawn_local(async move { answer(&request, stream).await }),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    poll_fn(|cx| server.poll_last_words(cx)).await;
    outcome
}

/// A server with the usual answers, and the client's end of its connection.
fn serving(limits: Limits) -> (Wire, tokio::task::JoinHandle<Result<(), WireError>>) {
    let (near, far) = MemoryStream::pair(CAPACITY);
    let served = tokio::task::spawn_local(serve(Server::new(far, &[], limits)));
    (Wire::new(near), served)
}
