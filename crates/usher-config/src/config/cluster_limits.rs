//! `limits = …` of a cluster

use std::time::Duration;

crate::section! {
    /// How much endpoints are given at once, over all workers. What is beyond that waits in a queue, so that an endpoint
    /// works on as many requests as it can do well, rather than on all of them badly.
    pub default struct ClusterLimits {
        /// Requests and tunnels at one endpoint; `0` is no limit.
        pub per_endpoint: u32 = 0,
        /// Requests and tunnels at all endpoints of the cluster; `0` is no limit.
        pub total: u32 = 0,
        /// Requests that may wait for their turn. One more is answered with 503.
        pub queue: u32 = 1024,
        /// How long a request may wait; then it is answered with 503.
        #[range(Duration::ZERO..=Duration::from_secs(3600))]
        pub queue_timeout: Duration = Duration::from_secs(10),
    }
}
