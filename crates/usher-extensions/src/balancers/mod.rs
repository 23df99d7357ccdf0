//! Balancers: which endpoint of a cluster takes a request.

use usher_api::BalancerFactory;

/// All balancers; the first is the default.
pub const BALANCERS: &[&BalancerFactory] = &[];
