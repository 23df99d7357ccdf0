//! Every built-in filter, balancer and sink: one folder each.
//!
//! Registration is one line in the slice of its kind; the schema, the checks, the manual and `usher explain` derive
//! from the factory. An extension never imports another.

pub mod balancers;
pub mod filters;
pub mod probes;
pub mod sinks;
