//! Between steps 5 and 6: while the process is short of memory or descriptors, requests are refused by the criticality of
//! their route, before they cost anything.

use usher_api::Reply;
use usher_config::config::Criticality;
use usher_net::Dialer;
use usher_net::shortage::{self, Deed, Level};

use crate::path::Visit;
use crate::snapshot::Route;

/// When a client shall come back (seconds). Shortage ends within seconds, as those who cause it are ended.
const RETRY_AFTER: &str = "2";

/// The reply to a request that is not taken for now.
#[inline]
pub(crate) fn refuse<D: Dialer>(visit: &Visit<'_, D>, route: &Route) -> Option<Box<Reply>> {
    match shortage::level() {
        Level::Calm | Level::Tight => None,
        level => refuse_at(level, route.criticality, visit.is_known),
    }
}

#[cold]
fn refuse_at(level: Level, criticality: Criticality, known: bool) -> Option<Box<Reply>> {
    let deed = deed(level, criticality, known)?;
    shortage::did(deed, 1);
    // Without a page: that would take memory, and a client that opens no window could keep it.
    Some(Box::new(Reply { finished: true, ..Reply::new(503, "shed").field("Retry-After", RETRY_AFTER) }))
}

/// What refusing it would be; none if it is served. Whoever has shown to take responses is refused later.
fn deed(level: Level, criticality: Criticality, known: bool) -> Option<Deed> {
    let normal = if known { Level::Over } else { Level::Spent };
    match criticality {
        Criticality::Low => (level >= Level::Short).then_some(Deed::RefusedLow),
        Criticality::Normal => (level >= normal).then_some(Deed::RefusedNormal),
        Criticality::High => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_critical_go_first_and_the_most_critical_never() {
        let refused = |criticality, known| Level::ALL.map(|level| deed(level, criticality, known).is_some());
        for known in [false, true] {
            assert_eq!(refused(Criticality::Low, known), [false, false, true, true, true, true]);
            assert_eq!(refused(Criticality::Normal, known), [false, false, false, false, !known, true]);
            assert_eq!(refused(Criticality::High, known), [false; 6]);
        }
    }
}
