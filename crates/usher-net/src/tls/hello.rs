//! What the first bytes of a connection say (RFC 8446 sections 4.1.2 and 5.1), before anything is answered: which name
//! is asked for, and which protocols. Nothing is allocated.

use std::str;

/// The longest `ClientHello` that is looked at, in bytes of its records. With post-quantum key shares, those of
/// browsers are near 2 KiB; one with a ticket that holds a client's certificates is larger.
pub const MAX_CLIENT_HELLO: usize = 32 << 10;

const HANDSHAKE: u8 = 22;
const MAJOR_VERSION: u8 = 3;
const CLIENT_HELLO: u8 = 1;
/// The longest payload of a record (RFC 8446 section 5.1).
const MAX_RECORD: usize = 1 << 14;
const SERVER_NAME: u16 = 0;
const APPLICATION_PROTOCOLS: u16 = 16;
const HOST_NAME: u8 = 0;
/// The longest name of DNS (RFC 1035 section 2.3.4), with the dot of the root.
const MAX_NAME: usize = 254;
/// The longest list of protocols that is looked at; real ones are near 20 bytes.
const MAX_PROTOCOLS: usize = 512;

/// What the first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "lives on the stack for a moment, and must not allocate")]
pub enum Peek {
    /// Nothing yet: read on.
    NeedMore,
    /// This is not TLS.
    NotTls,
    /// Whom the client wants to talk to, and how.
    Hello(ClientHello),
    /// It begins as TLS does, and is wrong; what.
    Malformed(&'static str),
}

/// What a client wants.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ClientHello {
    name: [u8; MAX_NAME],
    name_len: usize,
    protocols: [u8; MAX_PROTOCOLS],
    protocols_len: usize,
}

impl ClientHello {
    /// The name that is asked for (SNI, RFC 6066 section 3), in lower case; none also for an address, which is no name.
    pub fn server_name(&self) -> Option<&str> {
        let name = self.name.get(..self.name_len)?;
        str::from_utf8(name).ok().filter(|name| !name.is_empty())
    }

    /// The protocols that the client speaks (ALPN, RFC 7301), as it prefers them.
    pub fn alpn(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.protocols.get(..self.protocols_len).unwrap_or_default();
        std::iter::from_fn(move || {
            let (len, behind) = rest.split_first()?;
            let (protocol, behind) = behind.split_at_checked(usize::from(*len))?;
            rest = behind;
            Some(protocol)
        })
    }
}

impl std::fmt::Debug for ClientHello {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let alpn: Vec<_> = self.alpn().map(|protocol| protocol.escape_ascii().to_string()).collect();
        f.debug_struct("ClientHello").field("server_name", &self.server_name()).field("alpn", &alpn).finish()
    }
}

/// Looks at the first bytes of a connection. More bytes change no answer but [`Peek::NeedMore`], which is not given
/// any more when there are [`MAX_CLIENT_HELLO`] bytes.
pub fn peek(bytes: &[u8]) -> Peek {
    match bytes {
        [] | [HANDSHAKE] => return Peek::NeedMore,
        [HANDSHAKE, MAJOR_VERSION, ..] => {}
        _ => return Peek::NotTls,
    }
    match Reader::new(bytes).hello() {
        Ok(hello) => Peek::Hello(hello),
        Err(Stop::NeedMore) => Peek::NeedMore,
        Err(Stop::Malformed(reason)) => Peek::Malformed(reason),
    }
}

/// Why reading goes no further.
enum Stop {
    NeedMore,
    Malformed(&'static str),
}

const MISFIT: Stop = Stop::Malformed("a length in the ClientHello does not fit");

/// Reads a handshake message that may be spread over several records.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Bytes left in the current record.
    record: usize,
    /// Bytes left in the message.
    left: usize,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, record: 0, left: 4 }
    }

    fn wire(&mut self, len: usize) -> Result<&'a [u8], Stop> {
        let end = self.at.saturating_add(len);
        if end > MAX_CLIENT_HELLO {
            return Err(Stop::Malformed("the ClientHello is too long"));
        }
        let piece = self.bytes.get(self.at..end).ok_or(Stop::NeedMore)?;
        self.at = end;
        Ok(piece)
    }

    /// The next bytes of the message, at most `max`, and at least one.
    fn piece(&mut self, max: usize) -> Result<&'a [u8], Stop> {
        if self.record == 0 {
            let &[typ, major, _, high, low] = self.wire(5)? else { return Err(Stop::NeedMore) };
            if typ != HANDSHAKE || major != MAJOR_VERSION {
                return Err(Stop::Malformed("the ClientHello is interrupted by another record"));
            }
            self.record = usize::from(u16::from_be_bytes([high, low]));
            if self.record == 0 || self.record > MAX_RECORD {
                return Err(Stop::Malformed("a record's length is out of bounds"));
            }
        }
        let len = max.min(self.record);
        self.record -= len;
        self.wire(len)
    }

    fn read(&mut self, out: &mut [u8]) -> Result<(), Stop> {
        self.left = self.left.checked_sub(out.len()).ok_or(MISFIT)?;
        let mut rest = out;
        while !rest.is_empty() {
            let piece = self.piece(rest.len())?;
            let (now, later) = rest.split_at_mut(piece.len());
            now.copy_from_slice(piece);
            rest = later;
        }
        Ok(())
    }

    fn skip(&mut self, len: usize) -> Result<(), Stop> {
        self.left = self.left.checked_sub(len).ok_or(MISFIT)?;
        let mut rest = len;
        while rest > 0 {
            rest -= self.piece(rest)?.len();
        }
        Ok(())
    }

    fn u8(&mut self) -> Result<usize, Stop> {
        let mut bytes = [0];
        self.read(&mut bytes)?;
        Ok(usize::from(bytes[0]))
    }

    fn u16(&mut self) -> Result<u16, Stop> {
        let mut bytes = [0; 2];
        self.read(&mut bytes)?;
        Ok(u16::from_be_bytes(bytes))
    }

    fn hello(mut self) -> Result<ClientHello, Stop> {
        let mut head = [0; 4];
        self.read(&mut head)?;
        let [typ, len @ ..] = head;
        if typ != CLIENT_HELLO {
            return Err(Stop::Malformed("the first message is no ClientHello"));
        }
        self.left = len.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        if self.left > MAX_CLIENT_HELLO {
            return Err(Stop::Malformed("the ClientHello is too long"));
        }
        // The version, which says nothing any more, and the random.
        self.skip(2 + 32)?;
        let session_id = self.u8()?;
        if session_id > 32 {
            return Err(MISFIT);
        }
        self.skip(session_id)?;
        let suites = usize::from(self.u16()?);
        if suites < 2 || suites % 2 != 0 {
            return Err(MISFIT);
        }
        self.skip(suites)?;
        let compressions = self.u8()?;
        if compressions == 0 {
            return Err(MISFIT);
        }
        self.skip(compressions)?;
        let mut hello =
            ClientHello { name: [0; MAX_NAME], name_len: 0, protocols: [0; MAX_PROTOCOLS], protocols_len: 0 };
        if self.left > 0 {
            if usize::from(self.u16()?) != self.left {
                return Err(MISFIT);
            }
            self.extensions(&mut hello)?;
        }
        Ok(hello)
    }

    fn extensions(&mut self, hello: &mut ClientHello) -> Result<(), Stop> {
        let (mut named, mut listed) = (false, false);
        while self.left > 0 {
            let (typ, len) = (self.u16()?, usize::from(self.u16()?));
            // Behind the extension, this much of the message is left.
            let end = self.left.checked_sub(len).ok_or(MISFIT)?;
            match typ {
                SERVER_NAME if std::mem::replace(&mut named, true) => return Err(REPEATED),
                APPLICATION_PROTOCOLS if std::mem::replace(&mut listed, true) => return Err(REPEATED),
                SERVER_NAME => self.server_name(len, hello)?,
                APPLICATION_PROTOCOLS => self.protocols(len, hello)?,
                _ => self.skip(len)?,
            }
            if self.left != end {
                return Err(MISFIT);
            }
        }
        Ok(())
    }

    /// RFC 6066 section 3: a list of one name, as there is no type but that of host names.
    fn server_name(&mut self, len: usize, hello: &mut ClientHello) -> Result<(), Stop> {
        let (list, typ, name_len) = (self.u16()?, self.u8()?, usize::from(self.u16()?));
        if usize::from(list) + 2 != len || name_len + 5 != len || typ != usize::from(HOST_NAME) {
            return Err(MISFIT);
        }
        let name = hello.name.get_mut(..name_len).filter(|name| !name.is_empty()).ok_or(BAD_NAME)?;
        self.read(name)?;
        if !name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':'))
        {
            return Err(BAD_NAME);
        }
        name.make_ascii_lowercase();
        let text = str::from_utf8(name).map_err(|_| BAD_NAME)?;
        if text.parse::<std::net::IpAddr>().is_ok() {
            // Not allowed, but seen; as if the client had sent no name.
            return Ok(());
        }
        if name.contains(&b':') {
            return Err(BAD_NAME);
        }
        hello.name_len = name_len;
        Ok(())
    }

    /// RFC 7301 section 3.1.
    fn protocols(&mut self, len: usize, hello: &mut ClientHello) -> Result<(), Stop> {
        let list_len = usize::from(self.u16()?);
        if list_len + 2 != len || list_len < 2 {
            return Err(MISFIT);
        }
        let too_long = Stop::Malformed("the list of application protocols is too long");
        let list = hello.protocols.get_mut(..list_len).ok_or(too_long)?;
        self.read(list)?;
        let mut rest: &[u8] = list;
        while let Some((&len, behind)) = rest.split_first() {
            rest = behind.get(usize::from(len)..).filter(|_| len > 0).ok_or(MISFIT)?;
        }
        hello.protocols_len = list_len;
        Ok(())
    }
}

const REPEATED: Stop = Stop::Malformed("an extension is repeated");
const BAD_NAME: Stop = Stop::Malformed("the server name is no name");

#[cfg(test)]
mod tests;
