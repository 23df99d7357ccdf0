use super::by_weight;

#[test]
fn draws_by_weight() {
    let weights = [90u32, 0, 10];
    let mut counts = [0u32; 3];
    for i in 0..10_000u64 {
        counts[by_weight(i.wrapping_mul(0x9E37_79B9_7F4A_7C15), weights.into_iter())] += 1;
    }
    assert_eq!(counts[1], 0, "a weight of 0 is never drawn");
    assert!((8_900..=9_100).contains(&counts[0]), "{counts:?}");
    assert_eq!(by_weight(u64::MAX, weights.into_iter()), 2);
    assert_eq!(by_weight(0, weights.into_iter()), 0);
}
