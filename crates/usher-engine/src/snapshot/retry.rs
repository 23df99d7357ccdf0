//! When a route's requests are sent again, with all defaults applied.

use std::time::Duration;

use usher_config::config::{self, Hedge, RetryOn, StatusPattern};
use usher_config::value::ByteSize;

/// Endpoints that are asked for one request, where the config does not say how many.
const USUAL_TRIES: u8 = 5;
/// Bytes of a request's body that are kept, where the config does not say how many.
const USUAL_BUFFER: ByteSize = ByteSize::kib(64);
/// The longest pause before the first retry, and before any, where the config does not say.
const USUAL_BACKOFF: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(250));

/// When requests are sent again.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    /// An endpoint could not be connected to.
    pub connect_failure: bool,
    /// It refused the request unprocessed.
    pub refused_stream: bool,
    /// The connection broke off before a response.
    pub reset: bool,
    /// The response did not begin in time.
    pub timeout: bool,
    /// The response has one of these.
    pub statuses: Box<[StatusPattern]>,
    /// How often a request is sent in all.
    pub tries: u8,
    /// Endpoints that failed are asked again, where there is no other.
    pub again: bool,
    /// How long one try may take.
    pub per_try: Option<Duration>,
    /// How long all of them may take.
    pub deadline: Option<Duration>,
    /// The field that tells endpoints how long they are waited for (milliseconds).
    pub deadline_header: Option<Box<str>>,
    /// The longest pause before the first retry, and before any.
    pub backoff: (Duration, Duration),
    /// How much of a body is kept (bytes).
    pub buffer: usize,
    /// How much of a response is taken in before it is passed on (bytes).
    pub whole: usize,
    /// Whatever the method.
    pub non_idempotent: bool,
    /// A second try beside one that takes long.
    pub hedge: Option<Hedge>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::from(&config::Retry::default())
    }
}

impl From<&config::Retry> for RetryPolicy {
    fn from(retry: &config::Retry) -> Self {
        let usual = [RetryOn::ConnectFailure, RetryOn::RefusedStream, RetryOn::Reset];
        let on = retry.on.as_deref().unwrap_or(&usual);
        let status = |on: &RetryOn| match on {
            RetryOn::Status(pattern) => Some(*pattern),
            _ => None,
        };
        Self {
            connect_failure: on.contains(&RetryOn::ConnectFailure),
            refused_stream: on.contains(&RetryOn::RefusedStream),
            reset: on.contains(&RetryOn::Reset),
            timeout: on.contains(&RetryOn::Timeout),
            statuses: on.iter().filter_map(status).collect(),
            tries: retry.tries.unwrap_or(USUAL_TRIES),
            again: retry.tries.is_some(),
            per_try: retry.per_try,
            deadline: retry.deadline,
            deadline_header: retry.deadline_header.as_deref().map(Into::into),
            backoff: (
                retry.backoff.base.unwrap_or(USUAL_BACKOFF.0),
                retry.backoff.max.unwrap_or(USUAL_BACKOFF.1),
            ),
            buffer: retry.buffer.unwrap_or(USUAL_BUFFER).bytes(),
            whole: retry.buffer_response.map_or(0, ByteSize::bytes),
            non_idempotent: retry.non_idempotent.unwrap_or_default(),
            hedge: retry.hedge.clone(),
        }
    }
}

impl RetryPolicy {
    /// Whether a try is one request to one endpoint, whose response is passed on as it comes.
    #[inline]
    pub fn is_plain(&self) -> bool {
        self.hedge.is_none() && self.whole == 0
    }

    /// Whether a response with this status is given up for another try.
    #[inline]
    pub fn covers_status(&self, status: u16) -> bool {
        !self.statuses.is_empty()
            && self.statuses.iter().any(|pattern| match pattern {
                StatusPattern::Exact(code) => *code == status,
                StatusPattern::Class(class) => *class == status / 100,
            })
    }

    /// Whether a request may be sent again after some of it was.
    pub fn resends(&self) -> bool {
        self.tries > 1 && (self.reset || self.timeout || self.refused_stream || !self.statuses.is_empty())
    }
}
