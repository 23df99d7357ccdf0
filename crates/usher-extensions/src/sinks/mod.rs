//! Sinks: where the records of finished exchanges go.
