//! Calls of APIs that limit how often they may be asked: deSEC takes two changes of a domain in a second, Route 53 five
//! requests, Cloudflare 1200 in five minutes. An order writes several records at once.

use std::time::{Duration, SystemTime};

use tokio::time::sleep;

use super::DnsError;
use crate::http::{Reply, retry_after};

/// How often it is asked at most.
const MAX_TRIES: u32 = 6;
/// How long is waited in all: the limits of deSEC per minute are over by then, those per hour are not.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long is waited where it does not say; twice that the next time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Whether an API refused because it was asked too often (RFC 6585 section 4), or is busy.
pub(super) fn is_limit(reply: &Reply) -> bool {
    matches!(reply.status, 429 | 503)
}

/// Calls until the answer is another than that it was too often, or until waiting has no prospect. Each call is made anew,
/// since it may be signed with the time.
pub(super) async fn patiently(
    call: impl AsyncFn() -> Result<Reply, DnsError>,
    is_limit: impl Fn(&Reply) -> bool,
) -> Result<Reply, DnsError> {
    let (mut patience, mut pause) = (PATIENCE, FIRST_PAUSE);
    for _ in 1..MAX_TRIES {
        let reply = call().await?;
        if !is_limit(&reply) {
            return Ok(reply);
        }
        let now = SystemTime::now();
        let told = retry_after(&reply.headers, now).map(|at| at.duration_since(now).unwrap_or_default());
        let wait = told.unwrap_or(pause);
        let Some(rest) = patience.checked_sub(wait) else { return Ok(reply) };
        (patience, pause) = (rest, pause * 2);
        sleep(wait).await;
    }
    call().await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use hyper::header::{HeaderMap, HeaderValue};

    use super::*;

    fn reply(status: u16, after: Option<&'static str>) -> Reply {
        let mut headers = HeaderMap::new();
        if let Some(after) = after {
            headers.insert("retry-after", HeaderValue::from_static(after));
        }
        Reply { status, headers, body: Default::default() }
    }

    /// How often an API was asked that answers so `limited` times, and what it said at last.
    async fn asked(limited: u32, answer: (u16, Option<&'static str>)) -> (u32, u16) {
        let times = Cell::new(0);
        let call = async || {
            times.set(times.get() + 1);
            Ok(if times.get() > limited { reply(200, None) } else { reply(answer.0, answer.1) })
        };
        let last = patiently(call, is_limit).await.unwrap();
        (times.get(), last.status)
    }

    #[tokio::test(start_paused = true)]
    async fn waits_as_long_as_told_and_gives_up_where_that_is_too_long() {
        assert_eq!(asked(0, (429, None)).await, (1, 200));
        assert_eq!(asked(2, (429, Some("30"))).await, (3, 200));
        assert_eq!(asked(4, (429, Some("30"))).await, (4, 429));
        assert_eq!(asked(1, (429, Some("3600"))).await, (1, 429));
        assert_eq!(asked(3, (503, None)).await, (4, 200));
        assert_eq!(asked(100, (429, Some("0"))).await, (MAX_TRIES, 429));
        assert_eq!(asked(1, (500, Some("0"))).await, (1, 500));
    }
}
