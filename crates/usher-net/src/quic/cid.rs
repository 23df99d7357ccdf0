//! Connection IDs that say which worker they belong to.

use std::time::Duration;

use aws_lc_rs::{hmac, rand};
use quinn_proto::{ConnectionId, ConnectionIdGenerator, InvalidCid};

use crate::sys::MAX_BANKS;

/// The length of the IDs (bytes).
pub(super) const LENGTH: usize = 8;
/// How much of it is random; the rest is a checksum with a secret key, so that random packets do not make us answer.
const NONCE: usize = 5;

/// The byte whose low bits are the bank's number.
const BANK: usize = 2;
/// Its bits that are not.
const NOT_BANK: u8 = !(MAX_BANKS as u8 - 1);

/// IDs whose first two bytes, as a number modulo the number of workers, are the worker's, and whose third byte has the
/// number of the worker's bank in its low four bits; the kernel steers by that. Otherwise they are random, so that two of
/// one connection cannot be told to be such (RFC 9000 section 5.1).
pub(super) struct SteeredIds {
    worker: u16,
    workers: u16,
    bank: u8,
    key: hmac::Key,
}

impl SteeredIds {
    pub(super) fn new(worker: u16, workers: u16, key: hmac::Key) -> Self {
        let workers = workers.max(1);
        Self { worker: worker % workers, workers, bank: 0, key }
    }

    /// Those of another bank than the first.
    #[must_use]
    pub(super) fn of_bank(self, bank: u8) -> Self {
        Self { bank: bank & !NOT_BANK, ..self }
    }

    fn checksum(&self, nonce: &[u8]) -> [u8; LENGTH - NONCE] {
        let tag = hmac::sign(&self.key, nonce);
        let mut checksum = [0; LENGTH - NONCE];
        checksum.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        checksum
    }

    /// A random number that has the worker's residue.
    fn steer(&self, random: u16) -> u16 {
        let (worker, workers) = (u32::from(self.worker), u32::from(self.workers));
        let choices = (u32::from(u16::MAX) - worker) / workers + 1;
        // At most u16::MAX, by the number of choices.
        (u32::from(random) % choices * workers + worker) as u16
    }
}

impl ConnectionIdGenerator for SteeredIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id = [0; LENGTH];
        // Without random bytes, no connection could be made anyway: TLS needs them first.
        let _ = rand::fill(&mut id[..NONCE]);
        let steered = self.steer(u16::from_be_bytes([id[0], id[1]])).to_be_bytes();
        id[..2].copy_from_slice(&steered);
        id[BANK] = id[BANK] & NOT_BANK | self.bank;
        let checksum = self.checksum(&id[..NONCE]);
        id[NONCE..].copy_from_slice(&checksum);
        ConnectionId::new(&id)
    }

    fn validate(&self, id: &ConnectionId) -> Result<(), InvalidCid> {
        let Some((nonce, checksum)) = id.split_at_checked(NONCE) else { return Err(InvalidCid) };
        let steered = u16::from_be_bytes([id[0], id[1]]);
        // That of another worker, where the kernel does not steer: it may be in use there, so that saying that it is not
        // known would end a connection (RFC 9000 section 21.11).
        let is_own = steered % self.workers == self.worker && id[BANK] & !NOT_BANK == self.bank;
        if is_own && self.checksum(nonce) == *checksum { Ok(()) } else { Err(InvalidCid) }
    }

    fn cid_len(&self) -> usize {
        LENGTH
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}
