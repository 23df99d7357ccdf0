use super::*;
use crate::balancers::testing;

#[test]
fn picks_follow_weights_nearly() {
    let mut all = testing::candidates(&[1, 2, 7, 30]);
    let mut balancer = testing::begin(&FACTORY, &all, 5);
    all[3].usable = false;
    let counts = testing::histogram(&mut *balancer, &all, 100_000);
    for (count, expected) in counts.iter().zip([10_000, 20_000, 70_000, 0_usize]) {
        assert!(count.abs_diff(expected) < 600, "{counts:?}");
    }
}
