//! The admin endpoint: metrics, health, readiness and reload, over HTTP on a thread of its own.
//!
//! - [`metrics`]: all numbers of a [`usher_api::metrics::Registry`] as Prometheus text.
//! - `server`: the thread, the socket, the limits.
//! - `guard`: which requests are answered at all: what a web page could make a browser send is not.
//! - `pages`: what each path answers; `clusters`: those about endpoints.

mod clusters;
mod guard;
pub mod metrics;
mod pages;
mod server;
mod shifts;

pub use server::{AdminServer, Socket};

/// What the admin endpoint asks of the process. Called on a thread on which waiting is allowed.
pub trait Control: Send + Sync {
    /// Reads the config anew and serves by it.
    ///
    /// # Errors
    /// The report on what is wrong; what served before goes on. The good result is a report as well.
    fn reload(&self) -> Result<String, String>;

    /// Lets another process of the binary on disk take over.
    ///
    /// # Errors
    /// Why it did not; this one serves on.
    fn upgrade(&self) -> Result<String, String>;

    /// Whether requests are served and shall come.
    ///
    /// # Errors
    /// Why not, in plain words: not started yet, or draining.
    fn ready(&self) -> Result<(), String>;
}
