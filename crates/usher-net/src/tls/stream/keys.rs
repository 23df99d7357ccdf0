//! The protection of records: RFC 8446 section 5, and for TLS 1.2 RFC 5288 and RFC 7905.

use aws_lc_rs::aead::{
    AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey,
};
use rustls::ConnectionTrafficSecrets;

/// Type, version and length of a record.
pub(super) const RECORD_HEAD: usize = 5;
/// The most that one record carries.
pub(super) const MAX_PLAIN: usize = 1 << 14;
const TAG: usize = 16;
/// The part of a nonce that AES-GCM in TLS 1.2 sends along.
const EXPLICIT: usize = 8;
/// What is added to what a record carries, at most: head, nonce, type, tag.
pub(super) const MAX_OVERHEAD: usize = RECORD_HEAD + EXPLICIT + 1 + TAG;
/// How many records AES-GCM may protect with one key (RFC 8446 section 5.5).
const AES_GCM_RECORDS: u64 = 1 << 24;

pub(super) const APPLICATION_DATA: u8 = 23;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Tls13,
    /// AES-GCM in TLS 1.2: a part of the nonce is in the record.
    Tls12Explicit,
    /// ChaCha20-Poly1305 in TLS 1.2.
    Tls12,
}

/// The keys of one direction.
pub(super) struct Keys {
    key: LessSafeKey,
    iv: [u8; NONCE_LEN],
    sequence: u64,
    /// The number of records after which the key must not be used.
    limit: u64,
    format: Format,
}

/// A record cannot be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// There is more in it than may be.
    Length,
    /// It was not made with our keys.
    Forged,
    /// There is nothing but padding in it.
    Empty,
}

/// A record that was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Opened {
    /// What kind of content it is.
    pub(super) typ: u8,
    /// Where the content begins and how long it is.
    pub(super) start: usize,
    pub(super) len: usize,
}

impl Keys {
    /// None for keys that do not fit the algorithm, which rustls does not give.
    pub(super) fn new(secrets: (u64, ConnectionTrafficSecrets), is_tls13: bool) -> Option<Self> {
        let (sequence, secrets) = secrets;
        let (algorithm, is_gcm, key, iv): (&'static Algorithm, _, _, _) = match &secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&AES_128_GCM, true, key, iv),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&AES_256_GCM, true, key, iv),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (&CHACHA20_POLY1305, false, key, iv),
            _ => return None,
        };
        Some(Self {
            key: LessSafeKey::new(UnboundKey::new(algorithm, key.as_ref()).ok()?),
            iv: iv.as_ref().try_into().ok()?,
            sequence,
            limit: if is_gcm { AES_GCM_RECORDS } else { u64::MAX },
            format: match (is_tls13, is_gcm) {
                (true, _) => Format::Tls13,
                (false, true) => Format::Tls12Explicit,
                (false, false) => Format::Tls12,
            },
        })
    }

    /// Records that the key may still be used for.
    pub(super) fn left(&self) -> u64 {
        self.limit.saturating_sub(self.sequence)
    }

    /// Makes as if so many records were left for the key; gives the number of the next one.
    #[cfg(test)]
    pub(super) fn use_up(&mut self, left: u64) -> u64 {
        self.limit = self.sequence + left;
        self.sequence
    }

    /// A record of TLS 1.3 with padding, of whatever length.
    #[cfg(test)]
    pub(super) fn seal_padded(&mut self, typ: u8, content: &[u8], padding: usize) -> Vec<u8> {
        let mut inner = [content, &[typ], &vec![0; padding]].concat();
        let [high, low] = ((inner.len() + TAG) as u16).to_be_bytes();
        let head = [APPLICATION_DATA, 3, 3, high, low];
        let nonce = Nonce::assume_unique_for_key(self.nonce());
        assert!(self.key.seal_in_place_append_tag(nonce, Aad::from(head), &mut inner).is_ok());
        self.sequence += 1;
        [&head[..], &inner].concat()
    }

    /// How long a record may be behind its head.
    pub(super) fn max_payload(&self) -> usize {
        match self.format {
            // RFC 8446 section 5.2, RFC 5246 section 6.2.3.
            Format::Tls13 => MAX_PLAIN + 256,
            Format::Tls12Explicit | Format::Tls12 => MAX_PLAIN + 2048,
        }
    }

    /// What a record of `payload` bytes takes to open apart from it, at most; none if it is too short for one.
    pub(super) fn room_to_open(&self, payload: usize) -> Option<usize> {
        payload.checked_sub(self.prefix() + TAG)
    }

    fn prefix(&self) -> usize {
        if self.format == Format::Tls12Explicit { EXPLICIT } else { 0 }
    }

    fn nonce(&self) -> [u8; NONCE_LEN] {
        let mut nonce = self.iv;
        if let Some(last) = nonce.last_chunk_mut::<8>() {
            *last = (u64::from_be_bytes(*last) ^ self.sequence).to_be_bytes();
        }
        nonce
    }

    /// RFC 5246 section 6.2.3.3.
    fn tls12_aad(&self, head: [u8; RECORD_HEAD], plain: usize) -> [u8; 13] {
        let [s0, s1, s2, s3, s4, s5, s6, s7] = self.sequence.to_be_bytes();
        let [typ, major, minor, ..] = head;
        let [high, low] = (plain as u16).to_be_bytes();
        [s0, s1, s2, s3, s4, s5, s6, s7, typ, major, minor, high, low]
    }

    /// Opens a record into `out`, which has [`room_to_open`](Self::room_to_open) at least.
    pub(super) fn open_into(
        &mut self,
        head: [u8; RECORD_HEAD],
        payload: &[u8],
        out: &mut [u8],
    ) -> Result<Opened, Fault> {
        let (nonce, sealed) = self.opening_nonce(payload)?;
        let (sealed, tag) = sealed.split_last_chunk::<TAG>().ok_or(Fault::Forged)?;
        let out = out.get_mut(..sealed.len()).ok_or(Fault::Length)?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = if self.format == Format::Tls13 {
            self.key.open_separate_gather(nonce, Aad::from(head), sealed, tag, out)
        } else {
            let aad = Aad::from(self.tls12_aad(head, sealed.len()));
            self.key.open_separate_gather(nonce, aad, sealed, tag, out)
        };
        opened.map_err(|_| Fault::Forged)?;
        self.opened(head, 0, out)
    }

    /// Opens a record where it is.
    pub(super) fn open_in_place(
        &mut self,
        head: [u8; RECORD_HEAD],
        payload: &mut [u8],
    ) -> Result<Opened, Fault> {
        let (nonce, sealed) = self.opening_nonce(payload)?;
        let plain = sealed.len().checked_sub(TAG).ok_or(Fault::Forged)?;
        let prefix = self.prefix();
        let sealed = payload.get_mut(prefix..).ok_or(Fault::Forged)?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = if self.format == Format::Tls13 {
            self.key.open_in_place(nonce, Aad::from(head), sealed)
        } else {
            self.key.open_in_place(nonce, Aad::from(self.tls12_aad(head, plain)), sealed)
        };
        let opened = opened.map_err(|_| Fault::Forged)?;
        // The borrow of `opened` is the payload's.
        let opened: &[u8] = opened;
        self.opened(head, prefix, opened)
    }

    fn opening_nonce<'a>(&self, payload: &'a [u8]) -> Result<([u8; NONCE_LEN], &'a [u8]), Fault> {
        if self.format != Format::Tls12Explicit {
            return Ok((self.nonce(), payload));
        }
        let (explicit, sealed) = payload.split_first_chunk::<EXPLICIT>().ok_or(Fault::Forged)?;
        let mut nonce = self.iv;
        if let Some(last) = nonce.last_chunk_mut::<EXPLICIT>() {
            *last = *explicit;
        }
        Ok((nonce, sealed))
    }

    fn opened(&mut self, head: [u8; RECORD_HEAD], start: usize, plain: &[u8]) -> Result<Opened, Fault> {
        self.sequence = self.sequence.checked_add(1).ok_or(Fault::Forged)?;
        let (typ, len) = match self.format {
            // RFC 8446 section 5.4: the type is the last byte that is not zero. Padding makes no record longer than it
            // could be without.
            Format::Tls13 if plain.len() > MAX_PLAIN + 1 => return Err(Fault::Length),
            Format::Tls13 => {
                let end = plain.iter().rposition(|byte| *byte != 0).ok_or(Fault::Empty)?;
                (plain.get(end).copied().unwrap_or_default(), end)
            }
            _ => (head[0], plain.len()),
        };
        if len > MAX_PLAIN {
            return Err(Fault::Length);
        }
        Ok(Opened { typ, start, len })
    }

    /// Seals a record into `out`, of which it gives the length. The plaintext is `plain`, or, where that is none, the
    /// `len` bytes that [`plain_in`](Self::plain_in) pointed out in `out`.
    ///
    /// None if it does not fit, or the key may not be used any more.
    pub(super) fn seal(&mut self, typ: u8, plain: Plain<'_>, out: &mut [u8]) -> Option<usize> {
        let prefix = self.prefix();
        let len = plain.len();
        let extra = usize::from(self.format == Format::Tls13);
        let payload = prefix + len + extra + TAG;
        let record = out.get_mut(..RECORD_HEAD + payload)?;
        if self.left() == 0 || len > MAX_PLAIN {
            return None;
        }
        let outer = if extra == 1 { APPLICATION_DATA } else { typ };
        let [high, low] = (payload as u16).to_be_bytes();
        let head = [outer, 3, 3, high, low];
        let nonce = self.nonce();
        let (head_out, rest) = record.split_first_chunk_mut::<RECORD_HEAD>()?;
        *head_out = head;
        let (explicit, rest) = rest.split_at_mut_checked(prefix)?;
        if prefix > 0 {
            explicit.copy_from_slice(nonce.get(NONCE_LEN - prefix..)?);
        }
        let (body, tail) = rest.split_at_mut_checked(len)?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let inner = &[typ][..extra];
        if self.format == Format::Tls13 {
            self.seal_parts(nonce, &head, plain, (body, inner, tail))?;
        } else {
            let aad = self.tls12_aad(head, len);
            self.seal_parts(nonce, &aad, plain, (body, inner, tail))?;
        }
        self.sequence += 1;
        Some(RECORD_HEAD + payload)
    }

    fn seal_parts(
        &self,
        nonce: Nonce,
        aad: &[u8],
        plain: Plain<'_>,
        (body, inner, tail): (&mut [u8], &[u8], &mut [u8]),
    ) -> Option<()> {
        match plain {
            Plain::Elsewhere(plain) => {
                self.key.seal_out_of_place_scatter(nonce, Aad::from(aad), plain, body, inner, tail).ok()
            }
            Plain::InPlace(_) => {
                self.key.seal_in_place_scatter(nonce, Aad::from(aad), body, inner, tail).ok()
            }
        }
    }

    /// Where in the output of [`seal`](Self::seal) the plaintext has to lie that is sealed in place.
    pub(super) fn plain_at(&self) -> usize {
        RECORD_HEAD + self.prefix()
    }
}

/// What is to be sealed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Plain<'a> {
    /// It is in a buffer of somebody else, and is read from there.
    Elsewhere(&'a [u8]),
    /// This many bytes lie in the output already, at [`Keys::plain_at`].
    InPlace(usize),
}

impl Plain<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Elsewhere(plain) => plain.len(),
            Self::InPlace(len) => *len,
        }
    }
}
