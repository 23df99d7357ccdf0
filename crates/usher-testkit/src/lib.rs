//! What tests of Usher are made of: a fake endpoint, a raw client, the harness that runs the binary, and the runner
//! of scenario files.
//!
//! The kit shares no code with the proxy, on purpose: its small, strict reader of HTTP/1 ([`Connection`]) is a second
//! opinion on every byte that Usher writes. It blocks, on plain threads, and every wait has a deadline.
//!
//! - [`Endpoint`]: an upstream server whose answers are scripted and whose received bytes are recorded.
//! - [`Client`]: sends bytes exactly as given and reads responses strictly.
//! - [`Usher`]: starts the binary on reserved loopback ports, reloads it, signals it, ends it.
//! - [`Authority`]: signs certificates for servers and clients.
//! - [`crowd`]: clients that are slow on purpose.
//! - [`scenario`]: runs `tests/scenarios/**/*.scn`; their syntax is in `tests/scenarios/README.md`.
//!
//! A process test in a page:
//!
//! ```no_run
//! use usher_testkit::{Endpoint, Reply, Usher};
//!
//! # fn main() -> usher_testkit::Result<()> {
//! let endpoint = Endpoint::start(|_request| Reply::ok("hello"))?;
//! let usher = Usher::builder()
//!     .endpoint(&endpoint)
//!     .config("[[listener]]\nbind = \"$LISTEN\"\n[[route]]\nto = \"$ENDPOINT\"\n")
//!     .start()?;
//! let response = usher.client()?.get("/")?;
//! assert_eq!((response.status, &response.body[..]), (200, &b"hello"[..]));
//! # Ok(())
//! # }
//! ```

mod certificates;
mod client;
mod connection;
pub mod crowd;
mod endpoint;
mod error;
mod message;
mod ports;
mod process;
mod reader;
pub mod scenario;
mod show;
mod stream;

pub use certificates::{Authority, Leaf};
pub use client::Client;
pub use connection::Connection;
pub use endpoint::{Endpoint, Reply};
pub use error::{Error, Kind, Result};
pub use message::{Field, Fields, Framing, Message, Request, Response};
pub use ports::Port;
pub use process::{Addresses, Builder, Signal, Usher, usher_binary};
pub use show::visible;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long any single wait of the kit may take unless the test says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a blocked wait looks whether it was cancelled.
const CANCEL_CHECK: Duration = Duration::from_millis(50);

/// Locks although another thread panicked: a failing test still wants to show what was recorded.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
