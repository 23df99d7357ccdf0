//! What lets clients resume their sessions: tickets that only we can read (RFC 8446 section 4.6.1, RFC 5077).
//!
//! A ticket holds the session itself, encrypted, so the server remembers nothing. The keys are derived from secrets
//! that all listeners and workers share. Which key a listener uses depends on how it authenticates clients, so that
//! nobody takes a session to where it could not have been made.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::rand;
use rustls::server::ProducesTickets;

use super::error::TlsError;

/// How long tickets are made with a secret. They are taken for the same time again.
const PERIOD: Duration = Duration::from_hours(12);
/// The shortest secret, in bytes.
pub const MIN_TICKET_SECRET: usize = 32;
/// How many secrets are given by the operator at most: the one in use, and those that were.
const MAX_SECRETS: usize = 16;
const SECRET: usize = 48;
const KEY_NAME: usize = 16;
const TAG: usize = 16;
/// The time when the ticket was made: seconds since 1970, encrypted with the session.
const TIME: usize = 8;
/// The largest ticket that is looked at. A client's certificates are inside.
const MAX_TICKET: usize = 16 << 10;

/// The secrets of session tickets, shared by all listeners and workers and kept over reloads.
///
/// Tickets are made with the newest; the one before it is still good for reading. Every twelve hours a new secret takes
/// over, unless the operator gave the secrets so that several machines share them.
pub struct TicketKeys {
    ring: ArcSwap<Ring>,
}

struct Ring {
    /// The one that tickets are made with, and then those that are still read.
    secrets: Vec<Vec<u8>>,
    /// When the first one stops being used; none if the operator rotates.
    until: Option<SystemTime>,
}

impl TicketKeys {
    /// A secret of our own, which rotates by itself.
    pub fn new() -> Arc<Self> {
        let ring = Ring { secrets: vec![fresh_secret()], until: Some(SystemTime::now() + PERIOD) };
        Arc::new(Self { ring: ArcSwap::from_pointee(ring) })
    }

    /// The operator's secrets, for machines that share them: the first one is used for new tickets, all are read.
    /// What nginx reads (48 or 80 random bytes) will do.
    ///
    /// # Errors
    /// None, too many of them, or one that is shorter than [`MIN_TICKET_SECRET`].
    pub fn from_secrets(secrets: Vec<Vec<u8>>) -> Result<Arc<Self>, TlsError> {
        Ok(Arc::new(Self { ring: ArcSwap::from_pointee(Ring::given(secrets)?) }))
    }

    /// Replaces the secrets by the operator's; they count from the next handshake on.
    ///
    /// # Errors
    /// As [`from_secrets`](Self::from_secrets); then nothing changes.
    pub fn set_secrets(&self, secrets: Vec<Vec<u8>>) -> Result<(), TlsError> {
        self.ring.store(Arc::new(Ring::given(secrets)?));
        Ok(())
    }

    /// Back to secrets of our own, when the operator gives none any more. Keeps those that rotate already.
    pub fn rotate_by_itself(&self) {
        if self.ring.load().until.is_none() {
            let ring = Ring { secrets: vec![fresh_secret()], until: Some(SystemTime::now() + PERIOD) };
            self.ring.store(Arc::new(ring));
        }
    }

    /// A new secret takes over now; the one in use is still read, older ones are not.
    pub fn rotate(&self) {
        self.rotate_from(&self.ring.load_full(), SystemTime::now());
    }

    fn rotate_from(&self, old: &Arc<Ring>, now: SystemTime) {
        let mut secrets = vec![fresh_secret()];
        secrets.extend(old.secrets.first().cloned());
        let ring = Arc::new(Ring { secrets, until: Some(now + PERIOD) });
        // Of several threads that see it is time, the first one rotates.
        self.ring.compare_and_swap(old, ring);
    }

    /// The secrets that count now.
    fn current(&self, now: SystemTime) -> Arc<Ring> {
        let ring = self.ring.load_full();
        match ring.until {
            // After a long silence, the last secret is too old to be read as well.
            Some(until) if now >= until + PERIOD => {
                let fresh = Ring { secrets: vec![fresh_secret()], until: Some(now + PERIOD) };
                self.ring.compare_and_swap(&ring, Arc::new(fresh));
            }
            // Or the clock was ahead when the secret was made, which would keep it for too long.
            Some(until) if now >= until || until > now + 2 * PERIOD => self.rotate_from(&ring, now),
            _ => return ring,
        }
        self.ring.load_full()
    }

    /// Makes and reads the tickets of those who authenticate clients in the way that `context` stands for.
    pub(super) fn ticketer(self: &Arc<Self>, context: [u8; 32]) -> Arc<dyn ProducesTickets> {
        let ring = self.ring.load_full();
        let derived = Derived::new(ring, &context);
        Arc::new(Ticketer { keys: Arc::clone(self), context, derived: ArcSwap::from_pointee(derived) })
    }
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketKeys").finish_non_exhaustive()
    }
}

impl Ring {
    fn given(secrets: Vec<Vec<u8>>) -> Result<Self, TlsError> {
        if secrets.is_empty() {
            return Err(TlsError::TicketSecret("there is none"));
        }
        if secrets.len() > MAX_SECRETS {
            return Err(TlsError::TicketSecret("there are more than 16"));
        }
        if secrets.iter().any(|secret| secret.len() < MIN_TICKET_SECRET) {
            return Err(TlsError::TicketSecret(
                "one is shorter than 32 bytes; make it with `openssl rand 48`",
            ));
        }
        Ok(Self { secrets, until: None })
    }
}

#[expect(clippy::expect_used, reason = "without randomness there is no TLS at all; the system's never fails")]
fn fresh_secret() -> Vec<u8> {
    let mut secret = vec![0; SECRET];
    rand::fill(&mut secret).expect("randomness");
    secret
}

/// What rustls asks for tickets.
struct Ticketer {
    keys: Arc<TicketKeys>,
    context: [u8; 32],
    derived: ArcSwap<Derived>,
}

impl fmt::Debug for Ticketer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticketer").finish_non_exhaustive()
    }
}

/// The keys of one context, and the secrets that they come from.
struct Derived {
    ring: Arc<Ring>,
    keys: Vec<TicketKey>,
}

struct TicketKey {
    name: [u8; KEY_NAME],
    key: LessSafeKey,
}

impl Derived {
    fn new(ring: Arc<Ring>, context: &[u8; 32]) -> Self {
        // A secret that no key can be made of is left out; there is none such.
        let keys = ring.secrets.iter().filter_map(|secret| TicketKey::new(secret, context)).collect();
        Self { ring, keys }
    }
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl TicketKey {
    fn new(secret: &[u8], context: &[u8; 32]) -> Option<Self> {
        let derived = Salt::new(HKDF_SHA256, context).extract(secret);
        let (mut name, mut key) = ([0; KEY_NAME], [0; 32]);
        derived.expand(&[b"usher ticket name"], Length(KEY_NAME)).ok()?.fill(&mut name).ok()?;
        derived.expand(&[b"usher ticket key"], Length(key.len())).ok()?.fill(&mut key).ok()?;
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM_SIV, &key).ok()?);
        Some(Self { name, key })
    }

    /// The name of the key, a nonce, and what is sealed: the time and the session. Nonces are random; should two be
    /// the same, AES-GCM-SIV (RFC 8452) still keeps its promises.
    fn seal(&self, plain: &[u8], now: u64) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let start = KEY_NAME + NONCE_LEN;
        let mut ticket = Vec::with_capacity(start + TIME + plain.len() + TAG);
        ticket.extend_from_slice(&self.name);
        ticket.extend_from_slice(&nonce);
        ticket.extend_from_slice(&now.to_be_bytes());
        ticket.extend_from_slice(plain);
        let sealed = ticket.get_mut(start..)?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(&self.name), sealed).ok()?;
        ticket.extend_from_slice(tag.as_ref());
        Some(ticket)
    }

    /// When the ticket was made, and the session.
    fn open(&self, nonce: [u8; NONCE_LEN], sealed: &[u8]) -> Option<(u64, Vec<u8>)> {
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = self.key.open_in_place(nonce, Aad::from(&self.name), &mut sealed).ok()?;
        let (time, plain) = opened.split_first_chunk::<TIME>()?;
        Some((u64::from_be_bytes(*time), plain.to_vec()))
    }
}

impl Ticketer {
    fn derived(&self, now: SystemTime) -> Arc<Derived> {
        let ring = self.keys.current(now);
        let derived = self.derived.load_full();
        if Arc::ptr_eq(&derived.ring, &ring) {
            return derived;
        }
        let derived = Arc::new(Derived::new(ring, &self.context));
        self.derived.store(Arc::clone(&derived));
        derived
    }

    fn seal(&self, plain: &[u8], now: SystemTime) -> Option<Vec<u8>> {
        if plain.len() > MAX_TICKET - KEY_NAME - NONCE_LEN - TIME - TAG {
            return None;
        }
        self.derived(now).keys.first()?.seal(plain, seconds(now))
    }

    fn open(&self, ticket: &[u8], now: SystemTime) -> Option<Vec<u8>> {
        if ticket.len() > MAX_TICKET {
            return None;
        }
        let (name, rest) = ticket.split_first_chunk::<KEY_NAME>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let derived = self.derived(now);
        let key = derived.keys.iter().find(|key| key.name == *name)?;
        let (made, plain) = key.open(*nonce, sealed)?;
        let age = seconds(now).saturating_sub(made);
        (age < 2 * PERIOD.as_secs()).then_some(plain)
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        // Every ticket is read for at least that long.
        u32::try_from(PERIOD.as_secs()).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seal(plain, SystemTime::now())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.open(cipher, SystemTime::now())
    }
}

#[cfg(test)]
mod tests;
