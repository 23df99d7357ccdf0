//! Counters by class, kind, refusal and reason.

use std::sync::OnceLock;

use super::number::Counter;
use crate::error::ErrorKind;

/// Why a connection was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There are as many connections as the config allows.
    Limit,
    /// There are as many from this address as the config allows.
    ClientLimit,
    /// The operating system reported an error.
    AcceptError,
    /// A PROXY protocol header was expected and did not come or was not valid.
    ProxyProtocol,
    /// There are as many TLS handshakes under way as the config allows.
    HandshakeLimit,
    /// Its descriptor is one of those that clients do not get.
    Descriptors,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Limit,
        Self::ClientLimit,
        Self::AcceptError,
        Self::ProxyProtocol,
        Self::HandshakeLimit,
        Self::Descriptors,
    ];

    /// The name in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::ClientLimit => "client_limit",
            Self::AcceptError => "accept_error",
            Self::ProxyProtocol => "proxy_protocol",
            Self::HandshakeLimit => "handshake_limit",
            Self::Descriptors => "descriptors",
        }
    }
}

/// A counter for each [`Refusal`].
#[derive(Debug, Default)]
pub struct ByRefusal([Counter; Refusal::ALL.len()]);

impl ByRefusal {
    /// The counter of one.
    #[inline]
    pub fn of(&self, refusal: Refusal) -> &Counter {
        &self.0[refusal as usize]
    }

    pub(super) fn absorb(&self, other: &Self) {
        self.0.iter().zip(&other.0).for_each(|(mine, theirs)| mine.absorb(theirs));
    }
}

/// A counter for each class of status, and one for exchanges in which no status was sent.
#[derive(Debug, Default)]
pub struct ByClass([Counter; 6]);

impl ByClass {
    /// The names of the classes, in the order of [`ByClass::iter`].
    pub const NAMES: [&'static str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

    /// The counter of a status; 0 is "none".
    #[inline]
    pub fn class(&self, status: u16) -> &Counter {
        let class = usize::from(status / 100);
        self.0.get(class).unwrap_or(&self.0[0])
    }

    /// Names and counters.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Counter)> {
        Self::NAMES.into_iter().zip(&self.0)
    }

    pub(super) fn absorb(&self, other: &Self) {
        self.0.iter().zip(&other.0).for_each(|(mine, theirs)| mine.absorb(theirs));
    }
}

/// How many statuses there are: 100 to 599 (RFC 9110, section 15).
const STATUSES: usize = 500;

/// A counter for each status.
#[derive(Debug)]
pub struct ByStatus(Box<[Counter]>);

impl Default for ByStatus {
    fn default() -> Self {
        Self((0..STATUSES).map(|_| Counter::default()).collect())
    }
}

impl ByStatus {
    /// The counter of a status; none for what is no status, such as 0 where none was sent.
    #[inline]
    pub fn of(&self, status: u16) -> Option<&Counter> {
        self.0.get(usize::from(status.checked_sub(100)?))
    }

    /// Statuses and counters.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &Counter)> {
        (100..).zip(&self.0)
    }

    pub(super) fn absorb(&self, other: &Self) {
        self.0.iter().zip(&other.0).for_each(|(mine, theirs)| mine.absorb(theirs));
    }
}

/// A counter for each [`ErrorKind`].
#[derive(Debug, Default)]
pub struct ByKind([Counter; KINDS.len()]);

/// All kinds, in the order of their declaration, so that a kind is its own index. A test holds this.
pub(super) const KINDS: [ErrorKind; 13] = [
    ErrorKind::Malformed,
    ErrorKind::TooLarge,
    ErrorKind::Disconnected,
    ErrorKind::ConnectFailed,
    ErrorKind::ConnectTimeout,
    ErrorKind::FirstByteTimeout,
    ErrorKind::IdleTimeout,
    ErrorKind::WriteStall,
    ErrorKind::NoEndpoint,
    ErrorKind::CircuitOpen,
    ErrorKind::Overloaded,
    ErrorKind::Draining,
    ErrorKind::Internal,
];

impl ByKind {
    /// The counter of one kind.
    #[inline]
    pub fn of(&self, kind: ErrorKind) -> &Counter {
        self.0.get(kind as usize).unwrap_or(&self.0[KINDS.len() - 1])
    }

    /// Names and counters.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Counter)> {
        KINDS.into_iter().map(ErrorKind::as_str).zip(&self.0)
    }

    pub(super) fn absorb(&self, other: &Self) {
        self.0.iter().zip(&other.0).for_each(|(mine, theirs)| mine.absorb(theirs));
    }
}

/// How many reasons a worker tells apart; further ones are counted together as `other`.
pub const MAX_REASONS: usize = 48;

/// A counter for each reason ([`crate::Record::reason`]) that came up.
#[derive(Debug)]
pub struct ByReason {
    named: [(OnceLock<&'static str>, Counter); MAX_REASONS],
    other: Counter,
}

impl Default for ByReason {
    fn default() -> Self {
        Self { named: std::array::from_fn(|_| Default::default()), other: Counter::default() }
    }
}

impl ByReason {
    /// The counter of a reason. The reasons of a process are few and static, so a scan finds one soon.
    pub fn of(&self, reason: &'static str) -> &Counter {
        let is_it = |(name, _): &&(OnceLock<&'static str>, Counter)| *name.get_or_init(|| reason) == reason;
        self.named.iter().find(is_it).map_or(&self.other, |(_, counter)| counter)
    }

    /// Reasons that came up, and their counters.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Counter)> {
        let named = self.named.iter().map_while(|(name, counter)| Some((*name.get()?, counter)));
        named.chain((self.other.get() > 0).then_some((super::families::OTHER, &self.other)))
    }

    pub(super) fn absorb(&self, other: &Self) {
        other.named.iter().filter_map(|(name, counter)| Some((name.get()?, counter))).for_each(
            |(name, counter)| {
                self.of(name).absorb(counter);
            },
        );
        self.other.absorb(&other.other);
    }
}
