//! The endpoint behind every proxy: one thread, epoll, bodies rendered in advance, so that it is never what is measured.
//!
//! It answers by path: `/1k`, `/100k` and `/10m` with bodies of that size, `/sink` after reading the request's body,
//! `/echo` with the head that it received. `grpc.rs` answers gRPC calls, on a port and thread of its own.

pub(crate) mod grpc;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant, SystemTime};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::time::Timespec;

use crate::http::{self, MAX_HEAD};
use crate::options::Flags;

/// Connections waiting to be accepted: more than any work opens at once.
const BACKLOG: i32 = 4096;
/// Bytes read at once; upload bodies are read and dropped in such pieces.
const READ_SIZE: usize = 256 * 1024;
/// How long an endpoint that nobody ends lives, in seconds.
const LIFETIME_S: u64 = 3600;
const LISTENER: u64 = u64::MAX;

/// `usher-bench endpoint [--port N] [--seconds N] [--send-buffer BYTES]`: prints `listening ADDRESS` and `grpc ADDRESS`, then serves.
pub(crate) fn main(arguments: &[String]) -> io::Result<()> {
    let mut flags = Flags::new(arguments);
    let port = flags.number("--port")?.unwrap_or(0);
    let seconds = flags.number("--seconds")?.unwrap_or(LIFETIME_S);
    let ahead = flags.number("--send-buffer")?;
    flags.finish()?;
    let port = u16::try_from(port).map_err(|_| io::Error::other(format!("`{port}` is no port")))?;
    // A crowd of thousands may wait for more.
    usher_net::raise_open_files()?;
    let listener = listen(port)?;
    if let Some(bytes) = ahead {
        // Connections that are accepted have the same.
        let socket = socket2::SockRef::from(&listener);
        socket.set_send_buffer_size(usize::try_from(bytes).map_err(io::Error::other)?)?;
    }
    println!("listening {}\ngrpc {}", listener.local_addr()?, grpc::start()?);
    let piece = ahead.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(usize::MAX);
    Endpoint::new(listener, piece)?.serve(Instant::now() + Duration::from_secs(seconds))
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The rendered responses.
struct Pages {
    sized: Vec<(&'static [u8], Vec<u8>)>,
    sink: Vec<u8>,
    missing: Vec<u8>,
}

impl Pages {
    fn new() -> Self {
        let sized = [(&b"/1k"[..], 1024), (b"/100k", 100 * 1024), (b"/10m", 10 * 1024 * 1024)];
        Self {
            sized: sized
                .into_iter()
                .map(|(path, size)| (path, response("200 OK", &http::body(size))))
                .collect(),
            sink: response("200 OK", b"ok"),
            missing: response("404 Not Found", b"not found"),
        }
    }
}

/// A response with the six fields of a usual application server.
fn response(status: &str, body: &[u8]) -> Vec<u8> {
    let date = httpdate::fmt_http_date(SystemTime::now());
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\nServer: endpoint\r\nDate: {date}\r\nContent-Type: text/html; charset=utf-8\r\n\
         Content-Length: {}\r\nCache-Control: private, max-age=60\r\nETag: \"5f2b9c1e-7a3d\"\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

struct Endpoint {
    epoll: OwnedFd,
    listener: TcpListener,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    pages: Pages,
    scratch: Vec<u8>,
    /// What is written at once (bytes): a write that goes on for as long as somebody reads keeps the core meanwhile.
    piece: usize,
}

impl Endpoint {
    fn new(listener: TcpListener, piece: usize) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        let (connections, free) = (Vec::new(), Vec::new());
        let (pages, scratch) = (Pages::new(), vec![0; READ_SIZE]);
        Ok(Self { epoll, listener, connections, free, pages, scratch, piece })
    }

    fn serve(&mut self, until: Instant) -> io::Result<()> {
        let mut events: Vec<Event> = Vec::with_capacity(512);
        let tick = Timespec { tv_sec: 1, tv_nsec: 0 };
        while Instant::now() < until {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&tick)) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other?,
            };
            for event in &events {
                match event.data.u64() {
                    LISTENER => self.accept(),
                    index => self.advance(usize::try_from(index).unwrap_or(usize::MAX), event.flags),
                }
            }
        }
        Ok(())
    }

    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            let index = self.free.pop().unwrap_or(self.connections.len());
            let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
            let ready = stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true)).and_then(|()| {
                epoll::add(&self.epoll, &stream, EventData::new_u64(index as u64), flags)
                    .map_err(io::Error::from)
            });
            if index == self.connections.len() {
                self.connections.push(None);
            }
            match ready {
                Ok(()) => self.connections[index] = Some(Connection::new(stream)),
                Err(_) => self.free.push(index),
            }
        }
    }

    fn advance(&mut self, index: usize, flags: EventFlags) {
        let Some(slot) = self.connections.get_mut(index) else { return };
        let Some(connection) = slot else { return };
        connection.hangup |= flags.intersects(EventFlags::RDHUP | EventFlags::ERR | EventFlags::HUP);
        connection.readable |= connection.hangup || flags.contains(EventFlags::IN);
        if connection.advance(&self.pages, &mut self.scratch, self.piece).is_err() {
            *slot = None;
            self.free.push(index);
        }
    }
}

enum Phase {
    Head,
    Body { left: u64 },
    Reply { page: Page, sent: usize },
}

#[derive(Clone, Copy)]
enum Page {
    Sized(usize),
    Sink,
    Echo,
    Missing,
}

struct Connection {
    stream: TcpStream,
    phase: Phase,
    page: Page,
    /// Bytes of the head that is being read.
    head: Vec<u8>,
    echo: Vec<u8>,
    close: bool,
    /// False once a read came back short: epoll reports the next edge.
    readable: bool,
    /// The end of the stream is due, which makes no further edge.
    hangup: bool,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        let (head, echo) = (Vec::new(), Vec::new());
        let (phase, page) = (Phase::Head, Page::Missing);
        Self { stream, phase, page, head, echo, close: false, readable: true, hangup: false }
    }

    /// Goes on until the socket would block; an error, or the end, drops the connection.
    fn advance(&mut self, pages: &Pages, scratch: &mut [u8], piece: usize) -> io::Result<()> {
        loop {
            let moved = match self.phase {
                Phase::Head => self.read_head(pages, scratch)?,
                Phase::Body { left } => self.read_body(left, scratch)?,
                Phase::Reply { page, sent } => self.write_reply(pages, page, sent, piece)?,
            };
            if !moved {
                return Ok(());
            }
        }
    }

    fn read_head(&mut self, pages: &Pages, scratch: &mut [u8]) -> io::Result<bool> {
        let Some(count) = self.read(&mut scratch[..MAX_HEAD])? else { return Ok(false) };
        self.head.extend_from_slice(&scratch[..count]);
        let Some(request) = http::request_head(&self.head).map_err(io::Error::other)? else {
            return Ok(true);
        };
        self.page = match pages.sized.iter().position(|(path, _)| *path == request.path) {
            Some(index) => Page::Sized(index),
            None if request.path == b"/sink" => Page::Sink,
            None if request.path == b"/echo" => Page::Echo,
            None => Page::Missing,
        };
        if matches!(self.page, Page::Echo) {
            self.echo = response("200 OK", &self.head[..request.size]);
        }
        self.close = request.close;
        let early = (self.head.len() - request.size) as u64;
        let left =
            request.length.checked_sub(early).ok_or_else(|| io::Error::other("bytes after the request"))?;
        self.head.clear();
        self.phase = Phase::Body { left };
        Ok(true)
    }

    fn read_body(&mut self, left: u64, scratch: &mut [u8]) -> io::Result<bool> {
        if left == 0 {
            self.phase = Phase::Reply { page: self.page, sent: 0 };
            return Ok(true);
        }
        let limit = usize::try_from(left).unwrap_or(usize::MAX).min(scratch.len());
        let Some(count) = self.read(&mut scratch[..limit])? else { return Ok(false) };
        self.phase = Phase::Body { left: left - count as u64 };
        Ok(true)
    }

    fn write_reply(&mut self, pages: &Pages, page: Page, sent: usize, piece: usize) -> io::Result<bool> {
        let bytes = match page {
            Page::Sized(index) => &pages.sized[index].1,
            Page::Sink => &pages.sink,
            Page::Echo => &self.echo,
            Page::Missing => &pages.missing,
        };
        let end = bytes.len().min(sent.saturating_add(piece));
        match self.stream.write(&bytes[sent..end]) {
            Ok(count) if sent + count < bytes.len() => self.phase = Phase::Reply { page, sent: sent + count },
            Ok(_) if self.close => return Err(ErrorKind::ConnectionAborted.into()),
            Ok(_) => self.phase = Phase::Head,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// Reads once; `None` when there is nothing yet, an error at the end of the stream.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        if !self.readable {
            return Ok(None);
        }
        match self.stream.read(buffer) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.readable = self.hangup || count == buffer.len();
                Ok(Some(count))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
