//! Sinks: where the records of finished exchanges go.

pub mod access_log;
