//! `breaker = …` of a cluster

use std::time::Duration;

use serde_json::json;

use super::StatusPattern;
use crate::decode::{Context, Decode, OneOrMany, Spanned, number_range};
use crate::document::Node;
use crate::schema::Schema;
use crate::value::Percent;

/// The longest time that makes sense to write.
const LONGEST: Duration = Duration::from_secs(86_400);

crate::section! {
    /// A circuit breaker: when too many of a cluster's requests fail, none is sent to it for a while, and clients get 503
    /// at once. Then a few requests find out whether it works again. What counts is what clients would have got: a
    /// request that was served after a retry did not fail.
    pub default struct Breaker {
        /// The circuit opens when this share of the requests within the `window` failed: no connection, no response,
        /// none in time, or a response with one of the `statuses`. That a client leaves is no failure.
        #[check(above_zero)]
        pub failure_rate: Percent = Percent::of(50),
        /// Responses that count as failures.
        pub statuses: OneOrMany<FailedStatus> = OneOrMany(GATEWAY.to_vec()),
        /// A response that takes longer than this to begin is slow. Without it, none is.
        #[range(Duration::from_millis(1)..=LONGEST)]
        pub slow: Option<Duration>,
        /// The circuit opens when this share of the requests within the `window` was slow.
        #[check(above_zero)]
        pub slow_rate: Percent = Percent::of(100),
        /// How far back it is looked.
        #[range(Duration::from_secs(1)..=Duration::from_secs(3600))]
        pub window: Duration = Duration::from_secs(10),
        /// Fewer requests than this within the `window` say nothing.
        #[range(1..=1_000_000)]
        pub min_requests: u32 = 20,
        /// How long the circuit stays open for the first time; twice as long each time that follows soon. A random part of
        /// up to a fifth is taken off, so that several proxies do not ask again at the same moment.
        #[range(Duration::from_millis(100)..=LONGEST)]
        pub open: Duration = Duration::from_secs(10),
        /// Never longer than this.
        #[range(Duration::from_millis(100)..=LONGEST)]
        pub max_open: Duration = Duration::from_secs(120),
        /// Then so many requests find out whether the cluster works. When all have succeeded the circuit is closed; when
        /// one fails it is open again.
        #[range(1..=1000)]
        pub trials: u32 = 3,
        /// The cluster that takes the requests while the circuit is open, in place of 503. Not for connections of TCP.
        pub fallback: Option<Spanned<String>>,
    }
}

/// A status that counts as a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailedStatus(pub StatusPattern);

/// What gateways in front of endpoints say when those cannot be reached or have too much to do, as in Envoy's
/// `consecutive_gateway_failure`. A plain 500 is mostly a defect of one page: taking all of a site down for it would be
/// worse than the defect, so it counts only where it is written.
const GATEWAY: [FailedStatus; 3] = [
    FailedStatus(StatusPattern::Exact(502)),
    FailedStatus(StatusPattern::Exact(503)),
    FailedStatus(StatusPattern::Exact(504)),
];

impl Decode for FailedStatus {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        match node.as_integer() {
            Some(number) => cx.value(node.span, number.to_string().parse().map(Self)),
            None => cx.parse(node, "a status such as `503`, or `5xx`", |text| text.parse().map(Self)),
        }
    }

    fn schema() -> Schema {
        let classes = [("4xx", "Statuses from 400 to 499."), ("5xx", "Statuses from 500 to 599.")];
        Schema::any_of(vec![Schema::names(&classes), number_range(Some(400), Some(599))])
    }

    fn encode(&self) -> serde_json::Value {
        match self.0 {
            StatusPattern::Exact(status) => json!(status),
            StatusPattern::Class(digit) => json!(format!("{digit}xx")),
        }
    }
}

fn above_zero(share: &Percent) -> Result<(), String> {
    if share.millionths() > 0 {
        return Ok(());
    }
    Err("`0%` would always be passed: write a share such as `50%`".to_owned())
}
