//! The message model (head, fields, body framing) and what each header means; no sockets.
//!
//! Only this crate decides what `Connection`, `Transfer-Encoding`, `Content-Length`, `Host`, `Forwarded` and
//! `X-Forwarded-*` mean.

pub mod chunk;
pub mod cookie;
pub mod date;
pub mod etag;
pub mod forwarded;
pub mod host;
pub mod media;
pub mod path;
pub mod range;
pub mod status;
