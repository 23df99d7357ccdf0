//! The section of `peak_ewma`.

use std::time::Duration;

usher_config::section! {
    /// Of two endpoints at random, the one that answers sooner, given its requests under way, is next.
    pub default struct PeakEwma {
        /// In this time, what was measured loses nearly two thirds of its weight. Shorter forgets a slow endpoint
        /// sooner; longer is calmer.
        #[range(Duration::from_millis(100)..=Duration::from_secs(3600))]
        pub decay: Duration = Duration::from_secs(10),
        /// What a failed request counts as: an endpoint that fails fast must not look fast.
        #[range(Duration::from_millis(1)..=Duration::from_secs(600))]
        pub failure: Duration = Duration::from_secs(1),
    }
}
