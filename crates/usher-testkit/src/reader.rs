//! A strict reader of HTTP/1 messages (RFC 9112): every line ends in CRLF, one framing, no repair.

use crate::connection::Connection;
use crate::message::{Field, Fields, Framing, Message, Request, Response};
use crate::show::visible;
use crate::{Error, Result};
use std::time::Instant;

/// Longest line and longest head that are read.
const MAX_HEAD_BYTES: usize = 4 * 1024 * 1024;

/// Which message is read: it decides what the absence of framing fields means.
#[derive(Clone, Copy)]
pub(crate) enum Expecting<'a> {
    Request,
    Response { method: &'a str, status: u16 },
}

/// A view of a connection that remembers every byte it took.
pub(crate) struct Raw<'a> {
    connection: &'a mut Connection,
    deadline: Instant,
    raw: Vec<u8>,
}

impl<'a> Raw<'a> {
    pub(crate) fn new(connection: &'a mut Connection, deadline: Instant) -> Self {
        Self { connection, deadline, raw: Vec::new() }
    }

    /// One line without its CRLF.
    pub(crate) fn line(&mut self) -> Result<Vec<u8>> {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            if line.len() > MAX_HEAD_BYTES || self.raw.len() > MAX_HEAD_BYTES {
                return Err(Error::malformed(format!("more than {MAX_HEAD_BYTES} bytes of head")));
            }
            let filled = self.connection.fill(self.deadline);
            filled.map_err(|error| error.with_received(&[&self.raw[..], &line[..]].concat()))?;
            line.extend_from_slice(&self.connection.take_to_lf());
        }
        self.raw.extend_from_slice(&line);
        match line.strip_suffix(b"\r\n") {
            Some(text) => Ok(text.to_vec()),
            None => Err(self.malformed("a line ends in a bare LF")),
        }
    }

    /// Up to `limit` bytes, at least one.
    fn some(&mut self, limit: usize) -> Result<Vec<u8>> {
        let filled = self.connection.fill(self.deadline);
        filled.map_err(|error| error.with_received(&self.raw))?;
        let bytes = self.connection.take(limit);
        self.raw.extend_from_slice(&bytes);
        Ok(bytes)
    }

    fn malformed(&self, what: &str) -> Error {
        Error::malformed(what).with_received(&self.raw)
    }

    /// A header or trailer section up to its empty line (RFC 9112 section 5).
    fn fields(&mut self, fields: &mut Fields) -> Result<()> {
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(());
            }
            match parse_field(&line) {
                Some(field) => fields.0.push(field),
                None => return Err(self.malformed(&format!("not a field line: `{}`", visible(&line)))),
            }
        }
    }
}

fn parse_field(line: &[u8]) -> Option<Field> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
    let is_text = |&byte: &u8| byte == b'\t' || (byte >= 0x20 && byte != 0x7f);
    if name.is_empty() || !name.iter().all(|&byte| is_token(byte)) || !value.iter().all(is_text) {
        return None;
    }
    let value = value.trim_ascii();
    Some(Field { name: text(name), value: text(value) })
}

/// A `tchar` (RFC 9110 section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn is_version(version: &str) -> bool {
    matches!(version, "HTTP/1.1" | "HTTP/1.0")
}

/// The request line and the fields (RFC 9112 section 3).
pub(crate) fn read_request_head(
    connection: &mut Connection,
    deadline: Instant,
    request: &mut Request,
) -> Result<()> {
    let mut raw = Raw::new(connection, deadline);
    let line = text(&raw.line()?);
    let parts: Vec<&str> = line.split(' ').collect();
    let [method, target, version] = parts[..] else {
        return Err(raw.malformed("not a request line: three parts with single spaces are due"));
    };
    if method.is_empty() || !method.bytes().all(is_token) || target.is_empty() || !is_version(version) {
        return Err(raw.malformed("not a request line"));
    }
    (request.method, request.target, request.version) = (method.into(), target.into(), version.into());
    let outcome = raw.fields(&mut request.message.fields);
    request.message.raw = raw.raw;
    request.message.line = line;
    outcome
}

/// The status line and the fields (RFC 9112 section 4).
pub(crate) fn read_response_head(
    connection: &mut Connection,
    deadline: Instant,
    response: &mut Response,
) -> Result<()> {
    let mut raw = Raw::new(connection, deadline);
    let line = text(&raw.line()?);
    let mut parts = line.splitn(3, ' ');
    let (version, status, reason) = (parts.next(), parts.next(), parts.next());
    let (Some(version), Some(status), Some(reason)) = (version, status, reason) else {
        return Err(raw.malformed("not a status line: version, status and a space are due"));
    };
    let is_status = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
    let Some(code) = status.parse().ok().filter(|_| is_status && is_version(version)) else {
        return Err(raw.malformed("not a status line"));
    };
    (response.version, response.status, response.reason) = (version.into(), code, reason.into());
    let outcome = raw.fields(&mut response.message.fields);
    response.message.raw = raw.raw;
    response.message.line = line;
    outcome
}

/// The body and the trailers of a message whose head has been read into `message`.
pub(crate) fn read_body(
    connection: &mut Connection,
    deadline: Instant,
    expecting: Expecting<'_>,
    message: &mut Message,
) -> Result<()> {
    let (framing, length) = framing(expecting, &message.fields)
        .map_err(|what| Error::malformed(what).with_received(&message.raw))?;
    message.framing = framing;
    let raw = std::mem::take(&mut message.raw);
    let mut raw = Raw { connection, deadline, raw };
    let outcome = match framing {
        Framing::None => Ok(()),
        Framing::Length => read_counted(&mut raw, length, &mut message.body),
        Framing::Chunked => read_chunked(&mut raw, message),
        Framing::Close => read_to_close(&mut raw, &mut message.body),
    };
    message.raw = raw.raw;
    outcome
}

/// RFC 9112 section 6.3, without its leniencies.
fn framing(expecting: Expecting<'_>, fields: &Fields) -> std::result::Result<(Framing, u64), String> {
    let lengths: Vec<&str> = fields.all("Content-Length").collect();
    let codings: Vec<&str> = fields.all("Transfer-Encoding").collect();
    if let Expecting::Response { method, status } = expecting {
        let bodiless = method == "HEAD" || status < 200 || status == 204 || status == 304;
        if bodiless || (method == "CONNECT" && status < 300) {
            return Ok((Framing::None, 0));
        }
    }
    match (&codings[..], &lengths[..]) {
        ([], []) => match expecting {
            Expecting::Request => Ok((Framing::None, 0)),
            Expecting::Response { .. } => Ok((Framing::Close, 0)),
        },
        ([coding], []) if coding.eq_ignore_ascii_case("chunked") => Ok((Framing::Chunked, 0)),
        ([], [length]) if !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit()) => {
            let count = length.parse().map_err(|_| format!("Content-Length `{length}` is too large"))?;
            Ok((Framing::Length, count))
        }
        _ => Err(format!("framing: Transfer-Encoding {codings:?}, Content-Length {lengths:?}")),
    }
}

fn read_counted(raw: &mut Raw<'_>, mut left: u64, body: &mut Vec<u8>) -> Result<()> {
    while left > 0 {
        let bytes = raw.some(usize::try_from(left).unwrap_or(usize::MAX))?;
        left -= bytes.len() as u64;
        body.extend_from_slice(&bytes);
    }
    Ok(())
}

fn read_to_close(raw: &mut Raw<'_>, body: &mut Vec<u8>) -> Result<()> {
    loop {
        match raw.some(usize::MAX) {
            Ok(bytes) => body.extend_from_slice(&bytes),
            Err(error) if error.kind == crate::Kind::Closed => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// RFC 9112 section 7.1.
fn read_chunked(raw: &mut Raw<'_>, message: &mut Message) -> Result<()> {
    loop {
        let line = raw.line()?;
        let Some(size) = chunk_size(&line) else {
            return Err(raw.malformed(&format!("not a chunk size: `{}`", visible(&line))));
        };
        if size == 0 {
            return raw.fields(&mut message.trailers);
        }
        read_counted(raw, size, &mut message.body)?;
        if !raw.line()?.is_empty() {
            return Err(raw.malformed("a chunk is longer than its size says"));
        }
    }
}

fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|&byte| byte == b';').next()?;
    if digits.is_empty() || digits.len() > 16 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests;
