//! Numbers from a seed (SplitMix64), and times drawn with them.

/// A sequence of numbers that look random and are the same for the same seed.
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// An index below `len`.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        ((u128::from(self.next()) * len as u128) >> 64) as usize
    }

    /// Between 0 and 1, neither of them.
    pub(crate) fn share(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// The time to the next of events that come independently of each other, with this mean.
    pub(crate) fn gap(&mut self, mean: f64) -> f64 {
        -mean * self.share().ln()
    }

    /// A time of work with this mean: log-normal, as times of servers mostly are, with a long tail.
    pub(crate) fn work(&mut self, mean: f64) -> f64 {
        const SPREAD: f64 = 0.6;
        // Box and Muller's way from two uniform numbers to one of a normal distribution.
        let normal = (-2.0 * self.share().ln()).sqrt() * (std::f64::consts::TAU * self.share()).cos();
        mean * (SPREAD * normal - SPREAD * SPREAD / 2.0).exp()
    }
}
