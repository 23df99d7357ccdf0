//! The admin endpoint: health, readiness and metrics.
