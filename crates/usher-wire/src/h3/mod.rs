//! HTTP/3 (RFC 9114), both sides, on one thread.
//!
//! QUIC gives each request a stream of its own, so each is read and written by its own task (`input.rs`, `output.rs`);
//! what they share is little (`shared.rs`): the table for the compression of heads, and limits against floods
//! (`flood.rs`). A connection has one driver ([`Server::poll_request`], or a [`Driver`]), which takes new streams and
//! watches the peer's control streams (`peer.rs`).

mod body;
mod client;
mod code;
mod flood;
mod frame;
mod input;
mod limits;
mod opening;
mod output;
mod peer;
mod priority;
mod server;
mod settings;
mod shared;
#[cfg(test)]
mod tests;

pub use client::{Client, ClientStream, Driver};
pub use code::Wrong;
pub use frame::{FrameHead, head as frame_head, integer};
pub use limits::Limits;
pub use server::{Server, ServerStream};
pub use settings::Settings;
