//! OCSP responses: only what the CA has signed is good, whole and with nothing behind it, and only in its time. The input is
//! also taken for what would be signed, since nothing that is made up gets past the signature.
#![no_main]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use libfuzzer_sys::fuzz_target;
use usher_certs::fuzzing::{good, good_unsigned};
use usher_fuzz::cuts;

/// A certificate, and the CA that has signed the seeds.
const LEAF: &[u8] = include_bytes!("../src/ocsp/leaf.der");
const ISSUER: &[u8] = include_bytes!("../src/ocsp/issuer.der");
/// From when until when the seeds are valid, in seconds since 1970.
const SINCE: u64 = 1795274295;
const UNTIL: u64 = SINCE + 4 * 86_400;
/// How much clocks may differ (seconds).
const SKEW: u64 = 300;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fuzz_target!(|data: &[u8]| {
    let now = at(SINCE + 3600);
    let ask = |data: &[u8], now| good(data, LEAF, ISSUER, now);
    if let Some(found) = ask(data, now) {
        assert_eq!(found, (at(SINCE), at(UNTIL)));
        assert_eq!(ask(data, at(UNTIL)), None, "after its end");
        assert_eq!(ask(data, at(SINCE - SKEW - 1)), None, "before its beginning");
        assert_eq!(ask(&[data, &[0]].concat(), now), None, "with something behind it");
        cuts(data).for_each(|cut| assert_eq!(ask(&data[..cut], now), None, "after {cut} bytes"));
        assert_eq!(good(data, ISSUER, ISSUER, now), None, "of another certificate");
    }
    if let Some((since, until)) = good_unsigned(data, LEAF, ISSUER, now) {
        assert!(since <= now + Duration::from_secs(SKEW) && until > now);
        let again = (since, until);
        let behind = [data, &[0]].concat();
        assert_eq!(good_unsigned(&behind, LEAF, ISSUER, now), Some(again), "a value ends where it says");
        cuts(data).for_each(|cut| {
            let part = good_unsigned(&data[..cut], LEAF, ISSUER, now);
            assert!(part.is_none_or(|part| part == again), "after {cut} bytes");
        });
    }
});
