//! The binary as people run it: every test starts the process itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod access_log;
mod avoid;
mod changes;
mod chaos;
mod check;
mod demo;
mod discovery;
mod end;
mod endpoints;
mod explain;
mod harness;
mod health;
mod idle;
mod l4;
mod leaving;
mod limits;
mod memory;
mod mirror;
mod mistakes;
mod names;
mod proxy;
mod reload;
mod reload_under_load;
mod retries;
mod shift;
mod shortage;
mod systemd;
mod tools;
mod udp;
mod upgrade;
mod upgrade_h3;
mod watch;
