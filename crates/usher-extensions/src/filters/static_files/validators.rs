//! What tells one version of a file from another: `ETag` and `Last-Modified` (RFC 9110, section 8.8).

use std::fs::Metadata;
use std::time::{SystemTime, UNIX_EPOCH};

use usher_http::date;
use usher_http::etag::{ETag, Validators};

/// A file that was changed this recently may change again without a new time of change (nanoseconds). Its tag is
/// weak until then, as RFC 9110 section 8.8.1 asks.
const SETTLES_AFTER: u128 = 2_000_000_000;
/// Times of change before this are none: packagers set the first seconds of 1970 (seconds).
const FIRST_REAL: u64 = 2;

/// The validators of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Version {
    /// `"…"` or `W/"…"`; empty if there is none.
    pub(super) etag: String,
    /// Seconds since 1970.
    pub(super) modified: Option<u64>,
}

impl Version {
    /// Of a file with this metadata. The tag is made of the time of change in nanoseconds and the size, as nginx and
    /// Caddy do; not of the inode, which differs between servers with the same files.
    pub(super) fn of(metadata: &Metadata, now: SystemTime) -> Self {
        let since = |time: SystemTime| time.duration_since(UNIX_EPOCH).ok();
        let Some(changed) = metadata.modified().ok().and_then(since).filter(|at| at.as_secs() >= FIRST_REAL)
        else {
            return Self::default();
        };
        let now = since(now).unwrap_or_default();
        let settled = now.as_nanos().saturating_sub(changed.as_nanos()) >= SETTLES_AFTER;
        let weak = if settled { "" } else { "W/" };
        Self {
            etag: format!("{weak}\"{:x}-{:x}\"", changed.as_nanos(), metadata.len()),
            // Not later than the response itself (RFC 9110, section 8.8.2.1).
            modified: Some(changed.as_secs().min(now.as_secs())),
        }
    }

    /// For comparison with what the client has.
    pub(super) fn validators(&self) -> Validators<'_> {
        Validators { exists: true, etag: ETag::parse(self.etag.as_bytes()), last_modified: self.modified }
    }

    /// `Last-Modified`.
    pub(super) fn last_modified(&self) -> Option<String> {
        self.modified.map(|at| String::from_utf8_lossy(&date::format(at)).into_owned())
    }
}
