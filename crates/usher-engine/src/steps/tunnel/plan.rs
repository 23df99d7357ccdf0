//! When a WebSocket is closed, and who is told first.
//!
//! A Close ends what its receiver is told (RFC 6455 section 5.5.1). What the other side says until it has heard of it, too,
//! is lost: a round trip. So the first one is the one to whom nothing is being said, and each socket has some time to find
//! such a moment; those who are silent go first. Where the client speaks from time to time, the best moment is right behind
//! its message: the endpoint then answers, and closes; and the client waits for that.

use std::time::Duration;

use crate::worker::Drain;

/// Going away, and service restart: who hears the latter may come back at once (RFC 6455 section 7.4.1 and its registry).
const GOING_AWAY: u16 = 1001;
const RESTART: u16 = 1012;
/// The first part of the time, over which the moments are spread: that not everybody comes back in the same instant; and
/// how long a busy one has after its own. The rest is for the answers.
const SPREAD: (u64, u64) = (1, 2);
const LATER: (u64, u64) = (1, 6);
/// Whoever has not spoken for so long is silent; in the second half of the time, it will do that both have not for the shorter
/// time (milliseconds).
const SILENT: u64 = 10_000;
const QUIET: u64 = 500;
/// Whoever pauses for so long between its messages does not speak all the time (milliseconds).
const PAUSE: u64 = 100;
/// How long a side has to answer a Close (milliseconds).
const ECHO: u64 = 5000;
/// When nothing has come for so long of a message whose end is waited for, nothing more will: its sender has vanished, or its
/// receiver takes nothing (milliseconds).
pub(super) const STALL: u64 = 5000;

/// Who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Receiver {
    Client,
    Endpoint,
}

impl Receiver {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Client => Self::Endpoint,
            Self::Endpoint => Self::Client,
        }
    }
}

/// What is known of the sender of one direction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Talk {
    /// When it last spoke, if it ever did, and how long after the time before (milliseconds).
    pub spoke: Option<u64>,
    pub pause: u64,
    /// No message of its is under way.
    pub between: bool,
}

/// When and how a WebSocket is closed; moments are milliseconds of the worker's clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// From when on, if there is a good moment.
    at: u64,
    /// When any moment is good enough.
    latest: u64,
    /// When the connection ends in any case.
    pub end: u64,
    /// What both sides are told.
    pub code: u16,
}

impl Plan {
    /// For a worker that ends: a random moment in its time.
    pub(super) fn for_drain((began, drain): (u64, Drain), random: u64) -> Self {
        let code = if drain.succeeded { RESTART } else { GOING_AWAY };
        Self::within(began, drain.patience, random, code)
    }

    /// For one socket of many at an endpoint that is no longer to be used.
    pub(super) fn for_leaving(now: u64, stay: Duration, random: u64) -> Self {
        Self::within(now, stay, random, RESTART)
    }

    /// For one on which nothing is said any more. Whoever fell silent within a message is not waited for.
    pub(super) fn at_once(now: u64, between: bool) -> Self {
        let end = if between { now + 2 * ECHO } else { now };
        Self { at: now, latest: now, end, code: GOING_AWAY }
    }

    fn within(began: u64, patience: Duration, random: u64, code: u16) -> Self {
        let patience = patience.as_millis() as u64;
        let spread = part(patience, SPREAD);
        // The high bits of the product: evenly from 0 to `spread`.
        let moment = ((u128::from(random) * u128::from(spread)) >> 64) as u64;
        let at = began.saturating_add(moment);
        let (latest, end) = (at.saturating_add(part(patience, LATER)), began.saturating_add(patience));
        Self { at, latest, end, code }
    }

    /// Who is told first, if now is the moment.
    pub(super) fn first(&self, now: u64, client: Talk, endpoint: Talk) -> Option<Receiver> {
        // Nobody is interrupted within a message, as long as there is time.
        if now < self.at || now < self.latest && !(client.between && endpoint.between) {
            return None;
        }
        let since = |talk: Talk, gap| talk.spoke.is_none_or(|spoke| now.saturating_sub(spoke) >= gap);
        if since(client, SILENT) {
            // It wants nothing; the endpoint may still say what it has to.
            return Some(Receiver::Endpoint);
        }
        if since(endpoint, SILENT) {
            return Some(Receiver::Client);
        }
        // Whoever was just told something may be about to answer.
        if now >= self.middle() && since(client, QUIET) && since(endpoint, QUIET) {
            return Some(Receiver::Endpoint);
        }
        if client.spoke == Some(now) && client.pause >= PAUSE {
            return Some(Receiver::Endpoint);
        }
        let quieter = if client.spoke <= endpoint.spoke { Receiver::Endpoint } else { Receiver::Client };
        (now >= self.latest).then_some(quieter)
    }

    /// Whether any moment is good enough.
    pub(super) fn is_late(&self, now: u64) -> bool {
        now >= self.latest
    }

    /// Until when an answer to a Close is waited for.
    pub(super) fn echo(&self, now: u64) -> u64 {
        // Both sides may be slow, one after the other.
        now + ECHO.min(self.end.saturating_sub(now) / 2)
    }

    fn middle(&self) -> u64 {
        self.at.midpoint(self.latest)
    }

    /// When to look again if nobody says anything, before anybody is told.
    pub(super) fn next_look(&self, now: u64, client: Talk, endpoint: Talk) -> u64 {
        if now < self.at {
            return self.at;
        }
        let silent = [client.spoke, endpoint.spoke].into_iter().flatten().map(|spoke| spoke + SILENT);
        let quiet = client.spoke.max(endpoint.spoke).map(|spoke| (spoke + QUIET).max(self.middle()));
        let moments = silent.chain(quiet).chain([self.latest]).filter(|moment| *moment > now);
        moments.min().unwrap_or(self.end)
    }
}

fn part(whole: u64, (share, of): (u64, u64)) -> u64 {
    (u128::from(whole) * u128::from(share) / u128::from(of)) as u64
}
