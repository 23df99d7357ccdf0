//! The contracts: what an extension is given and what it must provide.
//!
//! An extension is a folder in `usher-extensions`; the engine knows it only through the traits here.
//!
//! - [`Exchange`]: one request and its response, as filters see and edit it.
//! - [`Filter`]: looks at an exchange on its way in and out; [`Flow`] is its answer.
//! - [`Balancer`]: chooses an endpoint.
//! - [`Probe`]: asks an endpoint whether it is well.
//! - [`AccessSink`]: takes the record of a finished exchange.
//! - [`Template`]: text with variables such as `{client.ip}`.
//! - [`Error`]: what went wrong, on which side, and whether another endpoint may be tried.

pub mod balancer;
pub mod build;
pub mod certificates;
pub mod clusters;
pub mod error;
pub mod exchange;
pub mod filter;
pub mod metrics;
pub mod probe;
pub mod record;
pub mod reply;
pub mod shifts;
pub mod standing;
pub mod template;

pub use balancer::{Balance, Balancer, BalancerFactory, Candidate, PickInput};
pub use build::{BuildContext, Carry, OnRoute};
pub use certificates::{CHALLENGE_PATH, HttpChallenges, OnDemand};
pub use error::{Error, ErrorKind, Side};
pub use exchange::{Client, Exchange, RequestId, Transformation};
pub use filter::{DryRun, Filter, FilterFactory, Flow, Phase, Resume, Would};
pub use probe::{Probe, ProbeFactory, ProbeReading, ProbeReport, ProbeTarget, Probing, Unwell};
pub use record::{AccessSink, Failures, Record, RecordView};
pub use reply::{Piece, Reply};
pub use template::{Template, TemplateError};
