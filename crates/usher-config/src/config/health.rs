//! `health` of `[cluster.NAME]`

use std::time::Duration;

use super::cluster::is_host;
use crate::decode::Spanned;
use crate::value::Percent;

crate::section! {
    /// Endpoints are asked again and again whether they are well. One that is not gets no requests until it is. Without
    /// further keys, `GET /` is sent, and a status from 200 to 399 is well.
    pub default struct Health {
        /// How an endpoint is asked: the name of a probe. Its options stand beside this key. Without it, `http`.
        pub probe: Option<Spanned<String>>,
        /// The time from one question to the next.
        #[range(Duration::from_millis(10)..=Duration::from_secs(86_400))]
        pub interval: Duration = Duration::from_secs(5),
        /// How much longer or shorter than `interval` each pause is, at random, so that many proxies do not ask at the
        /// same moments.
        pub jitter: Percent = Percent::of(10),
        /// How long an answer may take, connecting included.
        #[range(Duration::from_millis(10)..=Duration::from_secs(300))]
        pub timeout: Duration = Duration::from_secs(2),
        /// An endpoint that is out comes back after so many good answers in a row.
        #[range(1..=1000)]
        pub healthy_after: u32 = 2,
        /// An endpoint is out after so many bad answers in a row. The first question that a cluster's endpoints are
        /// ever asked counts at once.
        #[range(1..=1000)]
        pub unhealthy_after: u32 = 3,
        /// The port that is asked, in place of the endpoint's own.
        #[range(1..=65_535)]
        pub port: Option<u16>,
        /// What endpoints see as `Host`, in place of what the cluster's `host` says; where that is what the client
        /// sent, the endpoint's address.
        #[check(host_name)]
        pub host: Option<String>,
        ..
        /// Options of the probe.
        options
    }
}

fn host_name(host: &Option<String>) -> Result<(), String> {
    match host {
        Some(host) if !is_host(host) => Err(format!("`{host}` is not a host name")),
        _ => Ok(()),
    }
}
