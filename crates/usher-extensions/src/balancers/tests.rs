//! What holds for every balancer.

use super::{BALANCERS, testing};

#[test]
fn only_usable_endpoints_are_picked() {
    BALANCERS.iter().for_each(|factory| testing::never_picks_unusable(factory));
}

#[test]
fn a_seed_settles_all_picks() {
    BALANCERS.iter().for_each(|factory| testing::follows_its_seed(factory));
}

#[test]
fn unknown_options_are_refused() {
    BALANCERS.iter().for_each(|factory| testing::refuses_options(factory));
}

/// What was learned or counted stays within bounds, whatever weights become.
#[test]
fn new_weights_leave_nobody_who_has_none() {
    BALANCERS.iter().for_each(|factory| testing::follows_new_weights(factory));
}

/// Each worker goes its own round: over all of them, the shares of a cluster are as even as over one, after few
/// requests. Which worker a request comes to is the kernel's choice, drawn here.
#[test]
fn round_robin_is_even_over_workers() {
    for (workers, requests, most) in [(1, 1000, 0.001), (2, 1000, 0.02), (8, 1000, 0.05), (8, 10_000, 0.005)]
    {
        let mut worst = 0.0_f64;
        for seed in 0..50 {
            worst = worst.max(testing::unevenness(&super::round_robin::FACTORY, (workers, requests), seed));
        }
        assert!(worst <= most, "{workers} workers, {requests} requests: {worst}");
    }
}
