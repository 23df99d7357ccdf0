//! Filters: what a route does with a request beside forwarding it.

use usher_api::FilterFactory;

/// All filters. One line each; the order is that of the manual, not of the path of a request (see `Phase`).
pub const FILTERS: &[&FilterFactory] = &[];
