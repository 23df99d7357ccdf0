//! The whole path of a request in a seeded simulation with virtual time: no sockets, no waiting.
//!
//! - `net.rs`, `world.rs`: connections, dialing and time;
//! - `message.rs`: an HTTP/1 reader that shares no code with the proxy;
//! - `traffic/`: random clients against random endpoints, with what must hold for every exchange;
//! - `timeouts.rs`, `endpoints.rs`, `forwarding.rs`, `waiting.rs`, `reloads.rs`, `counts.rs`, `standing.rs`, `crowds.rs`,
//!   `retries.rs`, `tries.rs`, `turns.rs`, `strangers.rs`, `hedging.rs`, `whole.rs`, `circuits.rs`, `calls.rs`, `mirrors.rs`,
//!   `splits.rs`, `overload.rs`, `zones.rs`, `websockets.rs`: one scene each for what random traffic meets too seldom;
//! - `quic.rs`: the exception, over sockets of the loopback and in real time, as QUIC has no other connections.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "what fails here fails a test")]

mod calls;
mod circuits;
mod client;
mod clusters;
mod counts;
mod crowds;
mod endpoints;
mod forwarding;
mod hedging;
mod message;
mod mirrors;
mod net;
mod overload;
mod quic;
mod reloads;
mod retries;
mod rng;
mod splits;
mod standing;
mod strangers;
mod timeouts;
mod traffic;
mod tries;
mod turns;
mod waiting;
mod websockets;
mod whole;
mod world;
mod zones;
