use std::io;

use super::Failures;
use crate::error::{Error, ErrorKind, Side};

fn noted(error: &Error) -> String {
    let mut failures = Failures::default();
    failures.note("10.0.0.1:80", error);
    failures.as_str().to_owned()
}

#[test]
fn says_which_endpoint_failed_and_why() {
    let error = |kind| Error::new(Side::Upstream, kind);
    let system = |code| error(ErrorKind::ConnectFailed).caused_by(io::Error::from_raw_os_error(code));
    let table = [
        (system(111), "10.0.0.1:80: connection refused"),
        (system(110), "10.0.0.1:80: timed out"),
        (system(113), "10.0.0.1:80: host unreachable"),
        (system(2), "10.0.0.1:80: no such socket"),
        (system(24), "10.0.0.1:80: No file descriptors available (os error 24)"),
        (error(ErrorKind::ConnectTimeout), "10.0.0.1:80: timed out"),
        (error(ErrorKind::Malformed).detail("bad status line"), "10.0.0.1:80: bad status line"),
        (error(ErrorKind::FirstByteTimeout), "10.0.0.1:80: first_byte_timeout"),
    ];
    for (error, expected) in table {
        let got = noted(&error);
        // The words for a system's error are those of its C library.
        if expected.contains("os error") {
            assert!(got.starts_with("10.0.0.1:80: ") && got.contains("os error 24"), "{got}");
        } else {
            assert_eq!(got, expected);
        }
    }
}

#[test]
fn is_bounded() {
    let mut failures = Failures::default();
    let error = Error::new(Side::Upstream, ErrorKind::ConnectTimeout);
    failures.note("a", &error);
    failures.note("b", &error);
    assert_eq!(failures.as_str(), "a: timed out; b: timed out");
    (0..100).for_each(|_| failures.note(&"ü".repeat(99), &error));
    assert!((Failures::MAX_BYTES - 1..=Failures::MAX_BYTES).contains(&failures.as_str().len()));
    failures.clear();
    assert_eq!(failures.as_str(), "");
}
