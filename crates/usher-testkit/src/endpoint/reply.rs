//! What a fake endpoint does after it has read a request: steps, played in order.

use crate::{Connection, Framing, Kind, Request, Result};
use std::time::Duration;

/// One thing to do.
#[derive(Clone, Debug)]
enum Step {
    /// A response of this status, these fields and this body; the body is left out where RFC 9110 has none.
    Answer {
        status: u16,
        fields: Vec<(String, String)>,
        body: Vec<u8>,
    },
    Send(Vec<u8>),
    Pieces {
        bytes: Vec<u8>,
        size: usize,
        pause: Duration,
    },
    Pause(Duration),
    EchoRequest,
    EchoBytes,
    AwaitClose,
    Close,
    Reset,
}

/// What becomes of the connection after a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// The next request is read.
    KeepAlive,
    /// Nothing more happens on it.
    Ended,
}

/// An answer in steps; an empty one says nothing and reads the next request.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    steps: Vec<Step>,
}

impl Reply {
    /// 200 with a body of known length.
    pub fn ok(body: impl AsRef<[u8]>) -> Self {
        Self::status(200, body)
    }

    /// A response of any status with a body of known length.
    pub fn status(status: u16, body: impl AsRef<[u8]>) -> Self {
        Self::default().step(Step::Answer { status, fields: Vec::new(), body: body.as_ref().to_vec() })
    }

    /// Exactly these bytes.
    pub fn bytes(bytes: impl AsRef<[u8]>) -> Self {
        Self::default().then_bytes(bytes)
    }

    /// Exactly these bytes, `size` at a time with `pause` between.
    pub fn pieces(bytes: impl AsRef<[u8]>, size: usize, pause: Duration) -> Self {
        Self::default().step(Step::Pieces { bytes: bytes.as_ref().to_vec(), size, pause })
    }

    /// 200 with a chunked body of these chunks; an empty chunk would end it and is left out.
    pub fn chunked<C: AsRef<[u8]>>(chunks: impl IntoIterator<Item = C>) -> Self {
        let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for chunk in chunks.into_iter().filter(|chunk| !chunk.as_ref().is_empty()) {
            bytes.extend_from_slice(format!("{:x}\r\n", chunk.as_ref().len()).as_bytes());
            bytes.extend_from_slice(chunk.as_ref());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        Self::bytes(bytes)
    }

    /// 200 whose body is the request exactly as it was received.
    pub fn echo() -> Self {
        Self::default().step(Step::EchoRequest)
    }

    /// 101 for this protocol, then every byte sent back until the peer ends its side.
    pub fn upgrade_echo(protocol: &str) -> Self {
        let head =
            format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n");
        Self::bytes(head).step(Step::EchoBytes)
    }

    /// No answer, ever; the connection stays open until the peer ends it.
    pub fn never() -> Self {
        Self::default().step(Step::AwaitClose)
    }

    /// The connection closed without an answer.
    pub fn close() -> Self {
        Self::default().then_close()
    }

    /// The connection reset without an answer.
    pub fn reset() -> Self {
        Self::default().then_reset()
    }

    /// Adds a field to the response made by [`Reply::ok`] or [`Reply::status`].
    pub fn field(mut self, name: &str, value: &str) -> Self {
        if let Some(Step::Answer { fields, .. }) = self.steps.last_mut() {
            fields.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// Then exactly these bytes.
    pub fn then_bytes(self, bytes: impl AsRef<[u8]>) -> Self {
        self.step(Step::Send(bytes.as_ref().to_vec()))
    }

    /// Then a pause.
    pub fn then_pause(self, pause: Duration) -> Self {
        self.step(Step::Pause(pause))
    }

    /// Then the connection is closed.
    pub fn then_close(self) -> Self {
        self.step(Step::Close)
    }

    /// Then the connection is reset.
    pub fn then_reset(self) -> Self {
        self.step(Step::Reset)
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    pub(super) fn play(&self, connection: &mut Connection, request: &Request) -> Result<After> {
        for step in &self.steps {
            match step {
                Step::Answer { status, fields, body } => {
                    connection.send(answer(*status, fields, body, &request.method))?;
                }
                Step::Send(bytes) => connection.send(bytes)?,
                Step::Pieces { bytes, size, pause } => {
                    connection.set_pieces(*size, *pause);
                    let sent = connection.send(bytes);
                    connection.set_pieces(0, Duration::ZERO);
                    sent?;
                }
                Step::Pause(pause) => std::thread::sleep(*pause),
                Step::EchoRequest => connection.send(answer(200, &[], &request.raw, &request.method))?,
                Step::EchoBytes => return connection.echo().map(|_| After::Ended),
                Step::AwaitClose => {
                    let outcome = connection.read_until_close();
                    return outcome.map(|_| After::Ended).or_else(|error| match error.kind {
                        Kind::Reset => Ok(After::Ended),
                        _ => Err(error),
                    });
                }
                Step::Close => return Ok(After::Ended),
                Step::Reset => return connection.reset().map(|()| After::Ended),
            }
        }
        Ok(After::KeepAlive)
    }
}

fn answer(status: u16, fields: &[(String, String)], body: &[u8], method: &str) -> Vec<u8> {
    let framing = if status < 200 || status == 204 { Framing::None } else { Framing::Length };
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if framing == Framing::Length {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    if framing == Framing::Length && method != "HEAD" && status != 304 {
        bytes.extend_from_slice(body);
    }
    bytes
}

fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        400 => "Bad Request",
        404 => "Not Found",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Scripted",
    }
}
