//! What TLS says after the handshake: alerts, new keys, tickets.

use rustls::AlertDescription;

use super::super::handshake::Kernel;
use super::keys::Keys;

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const HELLO_REQUEST: u8 = 0;
const NEW_SESSION_TICKET: u8 = 4;
const KEY_UPDATE: u8 = 24;
const WARNING: u8 = 1;
/// The longest message that is put together: a ticket (RFC 8446 section 4.6.1) has up to 64 KiB, and extensions.
const MAX_MESSAGE: usize = 68 << 10;
/// Records without a byte for the reader, one after another. A peer that sends more keeps us busy for nothing.
const MAX_IDLE_RECORDS: u8 = 32;

/// Why nothing more is read, other than at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The peer broke the protocol: the alert that it was told by, and the phrase.
    Broken(AlertDescription, &'static str),
    /// The peer gave up by an alert.
    Alert(AlertDescription),
    /// The stream ended without the end being announced: it may have been cut off.
    Truncated,
}

/// What a message asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Nothing,
    /// The peer says no more.
    Closed,
    /// The peer wants us to use a new key.
    NewKey,
    /// To be refused without ending the connection (RFC 5246 section 7.2.2).
    NoRenegotiation,
}

/// Puts messages together and keeps count.
pub(super) struct Messages {
    /// None in TLS 1.2.
    kernel: Option<Kernel>,
    is_server: bool,
    /// A message that is not complete.
    partial: Vec<u8>,
    idle_records: u8,
}

const UNEXPECTED: Failure = Failure::Broken(AlertDescription::UnexpectedMessage, "an unexpected message");
const MALFORMED: Failure = Failure::Broken(AlertDescription::DecodeError, "a malformed message");
const TOO_MANY: Failure =
    Failure::Broken(AlertDescription::UnexpectedMessage, "too many records without application data");

/// Type, body, and what is behind.
type Message<'a> = (u8, &'a [u8], &'a [u8]);

impl Messages {
    pub(super) fn new(kernel: Option<Kernel>, is_server: bool) -> Self {
        Self { kernel, is_server, partial: Vec::new(), idle_records: 0 }
    }

    pub(super) fn is_tls13(&self) -> bool {
        self.kernel.is_some()
    }

    /// A record of application data came.
    pub(super) fn note_data(&mut self, len: usize) -> Result<(), Failure> {
        if !self.partial.is_empty() {
            return Err(UNEXPECTED);
        }
        if len > 0 {
            self.idle_records = 0;
            return Ok(());
        }
        self.count()
    }

    fn count(&mut self) -> Result<(), Failure> {
        self.idle_records += 1;
        if self.idle_records > MAX_IDLE_RECORDS { Err(TOO_MANY) } else { Ok(()) }
    }

    /// Takes a record of something else. `keys` are those of the peer, which may change.
    pub(super) fn take(&mut self, typ: u8, content: &[u8], keys: &mut Keys) -> Result<Effect, Failure> {
        self.count()?;
        match typ {
            ALERT if self.partial.is_empty() => self.alert(content),
            HANDSHAKE if content.is_empty() => Err(UNEXPECTED),
            HANDSHAKE if self.is_tls13() => self.handshake(content, keys),
            HANDSHAKE => self.renegotiation(content),
            _ => Err(UNEXPECTED),
        }
    }

    fn alert(&self, content: &[u8]) -> Result<Effect, Failure> {
        let &[level, description] = content else { return Err(MALFORMED) };
        match AlertDescription::from(description) {
            AlertDescription::CloseNotify => Ok(Effect::Closed),
            // RFC 8446 section 6.1: the close follows.
            AlertDescription::UserCanceled => Ok(Effect::Nothing),
            _ if level == WARNING && !self.is_tls13() => Ok(Effect::Nothing),
            other => Err(Failure::Alert(other)),
        }
    }

    /// RFC 5746 section 4.5: a server refuses for good; a client says that it will not.
    fn renegotiation(&self, content: &[u8]) -> Result<Effect, Failure> {
        match content {
            [HELLO_REQUEST, 0, 0, 0] if !self.is_server => Ok(Effect::NoRenegotiation),
            _ => Err(Failure::Broken(AlertDescription::HandshakeFailure, "renegotiation is not supported")),
        }
    }

    fn handshake(&mut self, content: &[u8], keys: &mut Keys) -> Result<Effect, Failure> {
        let mut partial = std::mem::take(&mut self.partial);
        let mut rest = content;
        if !partial.is_empty() {
            partial.extend_from_slice(content);
            rest = &partial;
        }
        let mut effect = Effect::Nothing;
        while !rest.is_empty() {
            let Some((typ, body, behind)) = self.split(rest)? else { break };
            rest = behind;
            if typ == KEY_UPDATE {
                effect = self.key_update(body, rest, keys)?;
            } else {
                self.ticket(body)?;
            }
        }
        self.partial = rest.to_vec();
        Ok(effect)
    }

    /// The next message, if it is complete.
    fn split<'a>(&self, bytes: &'a [u8]) -> Result<Option<Message<'a>>, Failure> {
        let typ = *bytes.first().ok_or(MALFORMED)?;
        match typ {
            KEY_UPDATE => {}
            NEW_SESSION_TICKET if !self.is_server => {}
            _ => return Err(UNEXPECTED),
        }
        let &[_, a, b, c, ref rest @ ..] = bytes else { return Ok(None) };
        let len = u32::from_be_bytes([0, a, b, c]) as usize;
        if len > MAX_MESSAGE || (typ == KEY_UPDATE && len != 1) {
            return Err(MALFORMED);
        }
        Ok(rest.split_at_checked(len).map(|(body, behind)| (typ, body, behind)))
    }

    /// RFC 8446 section 4.6.3. It must be the last in its record, as what follows has another key (section 5.1).
    fn key_update(&mut self, body: &[u8], behind: &[u8], keys: &mut Keys) -> Result<Effect, Failure> {
        let effect = match body {
            [0] => Effect::Nothing,
            [1] => Effect::NewKey,
            _ => return Err(Failure::Broken(AlertDescription::IllegalParameter, "a malformed message")),
        };
        if !behind.is_empty() {
            return Err(UNEXPECTED);
        }
        let secrets = match &mut self.kernel {
            Some(Kernel::Server(kernel)) => kernel.update_rx_secret(),
            Some(Kernel::Client(kernel)) => kernel.update_rx_secret(),
            None => return Err(UNEXPECTED),
        };
        let internal = Failure::Broken(AlertDescription::InternalError, "the next key cannot be derived");
        *keys = secrets.ok().and_then(|secrets| Keys::new(secrets, true)).ok_or(internal)?;
        Ok(effect)
    }

    fn ticket(&mut self, body: &[u8]) -> Result<(), Failure> {
        match &mut self.kernel {
            Some(Kernel::Client(kernel)) => kernel.handle_new_session_ticket(body).map_err(|_| MALFORMED),
            _ => Err(UNEXPECTED),
        }
    }

    /// Our next key; none in TLS 1.2.
    pub(super) fn next_key(&mut self) -> Option<Keys> {
        let secrets = match self.kernel.as_mut()? {
            Kernel::Server(kernel) => kernel.update_tx_secret(),
            Kernel::Client(kernel) => kernel.update_tx_secret(),
        };
        Keys::new(secrets.ok()?, true)
    }
}
