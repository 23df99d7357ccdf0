//! The section `hsts`.

use std::time::Duration;

usher_config::section! {
    /// Tells browsers to come to this host by HTTPS only (RFC 6797).
    #[bare(max_age)]
    pub struct Hsts {
        /// How long browsers remember it. `0s` makes them forget.
        #[range(Duration::ZERO..=Duration::from_secs(315_360_000))]
        pub max_age: Duration,
        /// For all subdomains too.
        pub subdomains: bool = false,
        /// Ask for the host to be built into browsers. It is hard to take back.
        pub preload: bool = false,
    }
}
