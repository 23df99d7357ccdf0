//! Heads of requests.

use super::MessageError;
use super::section::{Section, append, is_value};
use crate::fields::{FieldId, is_token};
use crate::framing::{self, Framing};
use crate::head::{Request, TargetForm, Version};
use crate::host::Authority;
use crate::method::Method;
use crate::parse::{HeadLimits, MAX_METHOD, ParseError, target_end};

/// Reads a list of fields into a request head (RFC 9113 section 8.3.1, RFC 9114 section 4.3.1).
///
/// Afterwards the head can be sanitized like one that came over HTTP/1. Its scheme is `http` until the caller says what
/// the connection's is: the client's word on it is checked and forgotten.
#[derive(Debug)]
pub struct RequestBuilder<'a> {
    request: &'a mut Request,
    section: Section,
    /// Pseudo-fields that came.
    seen: u8,
    /// A field came that is no pseudo-field.
    regular: bool,
    /// A `host` field came.
    hosts: bool,
    /// Cookie fields (RFC 9113 section 8.2.3 lets a client split them).
    cookies: u32,
    /// The scheme's usual port.
    port: u16,
}

const METHOD: u8 = 1;
const SCHEME: u8 = 2;
const AUTHORITY: u8 = 4;
const PATH: u8 = 8;
const PROTOCOL: u8 = 16;

fn malformed(phrase: &'static str) -> MessageError {
    MessageError::Malformed(phrase)
}

impl<'a> RequestBuilder<'a> {
    /// Begins a head; what `request` held is gone.
    pub fn new(request: &'a mut Request, version: Version, limits: &HeadLimits) -> Self {
        request.clear();
        request.version = version;
        let section = Section::new(limits);
        Self { request, section, seen: 0, regular: false, hosts: false, cookies: 0, port: 443 }
    }

    /// Takes the next field.
    ///
    /// # Errors
    /// When it exceeds a limit, or makes the message malformed. What follows an error is of no use.
    #[inline]
    pub fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), MessageError> {
        if let Some(pseudo) = name.strip_prefix(b":") {
            return self.pseudo(pseudo, value);
        }
        self.section.count(name, value)?;
        self.regular = true;
        let id = self.section.regular(name, value)?;
        // One Cookie field that comes in pieces is one field: browsers have more cookies than other fields.
        if id != FieldId::Cookie || self.cookies == 0 {
            self.section.count_field()?;
        }
        match id {
            FieldId::Cookie => self.cookies += 1,
            FieldId::Host if self.repeats_authority(value)? => return Ok(()),
            _ => {}
        }
        append(&mut self.request.fields, id, name, value);
        Ok(())
    }

    /// Ends the head. `ends` says that no body follows.
    ///
    /// # Errors
    /// When a pseudo-field is missing, or the length of the body is in doubt.
    pub fn finish(mut self, ends: bool) -> Result<(), MessageError> {
        if self.seen & METHOD == 0 {
            return Err(malformed("missing :method"));
        }
        if self.request.method == Method::Connect {
            self.connect()?;
        } else {
            self.target()?;
        }
        if self.cookies > 1 {
            self.request.fields.join(FieldId::Cookie, b"; ");
        }
        self.request.ends = ends;
        match framing::of_request(self.request) {
            Ok(Framing::Length(1..)) if self.seen & PROTOCOL != 0 => Err(malformed("CONNECT with content")),
            Ok(_) => Ok(()),
            Err(error) => Err(malformed(error.as_str())),
        }
    }

    fn pseudo(&mut self, name: &[u8], value: &[u8]) -> Result<(), MessageError> {
        if self.regular {
            return Err(malformed("pseudo-field after a field"));
        }
        let which = match name {
            b"method" => METHOD,
            b"scheme" => SCHEME,
            b"authority" => AUTHORITY,
            b"path" => PATH,
            b"protocol" => PROTOCOL,
            _ => return Err(malformed("unknown pseudo-field")),
        };
        if self.seen & which != 0 {
            return Err(malformed("repeated pseudo-field"));
        }
        self.seen |= which;
        if which == PATH && value.len() > self.section.line() {
            return Err(MessageError::TooLarge(ParseError::LineTooLong));
        }
        self.section.count(name, value)?;
        match which {
            METHOD => self.method(value),
            SCHEME => self.scheme(value),
            AUTHORITY => self.authority(value),
            PATH => self.path(value),
            _ => self.protocol(value),
        }
    }

    fn method(&mut self, value: &[u8]) -> Result<(), MessageError> {
        if value.len() > MAX_METHOD || !is_token(value) {
            return Err(malformed("malformed :method"));
        }
        self.request.method = Method::from_token(value);
        Ok(())
    }

    fn scheme(&mut self, value: &[u8]) -> Result<(), MessageError> {
        if value.eq_ignore_ascii_case(b"http") {
            self.port = 80;
        } else if !value.eq_ignore_ascii_case(b"https") {
            return Err(malformed("unknown :scheme"));
        }
        Ok(())
    }

    /// RFC 9113 section 8.3.1: no userinfo, and not empty.
    fn authority(&mut self, value: &[u8]) -> Result<(), MessageError> {
        if value.is_empty() || !is_value(value) || value.contains(&b'@') {
            return Err(malformed("malformed :authority"));
        }
        self.request.fields.append(FieldId::Host, b"host", value);
        Ok(())
    }

    fn path(&mut self, value: &[u8]) -> Result<(), MessageError> {
        if value.is_empty() || target_end(value) != value.len() {
            return Err(malformed("malformed :path"));
        }
        self.request.target = self.request.fields.append_raw(value);
        Ok(())
    }

    /// Of an extended CONNECT (RFC 8441 section 4). Upgrade cannot come as a field, so it can stand for this.
    fn protocol(&mut self, value: &[u8]) -> Result<(), MessageError> {
        if !is_token(value) {
            return Err(malformed("malformed :protocol"));
        }
        self.request.fields.append(FieldId::Upgrade, b"upgrade", value);
        Ok(())
    }

    /// What a request other than CONNECT must have, and the form of its target.
    fn target(&mut self) -> Result<(), MessageError> {
        if self.seen & PROTOCOL != 0 {
            return Err(malformed(":protocol without CONNECT"));
        }
        if self.seen & SCHEME == 0 {
            return Err(malformed("missing :scheme"));
        }
        if self.seen & PATH == 0 {
            return Err(malformed("missing :path"));
        }
        self.request.form = match self.request.raw_target() {
            [b'/', ..] => TargetForm::Origin,
            b"*" if self.request.method == Method::Options => TargetForm::Asterisk,
            _ => return Err(malformed("malformed :path")),
        };
        Ok(())
    }

    /// CONNECT names an authority and nothing else (RFC 9113 section 8.5). With `:protocol` it is what an upgrade is in
    /// HTTP/1 and looks like one from here on: a GET (RFC 8441 section 5).
    fn connect(&mut self) -> Result<(), MessageError> {
        const EXTENDED: u8 = METHOD | SCHEME | AUTHORITY | PATH | PROTOCOL;
        match self.seen {
            EXTENDED => {
                self.request.method = Method::Get;
                self.request.form = TargetForm::Origin;
                if !self.request.raw_target().starts_with(b"/") {
                    return Err(malformed("malformed :path"));
                }
                Ok(())
            }
            seen if seen == METHOD | AUTHORITY => {
                self.request.form = TargetForm::Authority;
                Ok(())
            }
            _ => Err(malformed("CONNECT with other pseudo-fields than it has")),
        }
    }

    /// Whether a `host` field says the same as `:authority`, so that one of them is enough. A second one is kept: that
    /// there is more than one is for sanitizing to refuse.
    fn repeats_authority(&mut self, value: &[u8]) -> Result<bool, MessageError> {
        let first = !std::mem::replace(&mut self.hosts, true);
        if self.seen & AUTHORITY == 0 || !first {
            return Ok(false);
        }
        let authority = self.request.fields.get(FieldId::Host).unwrap_or_default();
        if is_same(authority, value, self.port) {
            return Ok(true);
        }
        Err(malformed("host is not :authority"))
    }
}

/// Whether two authorities name the same host and port.
fn is_same(one: &[u8], other: &[u8], port: u16) -> bool {
    if one.eq_ignore_ascii_case(other) {
        return true;
    }
    let (Ok(one), Ok(other)) = (Authority::parse(one), Authority::parse(other)) else { return false };
    one.port_or(port) == other.port_or(port)
        && one.lower_into(&mut String::new()) == other.lower_into(&mut String::new())
}
