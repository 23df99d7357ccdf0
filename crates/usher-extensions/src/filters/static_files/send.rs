//! The response for a file: conditions, ranges, fields (RFC 9110, sections 13 and 14).

use std::borrow::Cow;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use usher_api::{Piece, Reply};
use usher_http::etag::{Conditions, Outcome, evaluate};
use usher_http::range::{self, ByteRange, Ranges, Requested};
use usher_http::{Method, Request};

use super::validators::Version;

/// The reason in access logs.
pub(super) const REASON: &str = "static_files";

/// A file to send, and what to say of it.
pub(super) struct Found {
    pub(super) file: Arc<File>,
    pub(super) length: u64,
    pub(super) version: Version,
    pub(super) media_type: &'static str,
    /// `Content-Encoding`, if it is a compressed sibling.
    pub(super) coding: Option<&'static str>,
    /// The response depends on `Accept-Encoding`.
    pub(super) varies: bool,
    pub(super) cache_control: Option<String>,
}

/// The lines of a conditional field.
fn lines<'r>(request: &'r Request, name: &'r [u8]) -> Vec<&'r [u8]> {
    request.fields.all_named(name).collect()
}

/// The one line of a field; more than one is no line at all.
fn line<'r>(request: &'r Request, name: &'r [u8]) -> Option<&'r [u8]> {
    let mut all = request.fields.all_named(name);
    all.next().filter(|_| all.next().is_none())
}

/// The response.
pub(super) fn send(found: &Found, request: &Request) -> Reply {
    let conditions = Conditions {
        if_match: &lines(request, b"If-Match"),
        if_none_match: &lines(request, b"If-None-Match"),
        if_modified_since: line(request, b"If-Modified-Since"),
        if_unmodified_since: line(request, b"If-Unmodified-Since"),
    };
    match evaluate(&conditions, &found.version.validators(), true) {
        Outcome::Failed => Reply::new(412, "precondition_failed"),
        Outcome::NotModified => validators(Reply::new(304, REASON), found).finished(),
        Outcome::Proceed => match requested(found, request) {
            Requested::Whole => whole(found),
            Requested::Unsatisfiable => {
                let mut value = Vec::new();
                range::write_unsatisfied(found.length, &mut value);
                Reply::new(416, "range_not_satisfiable").field("Content-Range", text(&value))
            }
            Requested::Parts(ranges) => match ranges.single() {
                Some(range) => part(found, range),
                None => parts(found, &ranges),
            },
        },
    }
}

/// What the client asks for. `Range` means something for GET only (RFC 9110, section 14.2), and only if `If-Range`
/// holds.
fn requested(found: &Found, request: &Request) -> Requested {
    let Some(field) = line(request, b"Range").filter(|_| request.method == Method::Get) else {
        return Requested::Whole;
    };
    let mut guards = request.fields.all_named(b"If-Range");
    match (guards.next(), guards.next()) {
        (Some(guard), None) if !found.version.validators().if_range(guard) => Requested::Whole,
        (_, Some(_)) => Requested::Whole,
        _ => range::parse(field, found.length),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The fields of a 304 (RFC 9110, section 15.4.5), which all responses have.
fn validators(mut reply: Reply, found: &Found) -> Reply {
    if !found.version.etag.is_empty() {
        reply = reply.field("ETag", found.version.etag.as_str());
    }
    if let Some(date) = found.version.last_modified() {
        reply = reply.field("Last-Modified", date);
    }
    if let Some(value) = &found.cache_control {
        reply = reply.field("Cache-Control", value.as_str());
    }
    if found.varies {
        reply = reply.field("Vary", "Accept-Encoding");
    }
    reply
}

/// The fields of a response with content.
fn described(status: u16, media_type: impl Into<String>, found: &Found) -> Reply {
    let mut reply = Reply::new(status, REASON).field("Content-Type", media_type);
    if let Some(coding) = found.coding {
        reply = reply.field("Content-Encoding", coding);
    }
    validators(reply, found).field("Accept-Ranges", "bytes").finished()
}

fn piece(found: &Found, offset: u64, len: u64) -> Piece {
    Piece::File { file: found.file.clone(), offset, len }
}

fn whole(found: &Found) -> Reply {
    let body = piece(found, 0, found.length);
    described(200, found.media_type, found).piece(body)
}

fn part(found: &Found, range: ByteRange) -> Reply {
    let mut value = Vec::new();
    range.write_content_range(found.length, &mut value);
    let body = piece(found, range.first, range.len());
    described(206, found.media_type, found).field("Content-Range", text(&value)).piece(body)
}

/// `multipart/byteranges` (RFC 9110, section 14.6).
fn parts(found: &Found, ranges: &Ranges) -> Reply {
    let boundary = boundary();
    let media_type = format!("multipart/byteranges; boundary={boundary}");
    let mut reply = described(206, media_type, found);
    for (index, range) in ranges.as_slice().iter().enumerate() {
        let line_end = if index == 0 { "" } else { "\r\n" };
        let mut head =
            format!("{line_end}--{boundary}\r\nContent-Type: {}\r\nContent-Range: ", found.media_type);
        let mut value = Vec::new();
        range.write_content_range(found.length, &mut value);
        head.push_str(&text(&value));
        head.push_str("\r\n\r\n");
        reply = reply.piece(Piece::Bytes(Cow::Owned(head.into_bytes()))).piece(piece(
            found,
            range.first,
            range.len(),
        ));
    }
    reply.piece(Piece::Bytes(Cow::Owned(format!("\r\n--{boundary}--\r\n").into_bytes())))
}

/// A boundary that nobody can foresee, so that no file can be made to hold it.
fn boundary() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    static KEYS: std::sync::OnceLock<[RandomState; 2]> = std::sync::OnceLock::new();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let keys = KEYS.get_or_init(|| [RandomState::new(), RandomState::new()]);
    format!("{:016x}{:016x}", keys[0].hash_one(count), keys[1].hash_one(count))
}
