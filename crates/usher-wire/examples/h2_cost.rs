//! What one exchange over HTTP/2 costs a server beside the system calls: a request like a browser's, taken apart and
//! sanitized, and a response of 1 KiB, a hundred at once.
//!
//! Count instructions, which do not depend on how busy the machine is:
//! ```text
//! cargo build --release -p usher-wire --example h2_cost
//! valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/h2_cost 100
//! ```
//! The difference between two counts, divided by a hundred times the difference between their numbers of rounds, is the
//! cost of one.

use std::hint::black_box;
use std::io;
use std::task::{Context, Poll, Waker};

use usher_http::parse::{HeadLimits, HeadParser};
use usher_http::sanitize::{Scratch, sanitize};
use usher_http::{Framing, Request, Response, Version};
use usher_net::Transport;
use usher_wire::h2::{Limits, Server, ServerStream};
use usher_wire::hpack::Encoder;
use usher_wire::{Downstream, ReplyContext, Sink};

/// Streams at once.
const STREAMS: u32 = 100;

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
Content-Type: text/plain\r\n\
Content-Length: 1024\r\n\
Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
ETag: \"65f1a2b3-400\"\r\n\
Accept-Ranges: bytes\r\n\
Via: 1.1 usher\r\n\
\r\n";

const REQUEST: [(&str, &str); 8] = [
    (":path", "/assets/app/main.js?v=20240511"),
    (":scheme", "https"),
    (":authority", "www.example.com"),
    (":method", "GET"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
    ("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("cookie", "session=0123456789abcdef01234"),
];

/// A stream of bytes of which some are there to be read, and all that is written is taken.
struct Script {
    bytes: Vec<u8>,
    at: usize,
}

impl Transport for Script {
    fn poll_read_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.at < self.bytes.len() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn poll_read(&mut self, _: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let rest = &self.bytes[self.at..];
        let len = rest.len().min(buf.len());
        if len == 0 {
            return Poll::Pending;
        }
        buf[..len].copy_from_slice(&rest[..len]);
        self.at += len;
        Poll::Ready(Ok(len))
    }

    fn poll_write(&mut self, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(black_box(buf).len()))
    }

    fn poll_write_vectored(
        &mut self,
        _: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// The requests of a round, and the window for their responses.
fn asked(encoder: &mut Encoder, next: &mut u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..STREAMS {
        let mut block = Vec::new();
        for (name, value) in REQUEST {
            encoder.field(name.as_bytes(), value.as_bytes(), &mut block);
        }
        frame(1, 5, *next, &block, &mut bytes);
        *next += 2;
    }
    frame(8, 0, 0, &(STREAMS * 1024).to_be_bytes(), &mut bytes);
    bytes
}

/// What is kept from request to request.
#[derive(Default)]
struct Memory {
    response: Response,
    scratch: Scratch,
    upgrade: Vec<u8>,
}

fn main() {
    let rounds: u32 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(100);
    let mut ahead = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    frame(4, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff], &mut ahead);
    let mut server = Server::new(Script { bytes: Vec::new(), at: 0 }, &ahead, Limits::default());
    let (mut encoder, mut next, mut served) = (Encoder::default(), 1, 0);
    let mut requests: Vec<Request> = (0..STREAMS).map(|_| Request::default()).collect();
    let mut memory = Memory::default();
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..rounds {
        *server.stream() = Script { bytes: asked(&mut encoder, &mut next), at: 0 };
        let mut streams = Vec::new();
        for request in &mut requests {
            if let Poll::Ready(Ok(Some(stream))) = server.poll_request(&mut cx, request) {
                streams.push(stream);
            }
        }
        for (stream, request) in streams.iter_mut().zip(&mut requests) {
            served += u32::from(serve(&mut cx, stream, request, &mut memory));
        }
        drop(streams);
        let _ = server.poll_request(&mut cx, &mut requests[0]);
    }
    println!("{served} of {} requests", rounds * STREAMS);
}

/// Whether a request was understood and answered.
fn serve(
    cx: &mut Context<'_>,
    stream: &mut ServerStream,
    request: &mut Request,
    memory: &mut Memory,
) -> bool {
    request.scheme = "https";
    let understood = sanitize(request, &mut memory.scratch, &mut memory.upgrade).is_ok();
    let limits = HeadLimits::default();
    let parsed = HeadParser::default().response(black_box(RESPONSE), &limits, &mut memory.response).is_ok();
    let context = ReplyContext {
        version: Version::Http2,
        persistent: true,
        date: b"",
        trailers: None,
        switches: false,
    };
    stream.begin_response(&memory.response, Framing::Length(1024), context);
    let sent = matches!(stream.poll_send(cx, &[b'x'; 1024]), Poll::Ready(Ok(1024)));
    let finished = matches!(stream.poll_finish(cx, None), Poll::Ready(Ok(())));
    understood && parsed && sent && finished
}
