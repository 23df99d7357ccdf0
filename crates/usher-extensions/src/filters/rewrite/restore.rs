//! The way back: where a response names paths by which the client comes again, they become those that it has to ask
//! for.
//!
//! An application that is shown `/login` for `/shop/login` redirects to `/login`, which is nothing to the client, or
//! somebody else's.

use usher_api::Exchange;
use usher_http::FieldId;
use usher_http::host::Authority;
use usher_http::path::normalize;

use crate::filters::fields::{add_all, changed};

/// The fields that hold a reference and nothing else.
const REFERENCES: [&[u8]; 2] = [b"Location", b"Content-Location"];
const REFRESH: &[u8] = b"Refresh";
const SET_COOKIE: &[u8] = b"Set-Cookie";

/// What was taken from the beginning of paths, and what was put there; in normal form without a last slash.
pub(super) struct Restore {
    pub(super) stripped: Box<str>,
    pub(super) added: Box<str>,
}

impl Restore {
    /// Changes the fields of an endpoint's response. What the proxy answers itself is written for clients already.
    pub(super) fn apply(&self, exchange: &mut Exchange) {
        if exchange.endpoint.is_none() {
            return;
        }
        let fields = &exchange.response.fields;
        let mut new = Vec::new();
        for name in REFERENCES {
            new.push((name, changed(fields, name, |value| self.reference(value, exchange))));
        }
        new.push((REFRESH, changed(fields, REFRESH, |value| self.refresh(value, exchange))));
        new.push((SET_COOKIE, changed(fields, SET_COOKIE, |value| self.cookie(value))));
        new.retain(|(_, values)| values.is_some());
        // A request whose path did not begin with the prefix came to the endpoint as it was.
        if new.is_empty() || !came_under(&self.stripped, exchange.request.raw_target()) {
            return;
        }
        for (name, values) in new {
            exchange.response.fields.remove_named(name);
            add_all(&mut exchange.response.fields, name, &values.unwrap_or_default());
        }
    }

    /// A reference as the client has to write it; none where it may stay: relative ones, which the client resolves, and
    /// those to other sites.
    ///
    /// One that names the endpoint becomes a path alone, as the scheme and host for it are those that the client asked.
    fn reference(&self, value: &str, exchange: &Exchange) -> Option<String> {
        let Some((port, rest)) = authority_of(value, exchange.request.scheme) else {
            return value.starts_with('/').then(|| self.path(value))?;
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let is = |other: &[u8]| is_same(authority.as_bytes(), other, port);
        if exchange.request.fields.all(FieldId::XForwardedHost).any(is) {
            let start = value.strip_suffix(path)?;
            return Some(format!("{start}{}", self.path(path)?));
        }
        let endpoint = exchange.endpoint.as_deref().unwrap_or_default();
        if is(exchange.request.authority.as_bytes()) || is(endpoint.as_bytes()) {
            return self.path(path).or_else(|| self.is_restored(path).then(|| path.to_owned()));
        }
        None
    }

    /// `Refresh: 5; url=/login`, which no standard has and every browser knows.
    fn refresh(&self, value: &str, exchange: &Exchange) -> Option<String> {
        let at = value.find([';', ','])? + 1;
        let url = value.get(at..)?.trim_start();
        let named = url.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("url"));
        let url = if named { url.get(3..)?.trim_start().strip_prefix('=')?.trim_start() } else { url };
        let plain = url.trim_start_matches(['"', '\'']);
        let plain = plain.trim_end_matches(['"', '\'']);
        let start = value.rfind(plain).filter(|_| !plain.is_empty())?;
        let end = start + plain.len();
        let (before, after) = (value.get(..start)?, value.get(end..)?);
        Some(format!("{before}{}{after}", self.reference(plain, exchange)?))
    }

    /// A cookie whose `Path` the client's paths begin with. One without `Path` is for where the client asked, and one
    /// whose name begins with `__Host-` is for the whole host, or nothing (RFC 6265bis section 4.1.3.2).
    fn cookie(&self, value: &str) -> Option<String> {
        const WHOLE: &str = "__Host-";
        if value.get(..WHOLE.len()).is_some_and(|start| start.eq_ignore_ascii_case(WHOLE)) {
            return None;
        }
        let mut any = false;
        let parts = value.split(';').enumerate().map(|(at, part)| {
            let path =
                part.split_once('=').filter(|(name, _)| at > 0 && name.trim().eq_ignore_ascii_case("path"));
            let Some((name, new)) = path.and_then(|(name, path)| {
                Some((name, self.path(Some(path.trim()).filter(|path| !path.is_empty())?)?))
            }) else {
                return part.to_owned();
            };
            any = true;
            // The prefix itself is a page too: `/shop` is not below `/shop/`.
            let bare = new.strip_suffix('/').filter(|bare| !bare.is_empty() && *bare == &*self.stripped);
            format!("{name}={}", bare.unwrap_or(&new))
        });
        let new = parts.collect::<Vec<String>>().join(";");
        any.then_some(new)
    }

    /// The path that the client has to ask for to have the endpoint asked for this one; a query and a fragment stay.
    /// None where no path leads there, and where the prefix is there already.
    fn path(&self, written: &str) -> Option<String> {
        let (path, rest) = written.split_at(written.find(['?', '#']).unwrap_or(written.len()));
        let path = if path.is_empty() { "/" } else { path };
        if !path.starts_with('/') || self.is_restored(path) {
            return None;
        }
        let inner = Some(under(&self.added, path)?).filter(|inner| !inner.is_empty());
        let new = format!("{}{}{rest}", self.stripped, inner.unwrap_or("/"));
        // `/app//other.example` without `/app` would be another site.
        (!new.starts_with("//") && !new.starts_with("/\\")).then_some(new)
    }

    /// Whether the application knows the prefix by itself: it wrote it. With `add_prefix` nothing tells.
    fn is_restored(&self, path: &str) -> bool {
        self.added.is_empty() && !self.stripped.is_empty() && under(&self.stripped, path).is_some()
    }
}

/// The default port of an absolute reference or one that begins with `//`, and what stands behind these slashes.
fn authority_of<'v>(value: &'v str, scheme: &str) -> Option<(u16, &'v str)> {
    let (scheme, rest) = match value.split_once("//")? {
        ("", rest) => (scheme, rest),
        (scheme, rest) => (scheme.strip_suffix(':')?, rest),
    };
    let known =
        [("http", 80), ("https", 443)].into_iter().find(|(name, _)| scheme.eq_ignore_ascii_case(name));
    known.map(|(_, port)| (port, rest))
}

/// Whether two authorities are one, where the scheme's port need not be written.
fn is_same(one: &[u8], other: &[u8], port: u16) -> bool {
    let (Ok(one), Ok(other)) = (Authority::parse(one), Authority::parse(other)) else { return false };
    let (mut spare, mut again) = (String::new(), String::new());
    one.port_or(port) == other.port_or(port) && one.lower_into(&mut spare) == other.lower_into(&mut again)
}

/// What follows a prefix of whole segments.
fn under<'p>(prefix: &str, path: &'p str) -> Option<&'p str> {
    path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
}

/// Whether the path of a target as it came begins with this prefix.
fn came_under(prefix: &str, target: &[u8]) -> bool {
    let target = String::from_utf8_lossy(target);
    let target = match authority_of(&target, "http") {
        Some((_, rest)) if !target.starts_with('/') => {
            rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
        }
        _ => &target,
    };
    let path = target.split('?').next().unwrap_or_default();
    let mut spare = Vec::new();
    let normal = normalize(path.as_bytes(), &mut spare);
    normal.is_ok_and(|path| std::str::from_utf8(path.bytes()).is_ok_and(|path| under(prefix, path).is_some()))
}
