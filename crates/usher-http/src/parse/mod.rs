//! HTTP/1 head parsing (RFC 9112): strict, incremental, one reading of every byte.
//!
//! What other parsers repair is refused here, as two readers that repair differently are how requests are smuggled:
//! bare CR or LF, folded lines, white space before the colon, control bytes, names that are not tokens. A head is
//! parsed line by line as it arrives; a line that is not complete yet is read again with the next bytes.
//!
//! The answer depends on the bytes alone, not on how they were split into reads: nothing behind a limit is looked at,
//! so a head that is both too long and malformed behind the limit is too long.

mod error;
mod scan;
#[cfg(test)]
mod tests;

use crate::fields::{FieldId, Fields};
use crate::head::{Request, Response, TargetForm, Version};
use crate::method::Method;
pub use error::ParseError;
use scan::name_end;
pub(crate) use scan::{target_end, value_end};

/// What a head may cost (bytes and numbers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// The request line or status line, in bytes.
    pub line: usize,
    /// The whole head, in bytes; at most 1 MiB.
    pub head: usize,
    /// The number of fields.
    pub fields: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { line: 8 << 10, head: 32 << 10, fields: 100 }
    }
}

/// How far a head has been read. One per message; `Default` is the beginning.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadParser {
    /// Where the head starts (behind an empty line that some clients send first).
    start: usize,
    /// Where the line starts that is to be read next.
    at: usize,
    fields: usize,
    first_line_done: bool,
}

impl HeadParser {
    /// Reads a request head from `buf`, which always starts where it started the first time.
    ///
    /// Returns the number of bytes that the head took, or `None` if more are needed. What `request` held before is
    /// gone once its first line is read; its scheme is `http` then, until the caller says otherwise.
    pub fn request(
        &mut self,
        buf: &[u8],
        limits: &HeadLimits,
        request: &mut Request,
    ) -> Result<Option<usize>, ParseError> {
        if !self.first_line_done {
            // RFC 9112 section 2.2: one empty line before the request line is ignored.
            match buf {
                b"\r" => return Ok(None),
                [b'\r', b'\n', ..] if self.at == 0 => (self.start, self.at) = (2, 2),
                _ => {}
            }
            let line = first_line(buf.get(self.at..).unwrap_or_default(), limits);
            let Some(len) = request_line(line, request)? else { return incomplete_line(line, limits) };
            self.at += len;
            self.first_line_done = true;
        }
        self.finish(buf, limits, &mut request.fields)
    }

    /// Reads a response head; as [`HeadParser::request`], but no empty line may come first.
    pub fn response(
        &mut self,
        buf: &[u8],
        limits: &HeadLimits,
        response: &mut Response,
    ) -> Result<Option<usize>, ParseError> {
        if !self.first_line_done {
            let line = first_line(buf, limits);
            let Some(len) = status_line(line, response)? else { return incomplete_line(line, limits) };
            self.at += len;
            self.first_line_done = true;
        }
        self.finish(buf, limits, &mut response.fields)
    }

    /// Reads a trailer section (RFC 9112 section 7.1.2): field lines up to an empty line.
    pub fn trailers(
        &mut self,
        buf: &[u8],
        limits: &HeadLimits,
        fields: &mut Fields,
    ) -> Result<Option<usize>, ParseError> {
        if self.at == 0 {
            fields.clear();
        }
        self.first_line_done = true;
        self.finish(buf, limits, fields)
    }

    fn finish(
        &mut self,
        buf: &[u8],
        limits: &HeadLimits,
        fields: &mut Fields,
    ) -> Result<Option<usize>, ParseError> {
        let most = limits.head.saturating_add(self.start);
        let head = buf.get(..most).unwrap_or(buf);
        match self.field_lines(head, limits, fields) {
            Ok(Some(end)) => {
                fields.fill(head.get(self.start..end).unwrap_or_default());
                Ok(Some(end))
            }
            Ok(None) if head.len() < most => Ok(None),
            refused => {
                // The index speaks of bytes that were not taken over.
                fields.clear();
                Err(refused.err().unwrap_or(ParseError::HeadTooLarge))
            }
        }
    }

    fn field_lines(
        &mut self,
        buf: &[u8],
        limits: &HeadLimits,
        fields: &mut Fields,
    ) -> Result<Option<usize>, ParseError> {
        // In locals: what is reached through a reference is written back with each line.
        let (start, mut at, mut count) = (self.start, self.at, self.fields);
        let end = loop {
            let line = buf.get(at..).unwrap_or_default();
            match line {
                [b'\r', b'\n', ..] => break Some(at + 2),
                [] | [b'\r'] => break None,
                [b'\n', ..] => return Err(ParseError::BareLf),
                [b' ' | b'\t', ..] => return Err(ParseError::Folded),
                _ => {}
            }
            let Some(parsed) = field_line(line)? else { break None };
            if count == limits.fields {
                return Err(ParseError::TooManyFields);
            }
            count += 1;
            let base = at - start;
            let name = &line[..parsed.name];
            let id = FieldId::of(name);
            if id == FieldId::Other {
                fields.note_other(name);
            }
            let value = (base + parsed.value.0, base + parsed.value.1);
            fields.index(base, parsed.name, value, base + parsed.end, id);
            at += parsed.end;
        };
        (self.at, self.fields) = (at, count);
        Ok(end)
    }
}

/// As much of the first line as may be looked at: its limit, and CRLF.
fn first_line<'a>(line: &'a [u8], limits: &HeadLimits) -> &'a [u8] {
    line.get(..limits.line.saturating_add(2)).unwrap_or(line)
}

/// A first line without its end: too long, if no more of it may be looked at.
fn incomplete_line(line: &[u8], limits: &HeadLimits) -> Result<Option<usize>, ParseError> {
    if line.len() < limits.line.saturating_add(2) { Ok(None) } else { Err(ParseError::LineTooLong) }
}

/// Names longer than this are refused (bytes); no registered name is near it.
pub(crate) const MAX_NAME: usize = 1024;

/// A field line; offsets from its start.
struct FieldLine {
    name: usize,
    value: (usize, usize),
    end: usize,
}

#[inline]
fn field_line(line: &[u8]) -> Result<Option<FieldLine>, ParseError> {
    let name = name_end(line);
    if name > MAX_NAME {
        return Err(ParseError::FieldName);
    }
    match line.get(name) {
        None => return Ok(None),
        Some(b':') if name > 0 => {}
        Some(_) => return Err(ParseError::FieldName),
    }
    let stop = name + 1 + value_end(&line[name + 1..]);
    if !ends_in_crlf(line, stop)? {
        return Ok(None);
    }
    Ok(Some(FieldLine { name, value: trim(line, name + 1, stop), end: stop + 2 }))
}

/// Whether CR LF stands at `stop`, the first byte that could not be part of the line; false if more bytes are needed.
#[inline]
fn ends_in_crlf(line: &[u8], stop: usize) -> Result<bool, ParseError> {
    match (line.get(stop), line.get(stop + 1)) {
        (Some(b'\r'), Some(b'\n')) => Ok(true),
        (None, _) | (Some(b'\r'), None) => Ok(false),
        (Some(b'\n'), _) => Err(ParseError::BareLf),
        _ => Err(ParseError::FieldValue),
    }
}

/// The span without spaces and tabs at its ends.
#[inline]
fn trim(line: &[u8], mut from: usize, mut to: usize) -> (usize, usize) {
    // One space before and none behind: what nearly every line has.
    if let Some([b' ', first, .., last]) = line.get(from..to)
        && *first > b' '
        && *last > b' '
    {
        return (from + 1, to);
    }
    while from < to && matches!(line[from], b' ' | b'\t') {
        from += 1;
    }
    while from < to && matches!(line[to - 1], b' ' | b'\t') {
        to -= 1;
    }
    (from, to)
}

/// Reads `METHOD SP TARGET SP VERSION CRLF`; returns its length with CRLF.
fn request_line(line: &[u8], request: &mut Request) -> Result<Option<usize>, ParseError> {
    let method = name_end(line);
    match line.get(method) {
        None if method <= MAX_METHOD => return Ok(None),
        Some(b' ') if (1..=MAX_METHOD).contains(&method) => {}
        _ => return Err(ParseError::RequestLine),
    }
    let from = method + 1;
    let to = from + target_end(&line[from..]);
    match line.get(to) {
        None => return Ok(None),
        Some(b' ') if to > from => {}
        Some(b' ' | b'\r' | b'\n') => return Err(ParseError::RequestLine),
        Some(_) => return Err(ParseError::Target),
    }
    let Some(version) = version(&line[to + 1..])? else { return Ok(None) };
    let end = to + 1 + VERSION_LEN;
    match (line.get(end), line.get(end + 1)) {
        (Some(b'\r'), Some(b'\n')) => {}
        (None, _) | (Some(b'\r'), None) => return Ok(None),
        (Some(b'\n'), _) => return Err(ParseError::BareLf),
        _ => return Err(ParseError::RequestLine),
    }
    let method = Method::from_token(&line[..method]);
    let form = target_form(&method, &line[from..to])?;
    request.clear();
    (request.method, request.version, request.form) = (method, version, form);
    request.target = (from as u32, to as u32);
    Ok(Some(end + 2))
}

/// The longest method that is read (bytes); the longest registered is 17.
pub(crate) const MAX_METHOD: usize = 32;
const VERSION_LEN: usize = 8;

/// Reads `HTTP/1.x`; `None` if more bytes are needed to tell.
fn version(bytes: &[u8]) -> Result<Option<Version>, ParseError> {
    let have = &bytes[..bytes.len().min(VERSION_LEN)];
    match have {
        b"HTTP/1.1" => return Ok(Some(Version::Http11)),
        b"HTTP/1.0" => return Ok(Some(Version::Http10)),
        _ => {}
    }
    let fits = have.iter().zip(b"HTTP/0.0").all(|(&byte, &form)| match form {
        b'0' => byte.is_ascii_digit(),
        _ => byte == form,
    });
    match (fits, have.len()) {
        (true, VERSION_LEN) => Err(ParseError::Version),
        (true, _) => Ok(None),
        (false, _) => Err(ParseError::RequestLine),
    }
}

/// Which form a target has, and whether its method allows it (RFC 9112 section 3.2).
fn target_form(method: &Method, target: &[u8]) -> Result<TargetForm, ParseError> {
    match (target, method) {
        (_, Method::Connect) => Ok(TargetForm::Authority),
        ([b'/', ..], _) => Ok(TargetForm::Origin),
        (b"*", Method::Options) => Ok(TargetForm::Asterisk),
        _ if target.len() > 7 && target[..7].eq_ignore_ascii_case(b"http://") => Ok(TargetForm::Absolute),
        _ if target.len() > 8 && target[..8].eq_ignore_ascii_case(b"https://") => Ok(TargetForm::Absolute),
        _ => Err(ParseError::Target),
    }
}

/// Reads `VERSION SP 3DIGIT SP REASON CRLF`; the space before an empty reason may be missing, as many servers do.
fn status_line(line: &[u8], response: &mut Response) -> Result<Option<usize>, ParseError> {
    let version = match version(line) {
        Ok(Some(version)) => version,
        Ok(None) => return Ok(None),
        Err(_) => return Err(ParseError::StatusLine),
    };
    let Some(rest) = line.get(VERSION_LEN..VERSION_LEN + 5) else { return Ok(None) };
    let [b' ', a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', after] = *rest else {
        return Err(ParseError::StatusLine);
    };
    let from = VERSION_LEN + 4;
    let stop = match after {
        b' ' => from + value_end(&line[from..]),
        b'\r' => from,
        _ => return Err(ParseError::StatusLine),
    };
    if !ends_in_crlf(line, stop).map_err(|_| ParseError::StatusLine)? {
        return Ok(None);
    }
    response.clear();
    response.version = version;
    response.status = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
    let reason = trim(line, from, stop);
    response.reason = (reason.0 as u32, reason.1 as u32);
    Ok(Some(stop + 2))
}
