//! One client connection: a request out, a response in and verified, never blocking.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use rustix::event::epoll::EventFlags;

use super::Job;
use super::tls::Session;
use crate::http::{self, ResponseHead};

/// What became of a connection when it went on as far as it could.
pub(super) enum Step {
    /// The socket has nothing more for now.
    Pending,
    /// The response is complete.
    Done {
        /// Whether the connection takes another request.
        reusable: bool,
    },
}

enum Phase {
    Idle,
    Sending {
        sent: usize,
    },
    Head,
    Body {
        left: u64,
        close: bool,
    },
    /// The response is complete and the server said that it closes.
    Ending,
}

pub(super) struct Connection {
    stream: TcpStream,
    tls: Option<Box<Session>>,
    phase: Phase,
    /// Bytes of a head that came in pieces.
    head: Vec<u8>,
    /// False once a read came back short: epoll reports the next edge.
    readable: bool,
    /// The end of the stream is due, which makes no further edge.
    hangup: bool,
}

impl Connection {
    /// Starts to connect; the first write waits for the handshake, and begins that of `tls`.
    pub(super) fn open(
        target: SocketAddr,
        source: Option<Ipv4Addr>,
        tls: Option<Box<Session>>,
    ) -> io::Result<Self> {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if let Some(source) = source {
            socket.bind(&SocketAddr::from((source, 0)).into())?;
        }
        match socket.connect(&target.into()) {
            Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
                return Err(error);
            }
            _ => {}
        }
        let stream = socket.into();
        Ok(Self { stream, tls, phase: Phase::Idle, head: Vec::new(), readable: false, hangup: false })
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Whether a request is under way.
    pub(super) fn busy(&self) -> bool {
        !matches!(self.phase, Phase::Idle)
    }

    /// Notes what epoll saw.
    pub(super) fn mark(&mut self, flags: EventFlags) {
        self.hangup |= flags.intersects(EventFlags::RDHUP | EventFlags::ERR | EventFlags::HUP);
        self.readable |= self.hangup || flags.contains(EventFlags::IN);
    }

    /// Sends a request, as far as the socket takes it.
    pub(super) fn send(&mut self, job: &Job) -> io::Result<()> {
        self.phase = Phase::Sending { sent: 0 };
        self.write(job, 0).map(|_| ())
    }

    /// Goes on until the socket would block or the response is complete.
    pub(super) fn advance(&mut self, job: &Job, scratch: &mut [u8]) -> io::Result<Step> {
        if let (true, Some(tls)) = (self.busy(), &mut self.tls) {
            tls.flush(&mut self.stream)?;
        }
        loop {
            let moved = match self.phase {
                Phase::Idle if self.hangup => return Err(io::Error::other("closed while idle")),
                Phase::Idle => return Ok(Step::Pending),
                Phase::Sending { sent } => self.write(job, sent)?,
                Phase::Head => self.read_head(job, scratch)?,
                Phase::Body { left: 0, close: true } => {
                    self.phase = Phase::Ending;
                    true
                }
                Phase::Body { left: 0, .. } => {
                    self.phase = Phase::Idle;
                    return Ok(Step::Done { reusable: true });
                }
                Phase::Body { left, close } => self.read_body(left, close, scratch)?,
                Phase::Ending => match self.read(&mut scratch[..1]) {
                    Ok(Some(0)) => return Ok(Step::Done { reusable: false }),
                    // Without close_notify: that nothing is missing is known from the length.
                    Err(_) if self.tls.is_some() => return Ok(Step::Done { reusable: false }),
                    Ok(Some(_)) => return Err(io::Error::other("bytes after the response")),
                    Ok(None) => false,
                    Err(error) => return Err(error),
                },
            };
            if !moved {
                return Ok(Step::Pending);
            }
        }
    }

    fn write(&mut self, job: &Job, sent: usize) -> io::Result<bool> {
        let written = match &mut self.tls {
            Some(tls) => tls.write(&mut self.stream, &job.request[sent..]),
            None => self.stream.write(&job.request[sent..]),
        };
        match written {
            Ok(count) if sent + count < job.request.len() => {
                self.phase = Phase::Sending { sent: sent + count }
            }
            Ok(_) => self.phase = Phase::Head,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    fn read_head(&mut self, job: &Job, scratch: &mut [u8]) -> io::Result<bool> {
        let Some(count) = self.read(scratch)? else { return Ok(false) };
        if count == 0 {
            return Err(io::Error::other("closed before the response"));
        }
        let whole = self.head.is_empty();
        if !whole {
            self.head.extend_from_slice(&scratch[..count]);
        }
        let bytes = if whole { &scratch[..count] } else { &self.head[..] };
        match http::response_head(bytes).map_err(io::Error::other)? {
            Some(head) => {
                if let Some(tls) = &self.tls {
                    tls.check()?;
                }
                self.phase = begin_body(&head, &bytes[head.size..], job)?;
                self.head.clear();
            }
            None if whole => self.head.extend_from_slice(&scratch[..count]),
            None => {}
        }
        Ok(true)
    }

    fn read_body(&mut self, left: u64, close: bool, scratch: &mut [u8]) -> io::Result<bool> {
        let limit = usize::try_from(left).unwrap_or(usize::MAX).min(scratch.len());
        let Some(count) = self.read(&mut scratch[..limit])? else { return Ok(false) };
        if count == 0 {
            return Err(io::Error::other(format!("closed with {left} bytes of the body to come")));
        }
        self.phase = Phase::Body { left: left - count as u64, close };
        Ok(true)
    }

    /// Reads once: `None` when there is nothing yet, `Some(0)` at the end.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        if !self.readable {
            return Ok(None);
        }
        let read = match &mut self.tls {
            Some(tls) => tls.read(&mut self.stream, buffer),
            None => self.stream.read(buffer),
        };
        match read {
            Ok(count) => {
                // A short read over TLS is a record's end, not the socket's.
                self.readable = self.hangup || count == buffer.len() || self.tls.is_some();
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

/// Checks the head and the first bytes of the body.
fn begin_body(head: &ResponseHead, body: &[u8], job: &Job) -> io::Result<Phase> {
    if head.status != 200 {
        return Err(io::Error::other(format!("status {}", head.status)));
    }
    if head.length != Some(job.body.len() as u64) {
        let expected = job.body.len();
        return Err(io::Error::other(format!("Content-Length {:?} instead of {expected}", head.length)));
    }
    if !job.body.starts_with(body) {
        return Err(io::Error::other("the body has other bytes than the endpoint sent"));
    }
    if job.close && !head.close && !job.unannounced {
        return Err(io::Error::other("asked to close, the proxy keeps the connection"));
    }
    Ok(Phase::Body { left: (job.body.len() - body.len()) as u64, close: head.close || job.close })
}
