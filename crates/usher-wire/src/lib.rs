//! HTTP drivers: bytes to and from an exchange.
//!
//! - [`body`]: what every protocol offers for bodies: a [`Source`] to read from, a [`Sink`] to write to.
//! - [`h1`]: HTTP/1.0 and 1.1, both sides, in one connection type.
//! - [`pump`]: the one loop that moves a body from a source to a sink, whatever the protocols.

pub mod body;
pub mod buffer;
pub mod error;
pub mod h1;
pub mod pump;
#[cfg(test)]
mod testing;

pub use body::{Held, Plain, Sink, Source};
pub use buffer::Buffer;
pub use error::WireError;
pub use h1::{Connection, Downstream, NotTrailers, ReplyContext, RequestContext};
pub use usher_http::Framing;
