//! HTTP/2 (RFC 9113), both sides, on one thread.
//!
//! A connection has one driver ([`Server::poll_request`], or a [`Driver`]) and many streams, each with a task of its own.
//! They share the connection's state (`core.rs`). The driver reads and takes frames apart (`receive.rs`, `headers.rs`,
//! `data.rs`, `settings.rs`, `priority.rs`, `end.rs`); what belongs to a stream is put into it and its task woken. A
//! stream's task adds frames to the output (`send.rs`) and wakes the driver, which writes once for all of them
//! (`link.rs`). Nothing is kept for later but in that output, which is bounded (`output.rs`), so a peer that takes
//! nothing is waited for by whoever has something for it. `flood.rs` has the limits against peers that cost more than
//! they give.

mod client;
mod connect;
mod core;
mod data;
mod end;
mod flood;
mod frame;
mod handle;
mod headers;
mod limits;
mod link;
mod output;
mod priority;
mod receive;
mod send;
mod server;
mod settings;
mod stream;
#[cfg(test)]
mod tests;

pub use client::{Client, ClientStream, Driver};
pub use limits::Limits;
pub use server::{Server, ServerStream};
