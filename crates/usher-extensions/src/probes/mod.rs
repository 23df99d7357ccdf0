//! Probes: how an endpoint is asked whether it is well.
//!
//! Each question has a connection of its own, made as the cluster makes those for requests: the same TLS, the same version
//! of HTTP. Beside the extensions, this folder holds what several of them are made of: [`way`], to an endpoint and back
//! over HTTP.

mod way;

pub mod exec;
pub mod grpc;
pub mod http;
pub mod tcp;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod testing;

use usher_api::ProbeFactory;

/// All probes; the first is the default.
pub const PROBES: &[&ProbeFactory] = &[&http::FACTORY, &tcp::FACTORY, &grpc::FACTORY, &exec::FACTORY];
