//! From the bytes of a document to a typed config, with diagnostics that carry spans.
//!
//! ```text
//! bytes ── read ──▶ Document ── include, substitute ──▶ Document ── decode ──▶ Config
//! ```
//!
//! - [`read`] turns TOML, YAML or JSON into one tree, [`Node`], in which every key and value knows its place ([`Span`]).
//! - [`load`] adds included files, replaces `${VARIABLES}`, decodes, and reports *all* errors at once ([`Report`]).
//! - [`section!`] defines a section once; the struct, its decoding, its defaults, the JSON Schema and the manual come
//!   from that one definition. Other crates use it for sections of their own.
//! - [`config`] holds the sections that Usher itself knows. Which filters and balancers exist is not known here: their
//!   sections stay opaque [`Node`]s, and whoever owns them decodes them later against the same [`Sources`].

pub mod config;
pub mod decode;
mod diagnostic;
mod document;
mod include;
mod load;
mod mistakes;
pub mod read;
mod render;
pub mod schema;
mod source;
mod substitute;
mod suggest;
pub mod value;

#[cfg(test)]
mod tests;

pub use config::Config;
pub use decode::{Context, Decode, Named, OneOrMany, Section, Spanned, decode};
pub use diagnostic::{Diagnostic, Label, Report, Severity};
pub use document::{Document, Key, Node, Value};
pub use load::{Input, LoadOptions, Loaded, environment, load};
pub use mistakes::Mistakes;
pub use read::Format;
pub use schema::{Known, Schema, json_schema, reference};
pub use source::{Place, Source, SourceId, Sources, Span};
pub use suggest::closest;
pub use value::{
    BindAddress, ByteSize, Cidr, EndpointAddress, EndpointUrl, Percent, Rate, Regex, Scheme, Secret,
    SizeLimit, TrustedPeer, ValueError,
};

#[doc(hidden)]
pub use serde_json;
