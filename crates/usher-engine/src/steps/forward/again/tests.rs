use std::io;

use usher_config::config;

use super::*;

#[test]
fn faults_are_told_by_what_failed() {
    let at = |side, kind| Error::new(side, kind);
    for (error, fault) in [
        (at(Side::Upstream, ErrorKind::ConnectFailed).untouched(), Some(Fault::Connect)),
        (at(Side::Upstream, ErrorKind::ConnectTimeout).untouched(), Some(Fault::Connect)),
        (at(Side::Upstream, ErrorKind::Disconnected).untouched(), Some(Fault::Refused)),
        (at(Side::Upstream, ErrorKind::Disconnected), Some(Fault::Reset)),
        (at(Side::Upstream, ErrorKind::Disconnected).caused_by(io::Error::other("x")), Some(Fault::Reset)),
        (at(Side::Upstream, ErrorKind::FirstByteTimeout), Some(Fault::Timeout)),
        (at(Side::Upstream, ErrorKind::IdleTimeout), Some(Fault::Timeout)),
        (at(Side::Upstream, ErrorKind::Malformed), None),
        (at(Side::Downstream, ErrorKind::Disconnected), None),
        (at(Side::Downstream, ErrorKind::IdleTimeout), None),
        (at(Side::Proxy, ErrorKind::Internal), None),
    ] {
        assert_eq!(Fault::of(&error), fault, "{error:?}");
    }
}

#[test]
fn pauses_double_up_to_the_longest() {
    let policy = RetryPolicy {
        backoff: (Duration::from_millis(25), Duration::from_millis(250)),
        ..RetryPolicy::from(&config::Retry::default())
    };
    let mut tries: Tries<'_, usher_net::Stream> = Tries::new(&policy);
    for longest in [25, 50, 100, 200, 250, 250] {
        let longest = Duration::from_millis(longest);
        assert_eq!(tries.pause(0), Duration::ZERO);
        assert_eq!(tries.pause(u64::MAX / 2 + 1), longest / 2);
        assert!(tries.pause(u64::MAX) < longest && tries.pause(u64::MAX) > longest * 99 / 100);
        tries.pauses += 1;
    }
}
