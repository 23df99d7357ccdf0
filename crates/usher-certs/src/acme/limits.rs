//! Limits of our own, well below those of CAs, so that a mistake here can never use up the week of a domain.
//!
//! Let's Encrypt allows 300 new orders per account in 3 hours, 5 failed validations per name in an hour, and 5 certificates
//! for the same names in a week.

use std::time::{Duration, SystemTime};

use super::explain::{Failure, FailureKind};
use crate::storage::{Meta, Storage, count_since, is_recent};
use crate::time::{from_unix, unix_seconds};

/// New orders at a CA …
const ORDERS: usize = 150;
/// … of which so many may be for names that handshakes asked for: whoever can make up names that are allowed must not
/// hold up the renewal of the others.
const ORDERS_ON_DEMAND: usize = 100;
/// … in this time.
const ORDERS_TIME: Duration = Duration::from_secs(3 * 3600);
/// Failed validations of a certificate …
const FAILED_VALIDATIONS: usize = 4;
/// … in this time.
const FAILED_VALIDATIONS_TIME: Duration = Duration::from_secs(3600);
/// Certificates for the same names …
const DUPLICATES: usize = 4;
/// … in this time.
const DUPLICATES_TIME: Duration = Duration::from_secs(7 * 24 * 3600);

const SO_NOT_ASKED: &str = ", so the CA is not asked for now; the last one: ";

fn limited(sentence: String, moments: &[SystemTime], (count, time): (usize, Duration)) -> Failure {
    // Below the limit again when the oldest of the last `count` is out of the time.
    let oldest = moments.iter().rev().nth(count.saturating_sub(1)).copied();
    Failure {
        kind: FailureKind::RateLimited,
        sentence,
        retry_after: oldest.map(|at| at + time + Duration::from_secs(1)),
    }
}

/// Whether this certificate may be ordered now.
pub(super) fn check_certificate(meta: &Meta, now: SystemTime) -> Result<(), Failure> {
    if count_since(&meta.failed_validations, now, FAILED_VALIDATIONS_TIME) >= FAILED_VALIDATIONS {
        let last = meta.last_error.as_deref().unwrap_or("see the log");
        // The last error may be this sentence already.
        let last = last.split_once(SO_NOT_ASKED).map_or(last, |(_, last)| last);
        let sentence = format!("{FAILED_VALIDATIONS} validations failed within an hour{SO_NOT_ASKED}{last}");
        return Err(limited(
            sentence,
            &meta.failed_validations,
            (FAILED_VALIDATIONS, FAILED_VALIDATIONS_TIME),
        ));
    }
    if count_since(&meta.issued, now, DUPLICATES_TIME) >= DUPLICATES {
        let sentence = format!(
            "{DUPLICATES} certificates for these names were issued within a week, so no further one is ordered for now: is the \
             storage lost or emptied?"
        );
        return Err(limited(sentence, &meta.issued, (DUPLICATES, DUPLICATES_TIME)));
    }
    Ok(())
}

/// Counts a new order at the CA with this folder, if there may be one. `is_new` is for a name that a handshake has asked for
/// and that has no certificate yet.
pub(super) fn count_order(
    storage: &Storage,
    folder: &str,
    is_new: bool,
    now: SystemTime,
) -> Result<(), Failure> {
    let file = format!("{folder}/orders.json");
    let local = |error: crate::storage::StorageError| Failure::local(error.to_string());
    let bytes = storage.read(&file).map_err(local)?.unwrap_or_default();
    let seconds: Vec<i64> = serde_json::from_slice(&bytes).unwrap_or_default();
    let moments = seconds.into_iter().filter_map(from_unix).filter(|at| is_recent(*at, now, ORDERS_TIME));
    let mut moments: Vec<SystemTime> = moments.collect();
    let most = if is_new { ORDERS_ON_DEMAND } else { ORDERS };
    if moments.len() >= most {
        let sentence = format!(
            "{} orders were placed within 3 hours: the rest waits, as CAs limit how many there may be",
            moments.len()
        );
        return Err(limited(sentence, &moments, (most, ORDERS_TIME)));
    }
    moments.push(now);
    let seconds: Vec<i64> = moments.into_iter().map(unix_seconds).collect();
    storage.write(&file, &serde_json::to_vec(&seconds).unwrap_or_default()).map_err(local)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    fn at(minutes: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_000_000 + 60 * minutes)
    }

    #[test]
    fn stops_before_the_ca_does() {
        let mut meta = Meta { failed_validations: vec![at(0), at(10), at(20)], ..Meta::default() };
        assert!(check_certificate(&meta, at(30)).is_ok());
        meta.failed_validations.push(at(30));
        let failure = check_certificate(&meta, at(40)).unwrap_err();
        assert_eq!(failure.kind, FailureKind::RateLimited);
        let again = failure.retry_after.unwrap();
        assert!(check_certificate(&meta, again - Duration::from_secs(2)).is_err());
        assert!(check_certificate(&meta, again).is_ok());
        let meta = Meta { issued: vec![at(0); 4], ..Meta::default() };
        assert!(check_certificate(&meta, at(60)).is_err());
        assert!(check_certificate(&meta, at(8 * 24 * 60)).is_ok());
    }

    #[test]
    fn counts_orders_per_authority_over_restarts() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..ORDERS {
            let storage = Storage::open(folder.path()).unwrap();
            count_order(&storage, "accounts/a", false, at(0)).unwrap();
        }
        let storage = Storage::open(folder.path()).unwrap();
        assert!(count_order(&storage, "accounts/a", false, at(100)).is_err());
        assert!(count_order(&storage, "accounts/b", false, at(100)).is_ok());
        assert!(count_order(&storage, "accounts/a", false, at(181)).is_ok());
    }

    #[test]
    fn names_that_handshakes_ask_for_leave_room_for_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::open(folder.path()).unwrap();
        let placed = (0..ORDERS).filter(|_| count_order(&storage, "accounts/a", true, at(0)).is_ok());
        assert_eq!(placed.count(), ORDERS_ON_DEMAND);
        for _ in ORDERS_ON_DEMAND..ORDERS {
            count_order(&storage, "accounts/a", false, at(1)).unwrap();
        }
        assert!(count_order(&storage, "accounts/a", false, at(1)).is_err());
    }

    #[test]
    fn a_clock_that_was_ahead_stops_nothing_when_it_is_right_again() {
        let year = 365 * 24 * 60;
        let ahead = vec![at(10 * year); DUPLICATES];
        let meta = Meta { issued: ahead.clone(), failed_validations: ahead, ..Meta::default() };
        assert!(check_certificate(&meta, at(0)).is_ok());
        // Set back by an hour, they count on.
        let meta = Meta { issued: vec![at(60); DUPLICATES], ..Meta::default() };
        assert!(check_certificate(&meta, at(0)).is_err());
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::open(folder.path()).unwrap();
        for _ in 0..ORDERS {
            count_order(&storage, "accounts/a", false, at(10 * year)).unwrap();
        }
        assert!(count_order(&storage, "accounts/a", false, at(0)).is_ok());
        // What is no moment at all is none either, and nothing is reckoned with it.
        storage.write("accounts/b/orders.json", format!("[{}]", i64::MAX).as_bytes()).unwrap();
        assert!(count_order(&storage, "accounts/b", false, at(0)).is_ok());
    }
}
