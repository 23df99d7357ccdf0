//! Certificates that obtain and renew themselves: ACME, an internal CA, and where they are kept.
//!
//! [`Manager`] runs a thread of its own. What it has is in `usher_net::tls::Certificates` at once, so that a start never
//! waits for a network; what is missing or due is obtained beside the traffic. A name that fails affects no other.
//!
//! - [`options`]: what it is told; `plan.rs` makes the certificates of it that there shall be.
//! - `storage/`: what is kept, and how it survives a kill at any moment.
//! - `worker/`: what is done when; `renewal.rs` has the rules of time.
//! - `acme/`: an order, step by step; `dns/`: who writes the records of DNS-01.
//! - `internal/`: the CA of the machine; [`trust`] adds its root to what the machine trusts.
//! - `ocsp/`: what is stapled.

mod acme;
pub mod dns;
mod encoding;
mod http;
mod internal;
mod keys;
mod manager;
mod names;
mod ocsp;
pub mod options;
mod plan;
mod random;
mod renewal;
mod status;
mod storage;
mod time;
pub mod trust;
mod worker;

/// What fuzz targets see of parsers that nobody else needs.
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::dns::fuzzing::DnsMessage;
    pub use crate::ocsp::fuzzing::{good, good_unsigned};
}

pub use internal::{existing_root, internal_root};
pub use manager::Manager;
pub use options::{
    Authority, By, CertificateFile, ChallengeKind, Clock, ExternalAccount, InternalOptions, KeyType, Level,
    Logger, Managed, OnDemandOptions, Options, Propagation,
};
pub use status::{State, Status};
