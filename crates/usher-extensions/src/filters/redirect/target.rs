//! Where a redirect may lead: which part of the text decides the host, and whether a variable stands in it.
//!
//! A redirect whose host a visitor can choose is a tool for phishing ("open redirect"). The host is decided by
//! what stands before the first `/`, `?` or `#` behind `scheme://`, so only literal text and the variables that hold
//! the request's own host may stand there. A target that begins with any other variable is a path of this site,
//! whatever the variable says.

use usher_config::ValueError;

/// What a target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It has a scheme and a host, or begins with `//` as written.
    Absolute,
    /// A path of the same site.
    Local,
}

/// A piece of a target as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    Variable(&'a str),
}

/// Splits a text that is known to be a template. Doubled braces are single pieces of text.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        let (before, tail) = rest.split_at(at);
        found.extend((!before.is_empty()).then_some(Piece::Text(before)));
        if let Some(after) = tail.strip_prefix("{{") {
            found.push(Piece::Text("{"));
            rest = after;
            continue;
        }
        let end = tail.find('}').unwrap_or(tail.len() - 1);
        found.push(Piece::Variable(&tail[1..end]));
        rest = &tail[end + 1..];
    }
    found.extend((!rest.is_empty()).then_some(Piece::Text(rest)));
    found
}

/// What kind of target this is.
///
/// # Errors
/// A variable could choose the host, or the text is neither a URL nor a path.
pub(super) fn kind(text: &str) -> Result<Kind, ValueError> {
    let pieces = pieces(text);
    match pieces.as_slice() {
        [] => {
            Err(ValueError::new("the target is empty")
                .help("write a URL or a path such as `/new{request.uri}`"))
        }
        [Piece::Variable("request.scheme"), Piece::Text(next), ..] if next.starts_with("://") => {
            host_is_fixed(&pieces[1..], 3)
        }
        [Piece::Variable(_), ..] => Ok(Kind::Local),
        [Piece::Text(first), ..] if first.starts_with("//") => host_is_fixed(&pieces, 2),
        [Piece::Text(first), ..] if first.starts_with(['/', '?']) => Ok(Kind::Local),
        [Piece::Text(first), ..] => match scheme(first) {
            Some(end) if first[end..].starts_with("://") => host_is_fixed(&pieces, end + 3),
            Some(_) => Ok(Kind::Absolute),
            None => Err(ValueError::new(format!("`{text}` is neither a URL nor a path"))
                .help(format!("write `https://{text}`, or `/{text}` for a path of the same site"))),
        },
    }
}

/// Where the colon behind a scheme stands (RFC 3986, section 3.1); none for `host:port`.
fn scheme(text: &str) -> Option<usize> {
    let (scheme, rest) = text.split_once(':')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-');
    let named = scheme.starts_with(|first: char| first.is_ascii_alphabetic()) && scheme.bytes().all(plain);
    (named && !rest.starts_with(|next: char| next.is_ascii_digit())).then_some(scheme.len())
}

/// Walks from the start of the authority, `skip` bytes into the first piece, to its end.
fn host_is_fixed(pieces: &[Piece<'_>], skip: usize) -> Result<Kind, ValueError> {
    let mut skip = skip;
    let mut seen = false;
    for piece in pieces {
        match piece {
            Piece::Text(text) => {
                let rest = text.get(skip..).unwrap_or_default();
                let end = rest.find(['/', '?', '#', '\\']);
                if seen || end.is_none_or(|end| end > 0) {
                    seen = true;
                }
                if end.is_some() {
                    break;
                }
            }
            // These begin with `/`, so the host ends here.
            Piece::Variable("request.uri" | "request.path") => break,
            Piece::Variable("request.host" | "request.authority") => seen = true,
            Piece::Variable(name) => {
                let message = format!("`{{{name}}}` could lead to any host");
                let help = format!("write `/` before it, as in `https://example.com/{{{name}}}`");
                return Err(ValueError::new(message).help(help));
            }
        }
        skip = 0;
    }
    match seen {
        true => Ok(Kind::Absolute),
        false => {
            Err(ValueError::new("the URL has no host")
                .help("write it like `https://example.com{request.uri}`"))
        }
    }
}

/// The `Location` of a rendered target.
pub(super) fn location(kind: Kind, rendered: &str, query: Option<&str>) -> String {
    let mut out = String::with_capacity(rendered.len() + query.map_or(0, str::len) + 8);
    let text = match kind {
        Kind::Absolute => rendered,
        Kind::Local if rendered.starts_with('?') => rendered,
        // One slash exactly: `//host` would be another site.
        Kind::Local => {
            out.push('/');
            rendered.trim_start_matches(['/', '\\', ' ', '\t'])
        }
    };
    let (text, fragment) = match text.split_once('#') {
        Some((text, fragment)) => (text, Some(fragment)),
        None => (text, None),
    };
    super::super::escape::push_url(text, &mut out);
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        out.push(if text.contains('?') { '&' } else { '?' });
        super::super::escape::push_query(query, &mut out);
    }
    if let Some(fragment) = fragment {
        out.push('#');
        super::super::escape::push_url(fragment, &mut out);
    }
    out
}
