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

/// A balancer that gets options checks them in a test of its own, and leaves this one.
#[test]
fn unknown_options_are_refused() {
    BALANCERS.iter().for_each(|factory| testing::refuses_options(factory));
}
