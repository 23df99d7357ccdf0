//! The path of a request, snapshots and upstream clusters; opens no socket itself.
