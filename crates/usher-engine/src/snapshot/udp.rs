//! Where datagrams go, and how many clients may begin.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use usher_config::Rate;

use super::Destination;

/// What a listener of UDP does.
#[derive(Clone, Debug)]
pub struct Datagrams {
    /// The cluster.
    pub destination: Destination,
    /// How long there may be no datagram in either direction.
    pub idle: Duration,
    /// How many answers each datagram of a client has, if that is known.
    pub responses: Option<u32>,
    /// After how many datagrams a client begins anew.
    pub requests: Option<u32>,
    /// How many sessions may begin.
    pub ration: Option<Arc<Ration>>,
}

/// So many per unit of time, over all workers: the generic cell rate algorithm (ITU-T I.371), in which a time says all. As
/// many as a unit of time allows may come at once.
#[derive(Debug)]
pub struct Ration {
    epoch: Instant,
    /// How far apart they are in the long run (nanoseconds).
    gap: u64,
    /// How far they may be ahead of that (nanoseconds).
    ahead: u64,
    /// When the next would be on time (nanoseconds since the epoch).
    next: AtomicU64,
}

impl Ration {
    /// One that nothing was taken of.
    pub fn new(rate: Rate) -> Self {
        let per = u64::try_from(rate.per.as_nanos()).unwrap_or(u64::MAX / 2);
        let gap = (per / u64::from(rate.count.max(1))).max(1);
        Self { epoch: Instant::now(), gap, ahead: per.saturating_sub(gap), next: AtomicU64::new(0) }
    }

    /// Takes one, if there is one.
    pub fn take(&self, now: Instant) -> bool {
        let now = now.saturating_duration_since(self.epoch).as_nanos() as u64;
        let step = |next: u64| {
            let on_time = next.max(now);
            (on_time - now <= self.ahead).then_some(on_time.saturating_add(self.gap))
        };
        self.next.fetch_update(Relaxed, Relaxed, step).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_of_time_allows_so_many_whenever_they_come() {
        let rate: Rate = "10/s".parse().unwrap();
        let ration = Ration::new(rate);
        let at = |millis| ration.epoch + Duration::from_millis(millis);
        let take = |millis| (0..20).filter(|_| ration.take(at(millis))).count();
        assert_eq!(take(0), 10, "at once");
        assert_eq!(take(50), 0);
        assert_eq!(take(100), 1);
        assert_eq!(take(350), 2);
        assert_eq!(take(400), 1);
        assert_eq!(take(60_000), 10, "nothing is saved up");
    }
}
