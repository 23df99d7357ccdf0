//! `retry` and `retry_budget`

use std::time::Duration;

use serde_json::json;

use super::StatusPattern;
use super::route::is_token_byte;
use crate::decode::{Context, Decode, OneOrMany, number_range};
use crate::document::Node;
use crate::schema::Schema;
use crate::value::{ByteSize, Percent, ValueError};

/// The longest wait that makes sense to write.
const LONGEST: Duration = Duration::from_secs(86_400);
/// The shortest.
const SHORTEST: Duration = Duration::from_millis(1);

crate::section! {
    /// When a request is sent again, to another endpoint if there is one. Only what cannot do harm is: nothing of the
    /// request was sent, or its method is idempotent (RFC 9110 section 9.2.2), unless `non_idempotent` says otherwise.
    #[bare(on)]
    pub default struct Retry {
        /// What makes a request be sent again. Without it: `connect_failure`, `refused_stream` and `reset`.
        pub on: Option<OneOrMany<RetryOn>>,
        /// How often a request is sent in all; `1` is no retry. An endpoint that has failed is asked again when there
        /// is no other. Without it, each endpoint is asked once, and at most five are.
        #[range(1..=10)]
        pub tries: Option<u8>,
        /// How long one try may take: to connect, and then to begin the response. The time in which the client sends its
        /// body does not count. Without it, `timeouts.upstream.connect` and `first_byte` alone hold.
        #[range(SHORTEST..=LONGEST)]
        pub per_try: Option<Duration>,
        /// How long all tries together may take, with the pauses between them, until a response begins; the answer is
        /// 504 then. The time in which the client sends its body does not count.
        #[range(SHORTEST..=LONGEST)]
        pub deadline: Option<Duration>,
        /// A field that tells endpoints how long they are waited for, in milliseconds. Without it, none does. The
        /// `grpc-timeout` of a call of gRPC always says what is left of it.
        #[check(field_name)]
        pub deadline_header: Option<String>,
        /// The pauses between tries.
        pub backoff: Backoff = Backoff::default(),
        /// How much of a request's body is kept, so that it can be sent again; a longer one is sent once. Without it,
        /// 64 KiB. Only bodies of requests that may be sent again are kept, and only until the response begins.
        #[range(ByteSize(0)..=ByteSize::mib(16))]
        pub buffer: Option<ByteSize>,
        /// A response up to this size is passed on only when all of it is there. So one that breaks off can be asked for
        /// again, as after a `reset`; without this, nobody can once the client has seen its head. It counts as not
        /// begun until then: `per_try` and `deadline` bound all of it. Longer ones are passed on when so much of them
        /// has come, and what comes bit by bit (`text/event-stream`, gRPC) at once. Only for requests that may be sent
        /// again. Without it, or with `0B`, every response is passed on as it comes.
        #[range(ByteSize(0)..=ByteSize::mib(16))]
        pub buffer_response: Option<ByteSize>,
        /// Whether requests are sent again whose method is not idempotent, such as `POST`, although an endpoint may have
        /// acted on them already. Without it, they are not.
        pub non_idempotent: Option<bool>,
        /// A second try beside the first one, when that takes long: the response that begins first is passed on, and the
        /// other try is broken off. Only for requests without a body whose method is idempotent.
        pub hedge: Option<Hedge>,
    }
}

crate::section! {
    /// The pauses between tries: a random time, up to one that doubles with each.
    pub default struct Backoff {
        /// The longest pause before the first retry. Without it, 25 ms. There is none where an endpoint could not be
        /// connected to and another one is asked.
        #[range(Duration::ZERO..=LONGEST)]
        pub base: Option<Duration>,
        /// The longest pause before any. Without it, 250 ms.
        #[range(Duration::ZERO..=LONGEST)]
        pub max: Option<Duration>,
    }
}

crate::section! {
    /// A second try beside a first one that takes long.
    #[bare(after)]
    pub struct Hedge {
        /// When a try takes long: a time, or `p95` for the time in which 95 of 100 responses of the cluster have begun, as
        /// each worker has seen them. Before a worker has seen enough of them, there is no second try.
        pub after: HedgeAfter,
        /// For how many of the requests that go to the cluster there may be one, over the last ten seconds.
        pub max: Percent = Percent::of(5),
    }
}

crate::section! {
    /// How many requests may be sent again, of all that go to a cluster, so that an outage is not made worse. What was
    /// not sent at all, as an endpoint could not be connected to, may always go to another endpoint. Each worker counts
    /// for itself, over the last ten seconds.
    #[bare(share)]
    pub default struct RetryBudget {
        /// The share of requests.
        pub share: Percent = Percent::of(20),
        /// So many per second in any case, so that a few requests can be sent again where there are only a few.
        #[range(0..=1_000_000)]
        pub per_second: u32 = 3,
    }
}

/// What makes a request be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryOn {
    /// The endpoint could not be connected to.
    ConnectFailure,
    /// The endpoint refused the request unprocessed.
    RefusedStream,
    /// The connection broke off before a response.
    Reset,
    /// The response did not begin in time.
    Timeout,
    /// The response has this status.
    Status(StatusPattern),
}

/// When a try takes long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HedgeAfter {
    /// After this time.
    Time(Duration),
    /// After the time in which so many of a hundred responses have begun.
    Percentile(u8),
}

impl Decode for HedgeAfter {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let number = node.as_str().and_then(|text| text.strip_prefix('p'));
        if let Some(number) = number.and_then(|digits| digits.parse::<u8>().ok()) {
            if (50..=99).contains(&number) {
                return Some(Self::Percentile(number));
            }
            cx.error(node.span, format!("`p{number}` is out of range: `p50` to `p99` can be written here"));
            return None;
        }
        let time = Duration::decode(node, cx)?;
        if !(SHORTEST..=LONGEST).contains(&time) {
            cx.error(node.span, "the time is out of range: `1ms` to `1d` can be written here");
            return None;
        }
        Some(Self::Time(time))
    }

    fn schema() -> Schema {
        Schema::any_of(vec![Duration::schema(), Schema::text("percentile").example("p95")])
    }

    fn encode(&self) -> serde_json::Value {
        match self {
            Self::Time(time) => time.encode(),
            Self::Percentile(number) => json!(format!("p{number}")),
        }
    }
}

/// The conditions that have names.
const NAMES: [(&str, RetryOn, &str); 4] = [
    ("connect_failure", RetryOn::ConnectFailure, "The endpoint could not be connected to, or not in time."),
    ("refused_stream", RetryOn::RefusedStream, "The endpoint refused it unprocessed (HTTP/2 and 3)."),
    ("reset", RetryOn::Reset, "The connection or the stream broke off before a response."),
    ("timeout", RetryOn::Timeout, "The response did not begin in time."),
];

impl Decode for RetryOn {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let status = |text: &str| text.parse().map(Self::Status);
        if let Some(number) = node.as_integer() {
            return cx.value(node.span, status(&number.to_string()));
        }
        cx.parse(node, "a condition such as `reset`, or a status such as `503`", |text| {
            if let Some((_, condition, _)) = NAMES.iter().find(|(name, ..)| *name == text) {
                return Ok(*condition);
            }
            status(text).map_err(|_| {
                let names: Vec<&str> = NAMES.iter().map(|(name, ..)| *name).collect();
                let help = match crate::suggest::closest(text, names.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("write `{}`, a status such as `503`, or `5xx`", names.join("`, `")),
                };
                ValueError::new(format!("`{text}` is not a reason to send a request again")).help(help)
            })
        })
    }

    fn schema() -> Schema {
        let classes = [("4xx", "Statuses from 400 to 499."), ("5xx", "Statuses from 500 to 599.")];
        let names: Vec<_> = NAMES.iter().map(|(name, _, what)| (*name, *what)).chain(classes).collect();
        Schema::any_of(vec![Schema::names(&names), number_range(Some(400), Some(599))])
    }

    fn encode(&self) -> serde_json::Value {
        match self {
            Self::Status(StatusPattern::Exact(status)) => json!(status),
            Self::Status(StatusPattern::Class(digit)) => json!(format!("{digit}xx")),
            named => {
                let name = NAMES.iter().find(|(_, condition, _)| condition == named);
                json!(name.map(|(name, ..)| name))
            }
        }
    }
}

/// A field's name is a token (RFC 9110, section 5.1).
fn field_name(name: &Option<String>) -> Result<(), String> {
    let Some(name) = name else { return Ok(()) };
    let is_reserved = ["host", "content-length", "transfer-encoding", "connection", "te", "upgrade"]
        .iter()
        .any(|reserved| name.eq_ignore_ascii_case(reserved));
    if !name.is_empty() && name.len() <= 64 && name.bytes().all(is_token_byte) && !is_reserved {
        return Ok(());
    }
    Err(format!("`{name}` is not the name of a field: write one such as `X-Deadline-Ms`"))
}

impl Retry {
    /// These settings, and where they say nothing, the other's.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self {
            on: self.on.clone().or_else(|| other.on.clone()),
            tries: self.tries.or(other.tries),
            per_try: self.per_try.or(other.per_try),
            deadline: self.deadline.or(other.deadline),
            deadline_header: self.deadline_header.clone().or_else(|| other.deadline_header.clone()),
            backoff: Backoff {
                base: self.backoff.base.or(other.backoff.base),
                max: self.backoff.max.or(other.backoff.max),
            },
            buffer: self.buffer.or(other.buffer),
            buffer_response: self.buffer_response.or(other.buffer_response),
            non_idempotent: self.non_idempotent.or(other.non_idempotent),
            hedge: self.hedge.clone().or_else(|| other.hedge.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nearer_holds_key_by_key() {
        let near = Retry { tries: Some(2), buffer: Some(ByteSize(1)), ..Retry::default() };
        let far = Retry {
            on: Some(OneOrMany(vec![RetryOn::Reset])),
            tries: Some(9),
            backoff: Backoff { base: Some(SHORTEST), max: None },
            ..Retry::default()
        };
        let both = near.or(&far);
        assert_eq!((both.tries, both.buffer), (Some(2), Some(ByteSize(1))));
        assert_eq!((both.on, both.backoff.base), (far.on, Some(SHORTEST)));
        assert_eq!((both.per_try, both.backoff.max, both.non_idempotent), (None, None, None));
    }
}
