//! Frames of HTTP/2 to a server and to a client: nothing panics, what waits to be sent is bounded, and for the server any
//! split of the bytes gives the same frames in answer.
#![no_main]

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use libfuzzer_sys::fuzz_target;
use usher_fuzz::cuts;
use usher_http::parse::HeadLimits;
use usher_http::{Framing, Request, Response};
use usher_net::{MemoryStream, Transport};
use usher_wire::h2::{Client, Limits, Server};
use usher_wire::{RequestContext, Sink, Source, Upstream};

const ROOM: usize = 4 << 20;
const MOST_QUEUED: usize = 300 << 10;

fn once<T>(poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    poll(&mut Context::from_waker(Waker::noop()))
}

fn write(stream: &mut MemoryStream, bytes: &[u8]) {
    let _ = once(|cx| stream.poll_write(cx, bytes));
}

fn read(stream: &mut MemoryStream, all: &mut Vec<u8>) {
    let mut buffer = [0; 4096];
    while let Poll::Ready(Ok(len @ 1..)) = once(|cx| stream.poll_read(cx, &mut buffer)) {
        all.extend_from_slice(&buffer[..len]);
    }
}

fn limits() -> Limits {
    let head = HeadLimits { line: 100, head: 2000, fields: 20 };
    Limits { max_streams: 4, head, stream_window: 40_000, connection_window: 70_000 }
}

/// What a server answers to bytes that come in pieces, while nobody works on its streams.
fn serve(data: &[u8], ends: impl Iterator<Item = usize>) -> Vec<u8> {
    let (mut near, far) = MemoryStream::pair(ROOM);
    let mut server = Server::new(far, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", limits());
    let (mut request, mut streams, mut sent) = (Request::default(), Vec::new(), Vec::new());
    let mut at = 0;
    for end in ends.chain([data.len()]) {
        write(&mut near, &data[at..end]);
        at = end;
        loop {
            match once(|cx| server.poll_request(cx, &mut request)) {
                Poll::Ready(Ok(Some(stream))) => streams.push(stream),
                Poll::Ready(_) => {
                    read(&mut near, &mut sent);
                    return sent;
                }
                Poll::Pending => break,
            }
        }
        assert!(streams.len() <= 4 && server.queued() < MOST_QUEUED);
        read(&mut near, &mut sent);
    }
    sent
}

/// A client with some requests under way, whose server sends these bytes.
fn ask(data: &[u8]) {
    let (near, mut far) = MemoryStream::pair(ROOM);
    let (client, mut driver) = Client::new(near, limits());
    let mut request = Request::default();
    request.path.push('/');
    let mut streams: Vec<_> = (0..3).filter_map(|_| client.open()).collect();
    for stream in &mut streams {
        stream.begin_request(&request, b"h", Framing::Chunked, RequestContext::default());
    }
    write(&mut far, b"\0\0\0\x04\0\0\0\0\0");
    write(&mut far, data);
    let mut response = Response::default();
    for _ in 0..4 {
        let _ = once(|cx| Pin::new(&mut driver).poll(cx));
        for stream in &mut streams {
            let _ = once(|cx| stream.poll_response(cx, &limits().head, &mut response));
            if let Poll::Ready(Ok(len)) = once(|cx| stream.poll_fill(cx)) {
                stream.consume(len / 2);
            }
            let _ = once(|cx| stream.poll_send(cx, b"some"));
        }
        streams.pop();
    }
}

/// GOAWAY ends a connection before the rest of its bytes was looked at, if they come late.
fn has_goaway(mut data: &[u8]) -> bool {
    while let Some(&[a, b, c, kind, ..]) = data.first_chunk::<9>() {
        if kind == 7 {
            return true;
        }
        let size = 9 + u32::from_be_bytes([0, a, b, c]) as usize;
        data = data.get(size..).unwrap_or_default();
    }
    false
}

fuzz_target!(|data: &[u8]| {
    let whole = serve(data, std::iter::empty());
    if !has_goaway(data) {
        assert_eq!(serve(data, cuts(data)), whole);
    }
    ask(data);
});
