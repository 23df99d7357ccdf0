//! `outliers = …` of a cluster

use std::time::Duration;

use crate::value::Percent;

crate::section! {
    /// Endpoints that do worse than they may are left out for a while, judged by the requests that they serve. A failed
    /// request is one without a response, or with a status from 500 on but 501.
    pub default struct Outliers {
        /// So many failures in a row, over all workers, take an endpoint out at once. `0` does not count them.
        pub failures: u32 = 5,
        /// An endpoint that fails this share of its requests within an `interval` is taken out. `100%` leaves that to
        /// `failures`.
        pub failure_rate: Percent = Percent::of(50),
        /// An endpoint whose responses take this many times as long to begin as those of its cluster do on average,
        /// within an `interval`, is taken out. `0` does not look at that.
        #[range(0..=1000)]
        pub slower_than: u32 = 0,
        /// Fewer requests than this say nothing about rate and time. An endpoint that has fewer in an `interval` is judged
        /// by some of them together, up to ten.
        #[range(1..=1_000_000)]
        pub min_requests: u32 = 20,
        /// How often rate and time are looked at.
        #[range(Duration::from_millis(250)..=Duration::from_secs(3600))]
        pub interval: Duration = Duration::from_secs(10),
        /// How long an endpoint is left out for the first time; each time it is for as much longer.
        #[range(Duration::from_secs(1)..=Duration::from_secs(86_400))]
        pub ejection: Duration = Duration::from_secs(10),
        /// Never longer than this.
        #[range(Duration::from_secs(1)..=Duration::from_secs(86_400))]
        pub max_ejection: Duration = Duration::from_secs(300),
        /// No more than this share of a cluster is left out at once; one endpoint always may be, if there are two.
        pub max_ejected: Percent = Percent::of(50),
    }
}
