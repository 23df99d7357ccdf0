//! The message model (head, fields, body framing) and what each header means; no sockets.
//!
//! Only this crate decides what `Connection`, `Transfer-Encoding`, `Content-Length`, `Host`, `Forwarded` and
//! `X-Forwarded-*` mean.

pub mod chunk;
pub mod cookie;
pub mod date;
pub mod etag;
pub mod fields;
pub mod forwarded;
pub mod framing;
pub mod head;
pub mod host;
pub mod media;
pub mod method;
pub mod multiplexed;
pub mod parse;
pub mod path;
pub mod range;
pub mod sanitize;
pub mod status;
mod syntax;
pub mod transform;
pub mod trust;

pub use fields::{Field, FieldId, Fields};
pub use framing::Framing;
pub use head::{Request, Response, TargetForm, Version};
pub use method::Method;
pub use syntax::list;
