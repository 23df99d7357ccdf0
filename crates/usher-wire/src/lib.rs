//! HTTP drivers: bytes to and from an exchange.
//!
//! - [`body`]: what every protocol offers for bodies: a [`Source`] to read from, a [`Sink`] to write to.
//! - [`change`]: bodies that change on their way.
//! - [`h1`]: HTTP/1.0 and 1.1, both sides, in one connection type.
//! - [`h2`]: HTTP/2, both sides; [`hpack`] and [`huffman`] are its compression of heads.
//! - [`h3`]: HTTP/3, both sides, over QUIC; [`qpack`] is its compression of heads.
//! - [`pressure`]: who reads nothing for want of memory.
//! - [`turns`]: the order in which bodies move, so that a large one is in nobody's way.
//! - [`upstream`]: what a client's side of every protocol offers.
//! - [`websocket`]: where messages of a WebSocket begin and end.
//! - [`pump`]: the one loop that moves a body from a source to a sink, whatever the protocols.

pub mod body;
pub mod buffer;
pub mod change;
pub mod error;
pub mod h1;
pub mod h2;
pub mod h3;
pub mod hpack;
pub mod huffman;
pub mod pressure;
pub mod pump;
pub mod qpack;
#[cfg(test)]
mod testing;
pub mod turns;
pub mod upstream;
pub mod websocket;

pub use body::{Held, Plain, Sink, Source};
pub use buffer::Buffer;
pub use change::{Change, MaybeChanged};
pub use error::WireError;
pub use h1::{Connection, Downstream, NotTrailers, ReplyContext, RequestContext};
pub use upstream::Upstream;
pub use usher_http::Framing;
