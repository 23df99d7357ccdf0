//! `limits = …` of a cluster

use std::time::Duration;

use super::Switch;
use crate::value::Percent;

crate::section! {
    /// How much endpoints are given at once, over all workers. What is beyond that waits in a queue, so that an endpoint
    /// works on as many requests as it can do well, rather than on all of them badly.
    pub default struct ClusterLimits {
        /// Requests and tunnels at one endpoint; `0` is no limit.
        pub per_endpoint: u32 = 0,
        /// Requests and tunnels at all endpoints of the cluster; `0` is no limit.
        pub total: u32 = 0,
        /// A limit on requests at all endpoints that finds itself, by how long responses take: `true`, or a table. `total`
        /// holds beside it.
        pub adaptive: Switch<Adaptive> = Switch::Off,
        /// Requests that may wait for their turn. One more is answered with 503. Without it 1024, but none with
        /// `adaptive`: there, waiting would hide what the limit is to prevent.
        pub queue: Option<u32>,
        /// How long a request may wait; then it is answered with 503.
        #[range(Duration::ZERO..=Duration::from_secs(3600))]
        pub queue_timeout: Duration = Duration::from_secs(10),
    }
}

crate::section! {
    /// A limit that finds itself: it grows while responses begin as soon as they do without load, and shrinks as they take
    /// longer. So endpoints are given as much as they can do, and what is beyond that is answered with 503 at once rather
    /// than make everybody wait.
    pub default struct Adaptive {
        /// The limit never goes below this.
        #[range(1..=100_000)]
        pub min: u32 = 10,
        /// Nor above this.
        #[range(1..=1_000_000)]
        pub max: u32 = 1000,
        /// Where it begins, within these.
        #[range(1..=1_000_000)]
        pub initial: u32 = 100,
        /// How much longer than without load responses may take to begin before the limit shrinks.
        pub tolerance: Percent = Percent::of(25),
        /// How often it is found out how long they take without load: for some hundred requests, the limit is half of what
        /// it was. Up to a tenth earlier or later, so that several proxies do not do so at the same moment.
        #[range(Duration::from_secs(1)..=Duration::from_secs(3600))]
        pub interval: Duration = Duration::from_secs(60),
    }
}

/// Requests that may wait, where the config does not say.
const USUAL_QUEUE: u32 = 1024;

impl ClusterLimits {
    /// Whether any is set.
    #[inline]
    pub fn are_set(&self) -> bool {
        self.per_endpoint > 0 || self.total > 0 || self.adaptive.on().is_some()
    }

    /// How many requests may wait.
    pub fn longest_queue(&self) -> u32 {
        let usual = if self.adaptive.on().is_some() { 0 } else { USUAL_QUEUE };
        self.queue.unwrap_or(usual)
    }
}
