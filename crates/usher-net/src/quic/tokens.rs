//! Which address tokens were used (RFC 9000 section 8.1.4).

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use quinn_proto::{TokenLog, TokenReuseError};

/// How long after it was sent a token is good.
pub(super) const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// Tokens that a client is given when its address is known to be its own: it needs one per connection.
pub(super) const GIVEN: u32 = 1;

/// Words of 64 bits in a set: 128 KiB. With a million tokens in it, one in five that comes for the first time is taken for
/// used, which costs that client nothing but the benefit.
const WORDS: usize = 16 << 10;
/// Bits per token.
const BITS: u32 = 2;

/// The tokens that were used and have not expired, roughly (a Bloom filter), of all workers. Two sets: of the tokens that
/// were sent in this day, and in the one before.
pub(super) struct UsedTokens {
    sets: [Set; 2],
}

struct Set {
    /// The number of the period that it is about.
    period: AtomicU64,
    words: Box<[AtomicU64]>,
}

impl Default for UsedTokens {
    fn default() -> Self {
        let set = || Set {
            period: AtomicU64::new(0),
            words: std::iter::repeat_with(AtomicU64::default).take(WORDS).collect(),
        };
        Self { sets: [set(), set()] }
    }
}

impl fmt::Debug for UsedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UsedTokens")
    }
}

impl TokenLog for UsedTokens {
    fn check_and_insert(
        &self,
        nonce: u128,
        issued: SystemTime,
        lifetime: Duration,
    ) -> Result<(), TokenReuseError> {
        let issued = issued.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let period = issued.checked_div(lifetime.as_secs()).ok_or(TokenReuseError)?;
        let set = &self.sets[(period % 2) as usize];
        let before = set.period.fetch_max(period, Relaxed);
        if before > period {
            return Err(TokenReuseError);
        }
        if before < period {
            set.words.iter().for_each(|word| word.store(0, Relaxed));
        }
        // The nonce is random, and nobody but us can make one.
        let mut is_new = false;
        for number in 0..BITS {
            let bit = (nonce >> (number * 32)) as usize % (WORDS * 64);
            let (word, mask) = (bit / 64, 1 << (bit % 64));
            is_new |= set.words.get(word).is_some_and(|word| word.fetch_or(mask, Relaxed) & mask == 0);
        }
        if is_new { Ok(()) } else { Err(TokenReuseError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_good_once() {
        let used = UsedTokens::default();
        let day = |number: u64| UNIX_EPOCH + LIFETIME * number as u32;
        let mut nonces =
            (1_u128..).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834));
        let some: Vec<u128> = nonces.by_ref().take(100).collect();
        for (issued, fits) in [(10, true), (11, true), (12, true), (10, false)] {
            for nonce in &some {
                let ask = || used.check_and_insert(*nonce, day(issued), LIFETIME).is_ok();
                assert_eq!((ask(), ask()), (fits, false), "sent on day {issued}");
            }
        }
        let more = nonces.take(1000).filter(|nonce| used.check_and_insert(*nonce, day(12), LIFETIME).is_ok());
        assert!(more.count() > 990, "few are taken for used that are not");
        assert!(used.check_and_insert(1, day(12), Duration::ZERO).is_err());
    }
}
