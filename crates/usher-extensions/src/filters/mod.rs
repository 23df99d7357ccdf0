//! Filters: what a route does with a request beside forwarding it.
//!
//! Each folder is one filter: `mod.rs` (what it is, the type, `FACTORY`), `config.rs` (its section), `README.md` (the
//! user's page), `tests.rs`, and `cases/` (configs with the diagnostics that they shall give). What several filters
//! read or write alike stands beside the folders: `text.rs`, `replacement.rs`, `fields.rs` and `escape.rs`.

use usher_api::FilterFactory;

pub mod basic_auth;
pub mod buffer_request;
pub mod client_certificate;
mod escape;
pub mod fields;
pub mod grpc_web;
pub mod headers;
pub mod hsts;
pub mod rate_limit;
pub mod redirect;
mod replacement;
pub mod respond;
pub mod rewrite;
pub mod static_files;
pub mod text;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod testing;

/// All filters. One line each; the order is that of the manual, not of the path of a request (see
/// [`usher_api::Phase`]).
pub const FILTERS: &[&FilterFactory] = &[
    &redirect::FACTORY,
    &respond::FACTORY,
    &static_files::FACTORY,
    &rewrite::FACTORY,
    &headers::FACTORY,
    &hsts::FACTORY,
    &basic_auth::FACTORY,
    &client_certificate::FACTORY,
    &rate_limit::FACTORY,
    &buffer_request::FACTORY,
    &grpc_web::FACTORY,
];
