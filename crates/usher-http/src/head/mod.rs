//! Request and response heads.

#[cfg(test)]
mod tests;

use crate::fields::{FieldId, Fields};
use crate::method::Method;

/// The protocol version of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0: connections close unless both sides say otherwise, no chunked coding.
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
    /// HTTP/2
    Http2,
    /// HTTP/3
    Http3,
}

impl Version {
    /// As it is written in a log or on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2.0",
            Self::Http3 => "HTTP/3.0",
        }
    }

    /// As the Via field names it (RFC 9110 section 7.6.3).
    pub fn via(self) -> &'static str {
        match self {
            Self::Http10 => "1.0",
            Self::Http11 => "1.1",
            Self::Http2 => "2",
            Self::Http3 => "3",
        }
    }
}

/// The form of a request target (RFC 9112 section 3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetForm {
    /// `/path?query`
    #[default]
    Origin,
    /// `http://host/path?query`
    Absolute,
    /// `host:port`, for CONNECT only.
    Authority,
    /// `*`, for OPTIONS only.
    Asterisk,
}

/// A request head. The parser fills `method`, `version`, `target` and `fields`; sanitizing fills the rest.
#[derive(Debug, Default)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The version that the sender speaks.
    pub version: Version,
    /// The form of the target as it came.
    pub form: TargetForm,
    /// The scheme that the client used: `http` or `https`.
    pub scheme: &'static str,
    /// The host asked for, in lower case, without port and trailing dot.
    pub host: String,
    /// The host in its normal form, and the port if one was given: what a Host field towards the endpoint says.
    pub authority: String,
    /// The path in its one normal form; what routes match and endpoints receive.
    pub path: String,
    /// The query without `?`; `None` where there is no `?`.
    pub query: Option<String>,
    /// The fields.
    pub fields: Fields,
    /// HTTP/2 and HTTP/3: nothing follows the head.
    pub(crate) ends: bool,
    /// Where the target stands in the fields' buffer.
    pub(crate) target: (u32, u32),
    /// Memory of the last request's query, for the next.
    pub(crate) spare_query: String,
}

/// A query's memory up to this size is kept for the next (bytes).
const KEPT_QUERY: usize = 4 << 10;

impl Request {
    /// Empties the head for the next message and keeps its memory.
    pub fn clear(&mut self) {
        self.method = Method::Get;
        self.version = Version::Http11;
        self.form = TargetForm::Origin;
        self.scheme = "http";
        self.host.clear();
        self.authority.clear();
        self.path.clear();
        if let Some(query) = self.query.take()
            && query.capacity() <= KEPT_QUERY
        {
            self.spare_query = query;
        }
        self.fields.clear();
        self.ends = false;
        self.target = (0, 0);
    }

    /// The request target exactly as it came.
    pub fn raw_target(&self) -> &[u8] {
        self.fields.buffer().get(self.target.0 as usize..self.target.1 as usize).unwrap_or_default()
    }

    /// Writes the head as HTTP/1.1 in origin-form (or asterisk-form), the host first, without the empty line (the
    /// driver adds framing first).
    ///
    /// `host` is what the Host field says. A Host among the fields is left out, and so is what the driver decides.
    pub fn encode(&self, host: &[u8], out: &mut Vec<u8>) {
        let line = self.path.len() + self.query.as_ref().map_or(0, |query| query.len());
        // In one go, with what the driver adds: memory that grows in steps is copied at each.
        out.reserve(line + host.len() + self.fields.buffer().len() + FRAMING);
        out.extend_from_slice(self.method.as_str().as_bytes());
        out.push(b' ');
        if self.form == TargetForm::Asterisk {
            out.push(b'*');
        } else {
            out.extend_from_slice(self.path.as_bytes());
        }
        if let Some(query) = &self.query {
            out.push(b'?');
            out.extend_from_slice(query.as_bytes());
        }
        out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
        out.extend_from_slice(host);
        out.extend_from_slice(b"\r\n");
        self.fields.encode_without(&[FieldId::Host, FieldId::Connection, FieldId::TransferEncoding], out);
    }
}

/// What the constant parts of a head and its framing fields take at most (bytes).
const FRAMING: usize = 192;

/// Fields that a response without a body never has; all but the first no response's own fields have.
const WITHOUT_BODY: [FieldId; 3] = [FieldId::ContentLength, FieldId::Connection, FieldId::TransferEncoding];

/// A response head.
#[derive(Debug, Default)]
pub struct Response {
    /// The version that the sender speaks.
    pub version: Version,
    /// The status code, 100 to 999.
    pub status: u16,
    /// The fields.
    pub fields: Fields,
    /// HTTP/2 and HTTP/3: nothing follows the head.
    pub(crate) ends: bool,
    pub(crate) reason: (u32, u32),
}

impl Response {
    /// Empties the head for the next message and keeps its memory.
    pub fn clear(&mut self) {
        self.version = Version::Http11;
        self.status = 0;
        self.reason = (0, 0);
        self.ends = false;
        self.fields.clear();
    }

    /// The reason phrase as it came; empty for a response that the proxy made.
    pub fn reason(&self) -> &[u8] {
        self.fields.buffer().get(self.reason.0 as usize..self.reason.1 as usize).unwrap_or_default()
    }

    /// Writes the status line and the fields as HTTP/1.1, without the empty line (the driver adds framing first).
    ///
    /// What the driver decides is left out, and a length where there may be none (RFC 9110 section 8.6: 1xx, 204).
    pub fn encode(&self, out: &mut Vec<u8>) {
        let status = self.status;
        let digits =
            [b'0' + (status / 100 % 10) as u8, b'0' + (status / 10 % 10) as u8, b'0' + (status % 10) as u8];
        out.reserve(self.fields.buffer().len() + FRAMING);
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(&digits);
        out.push(b' ');
        let reason = self.reason();
        if reason.is_empty() {
            out.extend_from_slice(
                crate::status::Status::new(status).map_or("", crate::status::Status::reason).as_bytes(),
            );
        } else {
            out.extend_from_slice(reason);
        }
        out.extend_from_slice(b"\r\n");
        match status {
            100..=199 | 204 => self.fields.encode_without(&WITHOUT_BODY, out),
            _ => self.fields.encode_without(&WITHOUT_BODY[1..], out),
        }
    }

    /// Whether the status is 1xx.
    pub fn is_informational(&self) -> bool {
        (100..200).contains(&self.status)
    }

    /// Replaces a field of a known name; the value was checked by the caller.
    pub fn set_known(&mut self, id: FieldId, value: &[u8]) {
        self.fields.remove(id);
        self.fields.push(id, value);
    }
}
