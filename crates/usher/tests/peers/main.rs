//! Usher between servers and clients that others have written: what a fake of our own would misread as we do, these
//! would not.
//!
//! `cargo xtask test` installs the programs. Where one is missing, its tests say so and pass, but with `CI` in the
//! environment they fail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod acme;
mod at_rest;
mod attacks;
mod certificates;
mod chromium;
mod curl;
mod curl_tls;
mod dns_hosts;
mod dns_recorded;
mod dns_world;
mod dnsmasq;
mod front;
mod grpc;
mod handshakes;
mod haproxy_tls;
mod health;
mod http3;
mod l4;
mod leaving;
mod load;
mod nghttp2;
mod nginx;
mod nginx_tls;
mod openssl;
mod peer;
mod python;
mod quic;
mod revoked;
mod rsyslog;
mod secure;
mod self_signed;
mod services;
mod stapled;
mod testssl;
mod tunnel;
mod udp;
mod websocket;
