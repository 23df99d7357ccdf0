//! HTTP/1.0 and 1.1: one connection type for both sides.
//!
//! A server reads requests and writes responses, a client the reverse; bodies, buffers and framing are the same, so
//! there is one [`Connection`], and the two sides differ in which head they read.

mod connection;
mod receive;
mod send;
mod sides;
#[cfg(test)]
mod tests;
mod websocket;

pub use connection::Connection;
pub use sides::{Downstream, NotTrailers, ReplyContext, RequestContext};
