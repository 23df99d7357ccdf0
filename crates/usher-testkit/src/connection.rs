//! One connection of the kit: sends bytes exactly as given, buffers what comes, and never waits past a deadline.

use crate::message::{Request, Response};
use crate::reader::{self, Expecting};
use crate::stream::{Cancel, Stream};
use crate::{CANCEL_CHECK, DEFAULT_TIMEOUT, Error, Kind, Result, lock};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Bytes asked of the socket at a time.
const READ_BYTES: usize = 64 * 1024;

/// Most bytes that one message, or one wait for the close, may bring.
const MAX_RECEIVED_BYTES: usize = 256 * 1024 * 1024;

/// How a peer ended its side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Closed,
    Reset,
}

/// A connected socket with a strict HTTP/1 reader. Each operation waits at most [`Connection::set_timeout`].
#[derive(Debug)]
pub struct Connection {
    stream: Option<Stream>,
    local: Option<SocketAddr>,
    unread: Vec<u8>,
    consumed: usize,
    end: Option<End>,
    record: Option<Arc<Mutex<Vec<u8>>>>,
    cancel: Cancel,
    timeout: Duration,
    pieces: Option<(usize, Duration)>,
}

impl Connection {
    pub(crate) fn new(stream: Stream, cancel: Cancel) -> Self {
        let local = stream.local_addr();
        Self {
            stream: Some(stream),
            local,
            unread: Vec::new(),
            consumed: 0,
            end: None,
            record: None,
            cancel,
            timeout: DEFAULT_TIMEOUT,
            pieces: None,
        }
    }

    pub(crate) fn connect(address: &str, from: Option<IpAddr>, cancel: Cancel) -> Result<Self> {
        Ok(Self::new(Stream::connect(address, from, DEFAULT_TIMEOUT)?, cancel))
    }

    pub(crate) fn recording(mut self, record: Arc<Mutex<Vec<u8>>>) -> Self {
        self.record = Some(record);
        self
    }

    /// This side's address; `None` for a Unix socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.local
    }

    /// The longest that each following operation may take.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Writes everything that follows in pieces of `size` bytes with `pause` between them; a `size` of zero ends that.
    pub fn set_pieces(&mut self, size: usize, pause: Duration) {
        self.pieces = (size > 0).then_some((size, pause));
    }

    /// Sends bytes exactly as given.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        let bytes = bytes.as_ref();
        let Some((size, pause)) = self.pieces else { return self.write(bytes) };
        for piece in bytes.chunks(size) {
            self.write(piece)?;
            std::thread::sleep(pause);
        }
        Ok(())
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        let deadline = Instant::now() + self.timeout;
        while !bytes.is_empty() {
            let stream = open(&mut self.stream)?;
            stream.set_timeouts(CANCEL_CHECK).map_err(|error| Error::io("setting a timeout", &error))?;
            match stream.write(bytes) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(error) if is_pause(error.kind()) => self.still_waiting("sending", deadline)?,
                Err(error) => return Err(Error::io("sending", &error)),
            }
        }
        Ok(())
    }

    /// Ends this side's sending (FIN); reading goes on.
    pub fn shutdown_write(&mut self) -> Result<()> {
        let stream = open(&mut self.stream)?;
        stream.shutdown(Shutdown::Write).map_err(|error| Error::io("shutting down", &error))
    }

    /// Closes the connection in order.
    pub fn close(&mut self) {
        self.stream = None;
    }

    /// Ends the connection by a reset.
    pub fn reset(&mut self) -> Result<()> {
        match self.stream.take() {
            Some(stream) => stream.reset().map_err(|error| Error::io("resetting", &error)),
            None => Ok(()),
        }
    }

    /// Reads one request, body and trailers included; `Kind::Malformed` for what RFC 9112 does not allow.
    pub fn read_request(&mut self) -> Result<Request> {
        let deadline = Instant::now() + self.timeout;
        let mut request = Request::default();
        reader::read_request_head(self, deadline, &mut request)?;
        reader::read_body(self, deadline, Expecting::Request, &mut request.message)?;
        Ok(request)
    }

    /// Reads the head of one request and leaves its body unread.
    pub fn read_request_head(&mut self) -> Result<Request> {
        let deadline = Instant::now() + self.timeout;
        let mut request = Request::default();
        reader::read_request_head(self, deadline, &mut request)?;
        Ok(request)
    }

    /// Reads one response to a request of that method (RFC 9112 section 6.3); an interim one (1xx) counts as one.
    pub fn read_response_to(&mut self, method: &str) -> Result<Response> {
        let (response, outcome) = self.read_partial_response(method);
        outcome.map(|()| response)
    }

    /// Reads one response to a request that is neither HEAD nor CONNECT.
    pub fn read_response(&mut self) -> Result<Response> {
        self.read_response_to("GET")
    }

    /// Reads the head of one response and leaves its body unread.
    pub fn read_response_head(&mut self) -> Result<Response> {
        let deadline = Instant::now() + self.timeout;
        let mut response = Response::default();
        reader::read_response_head(self, deadline, &mut response)?;
        Ok(response)
    }

    /// As [`Connection::read_response_to`], and what had arrived when that fails.
    pub fn read_partial_response(&mut self, method: &str) -> (Response, Result<()>) {
        let deadline = Instant::now() + self.timeout;
        let mut response = Response::default();
        let mut outcome = reader::read_response_head(self, deadline, &mut response);
        if outcome.is_ok() {
            let expecting = Expecting::Response { method, status: response.status };
            outcome = reader::read_body(self, deadline, expecting, &mut response.message);
        }
        (response, outcome)
    }

    /// Reads a line that ends in CRLF; it is returned without it.
    pub fn read_line(&mut self) -> Result<Vec<u8>> {
        let deadline = Instant::now() + self.timeout;
        reader::Raw::new(self, deadline).line()
    }

    /// Reads exactly `count` bytes.
    pub fn read_exact(&mut self, count: usize) -> Result<Vec<u8>> {
        let deadline = Instant::now() + self.timeout;
        let mut bytes = Vec::new();
        while bytes.len() < count {
            if let Err(error) = self.fill(deadline) {
                return Err(error.with_received(&bytes));
            }
            bytes.extend_from_slice(&self.take(count - bytes.len()));
        }
        Ok(bytes)
    }

    /// Reads until the peer ends its side; a reset is an error.
    pub fn read_until_close(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match self.read_to_end(&mut bytes) {
            Err(error) if error.kind == Kind::Closed => Ok(bytes),
            Err(error) => Err(error.with_received(&bytes)),
            Ok(()) => Ok(bytes),
        }
    }

    /// Reads into `bytes` until the end, which it returns as an error of kind `Closed` or `Reset`.
    pub(crate) fn read_to_end(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        let deadline = Instant::now() + self.timeout;
        while bytes.len() < MAX_RECEIVED_BYTES {
            self.fill(deadline)?;
            bytes.extend_from_slice(&self.take(usize::MAX));
        }
        Err(Error::malformed(format!("more than {MAX_RECEIVED_BYTES} bytes came")))
    }

    /// Waits for the peer to end the connection, in order or by reset; any byte before that is an error.
    pub fn expect_close(&mut self) -> Result<()> {
        let deadline = Instant::now() + self.timeout;
        match self.fill(deadline) {
            Err(error) if error.is_end() => Ok(()),
            Err(error) => Err(Error::new(error.kind, format!("waiting for the close: {}", error.message))),
            Ok(()) => {
                let received = self.take(usize::MAX);
                Err(Error::malformed("bytes came where the close was expected").with_received(&received))
            }
        }
    }

    /// Sends back whatever comes until the peer ends its side; returns the number of bytes.
    pub fn echo(&mut self) -> Result<usize> {
        let mut count = 0;
        loop {
            match self.fill(Instant::now() + self.timeout) {
                Ok(()) => {}
                Err(error) if error.kind == Kind::Closed => return Ok(count),
                Err(error) => return Err(error),
            }
            let bytes = self.take(usize::MAX);
            count += bytes.len();
            self.write(&bytes)?;
        }
    }

    /// Makes at least one unread byte available, or says why there is none.
    pub(crate) fn fill(&mut self, deadline: Instant) -> Result<()> {
        if self.consumed < self.unread.len() {
            return Ok(());
        }
        self.unread.clear();
        self.consumed = 0;
        let mut buffer = vec![0; READ_BYTES];
        while self.end.is_none() {
            let stream = open(&mut self.stream)?;
            stream.set_timeouts(CANCEL_CHECK).map_err(|error| Error::io("setting a timeout", &error))?;
            match stream.read(&mut buffer) {
                Ok(0) => self.end = Some(End::Closed),
                Ok(count) => {
                    let bytes = buffer.get(..count).unwrap_or_default();
                    if let Some(record) = &self.record {
                        lock(record).extend_from_slice(bytes);
                    }
                    self.unread.extend_from_slice(bytes);
                    return Ok(());
                }
                Err(error) if is_pause(error.kind()) => self.still_waiting("receiving", deadline)?,
                Err(error) if is_reset(error.kind()) => self.end = Some(End::Reset),
                Err(error) => return Err(Error::io("receiving", &error)),
            }
        }
        Err(match self.end {
            Some(End::Reset) => Error::new(Kind::Reset, "the peer reset the connection"),
            _ => Error::new(Kind::Closed, "the peer closed the connection"),
        })
    }

    /// Up to `limit` unread bytes, without waiting.
    pub(crate) fn take(&mut self, limit: usize) -> Vec<u8> {
        let end = self.consumed.saturating_add(limit).min(self.unread.len());
        let bytes = self.unread.get(self.consumed..end).unwrap_or_default().to_vec();
        self.consumed = end;
        bytes
    }

    /// Unread bytes up to and including the first LF, or all of them.
    pub(crate) fn take_to_lf(&mut self) -> Vec<u8> {
        let unread = self.unread.get(self.consumed..).unwrap_or_default();
        let count = unread.iter().position(|&byte| byte == b'\n').map_or(unread.len(), |at| at + 1);
        self.take(count)
    }

    fn still_waiting(&self, doing: &str, deadline: Instant) -> Result<()> {
        if self.cancel.is_raised() {
            return Err(Error::new(Kind::Cancelled, format!("{doing}: the test ended")));
        }
        if Instant::now() >= deadline {
            return Err(Error::new(Kind::Timeout, format!("{doing}: not done within {:?}", self.timeout)));
        }
        Ok(())
    }
}

fn open(stream: &mut Option<Stream>) -> Result<&mut Stream> {
    stream.as_mut().ok_or_else(|| Error::usage("this side has closed the connection already"))
}

fn is_pause(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

fn is_reset(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted)
}
