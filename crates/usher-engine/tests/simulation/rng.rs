//! Random numbers from a seed, and bodies that tell whose they are.

use std::ops::Range;
use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number within the range, which must not be empty.
    pub(crate) fn within(&mut self, range: Range<usize>) -> usize {
        range.start + (self.bits() % (range.end - range.start) as u64) as usize
    }

    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.bits() % 100 < chance
    }

    pub(crate) fn choose<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.within(0..from.len())]
    }

    pub(crate) fn millis(&mut self, range: Range<usize>) -> Duration {
        Duration::from_millis(self.within(range) as u64)
    }

    /// Another stream of numbers, for another task.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.bits())
    }

    /// Sizes of bodies: empty, small, around the proxy's buffer sizes, and large.
    pub(crate) fn size(&mut self) -> usize {
        match self.within(0..12) {
            0 | 1 => 0,
            2..=6 => self.within(1..2_000),
            7 | 8 => self.within(7_000..20_000),
            9 => *self.choose(&[8_191, 8_192, 8_193, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537]),
            10 => self.within(20_000..80_000),
            _ => self.within(60_000..200_000),
        }
    }
}

/// The one body of this length that belongs to `id`.
pub(crate) fn body_of(id: u64, len: usize) -> Vec<u8> {
    let mut rng = Rng::new(id ^ 0x5EED_B0D1);
    let mut body = Vec::with_capacity(len + 8);
    while body.len() < len {
        body.extend_from_slice(&rng.bits().to_le_bytes());
    }
    body.truncate(len);
    body
}
