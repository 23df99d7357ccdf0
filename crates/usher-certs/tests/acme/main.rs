//! Certificates against a real CA server (pebble, with `pebble-challtestsrv` as its name server), and against a small CA of
//! our own for what pebble does not do.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod authority;
mod demand;
mod fake;
mod files;
mod internal;
mod issue;
mod limits;
mod pebble;
mod renew;
mod resume;
mod site;
mod world;
