use super::*;
use proptest::prelude::*;

fn parts(field: &str, length: u64) -> Option<Vec<(u64, u64)>> {
    match parse(field.as_bytes(), length) {
        Requested::Parts(ranges) => Some(ranges.as_slice().iter().map(|r| (r.first, r.last)).collect()),
        Requested::Whole | Requested::Unsatisfiable => None,
    }
}

#[test]
fn reads_ranges() {
    for (field, length, want) in [
        ("bytes=0-499", 1000, vec![(0, 499)]),
        ("bytes=500-", 1000, vec![(500, 999)]),
        ("bytes=-500", 1000, vec![(500, 999)]),
        ("bytes=-5000", 1000, vec![(0, 999)]),
        ("bytes=0-0", 1, vec![(0, 0)]),
        ("bytes=0-18446744073709551615", 10, vec![(0, 9)]),
        ("bytes=0-99999999999999999999999", 10, vec![(0, 9)]),
        ("bytes=-99999999999999999999999", 10, vec![(0, 9)]),
        ("BYTES=1-2", 10, vec![(1, 2)]),
        ("bytes= 0-0 ,, 9-9\t,", 10, vec![(0, 0), (9, 9)]),
        ("bytes=9-9,0-0", 10, vec![(9, 9), (0, 0)]),
        ("bytes=0-0,50-60", 10, vec![(0, 0)]),
        ("bytes=0-4,2-6", 10, vec![(0, 6)]),
        ("bytes=5-9,0-5", 10, vec![(0, 9)]),
        ("bytes=8-9,0-9,1-2", 10, vec![(0, 9)]),
        ("bytes=7-7,0-1,1-2", 10, vec![(0, 2), (7, 7)]),
        ("bytes=0-1,2-3", 10, vec![(0, 1), (2, 3)]),
    ] {
        assert_eq!(parts(field, length), Some(want), "{field}");
    }
}

#[test]
fn malformed_or_foreign_is_ignored() {
    let many = format!("bytes=0-0{}", ",2-2".repeat(MAX_RANGES));
    for field in [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=a-b",
        "bytes=1",
        "bytes=-",
        "bytes=--1",
        "bytes=2-1",
        "bytes=0-1-2",
        "bytes=+1-2",
        "bytes=0 -1",
        "bytes=0- 1",
        "bytes=0x1-2",
        "bytes =0-1",
        "lines=0-1",
        "bytes:0-1",
        "bytes=0-1;2-3",
        "bytes=0-1,x",
        &many,
    ] {
        assert_eq!(parse(field.as_bytes(), 10), Requested::Whole, "{field:?}");
    }
    assert!(parts(&many[..many.len() - 4], 10).is_some(), "16 ranges are taken");
    assert_eq!(parse(b"bytes=-5", 0), Requested::Whole);
    let outside = format!("bytes=50-{}", ",50-".repeat(MAX_RANGES));
    assert_eq!(parse(outside.as_bytes(), 10), Requested::Whole, "ranges outside count too");
}

#[test]
fn outside_is_unsatisfiable() {
    for (field, length) in [
        ("bytes=10-", 10),
        ("bytes=10-20,30-", 10),
        ("bytes=0-0", 0),
        ("bytes=-0", 10),
        ("bytes=99999999999999999999999-", 10),
    ] {
        assert_eq!(parse(field.as_bytes(), length), Requested::Unsatisfiable, "{field}");
    }
}

#[test]
fn tells_one_range_from_many() {
    let Requested::Parts(one) = parse(b"bytes=2-4,3-5", 10) else { panic!("parts") };
    assert_eq!((one.single(), one.total()), (Some(ByteRange { first: 2, last: 5 }), 4));
    let Requested::Parts(two) = parse(b"bytes=0-1,8-9", 10) else { panic!("parts") };
    assert_eq!((two.single(), two.total()), (None, 4));
}

#[test]
fn writes_content_range() {
    let mut out = Vec::new();
    ByteRange { first: 5, last: 9 }.write_content_range(10, &mut out);
    assert_eq!(out, b"bytes 5-9/10");
    out.clear();
    write_unsatisfied(10, &mut out);
    assert_eq!(out, b"bytes */10");
}

proptest! {
    #[test]
    fn never_selects_more_than_there_is(field in "bytes=[0-9, -]{0,60}", length in 0_u64..100) {
        if let Requested::Parts(ranges) = parse(field.as_bytes(), length) {
            prop_assert!(!ranges.as_slice().is_empty());
            prop_assert!(ranges.total() <= length);
            prop_assert!(ranges.as_slice().iter().all(|r| r.first <= r.last && r.last < length));
        }
    }

    #[test]
    fn never_panics(field in prop::collection::vec(any::<u8>(), 0..40), length in any::<u64>()) {
        let _ = parse(&field, length);
        let _ = parse(&[b"bytes=", &field[..]].concat(), length);
    }
}
