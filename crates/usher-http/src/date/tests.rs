use super::*;
use proptest::prelude::*;

const EXAMPLE: u64 = 784_111_777;

#[test]
fn formats_imf_fixdate() {
    for (second, want) in [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (EXAMPLE, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (LAST_SECOND, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (LAST_SECOND + 1, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ] {
        assert_eq!(std::str::from_utf8(&format(second)), Ok(want), "{second}");
    }
}

#[test]
fn reads_three_formats() {
    for text in
        ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
    {
        assert_eq!(parse(text.as_bytes()), Some(EXAMPLE), "{text}");
    }
    for text in [
        "",
        "0",
        "-1",
        "now",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1960 08:49:37 GMT",
        "Sün, 06 Nov 1994 08:49:37 GMT",
    ] {
        assert_eq!(parse(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn cache_follows_the_clock_both_ways() {
    let mut cache = DateCache::new();
    for second in [0, 1, 1, EXAMPLE, EXAMPLE + 1, EXAMPLE, 0] {
        assert_eq!(*cache.get(second), format(second), "{second}");
    }
}

proptest! {
    #[test]
    fn reading_undoes_formatting(second in 0..=LAST_SECOND) {
        prop_assert_eq!(parse(&format(second)), Some(second));
    }

    #[test]
    fn never_panics(
        bytes in prop::collection::vec(any::<u8>(), 0..40),
        near in "(Sun|Sunday),? [0-9]{0,2}[ -]Nov[ -][0-9]{2,4} [0-9:]{8} GMT",
    ) {
        let _ = (parse(&bytes), parse(near.as_bytes()));
    }
}
