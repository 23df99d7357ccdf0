//! The binary as people run it: every test starts the process itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod access_log;
mod avoid;
mod check;
mod demo;
mod end;
mod explain;
mod harness;
mod idle;
mod leaving;
mod limits;
mod mistakes;
mod names;
mod proxy;
mod reload;
mod reload_under_load;
mod tools;
mod watch;
