//! The steps of the path, one file each.

pub(crate) mod choose;
pub(crate) mod forward;
pub(crate) mod grpc;
pub(crate) mod guard;
pub(crate) mod patience;
pub(crate) mod record;
pub(crate) mod relay;
pub(crate) mod reply;
pub(crate) mod route;
pub(crate) mod sanitize;
pub(crate) mod shed;
pub(crate) mod tunnel;
