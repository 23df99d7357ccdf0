//! Why a request is refused, for people who have to change the client.

use usher_http::framing::FramingError;
use usher_http::parse::ParseError;
use usher_http::path::PathError;
use usher_http::sanitize::SanitizeError;
use usher_wire::WireError;

use super::Refusal;

/// A head that cannot be read.
pub(super) fn of_wire(error: &WireError) -> Refusal {
    let (status, why) = match error {
        WireError::Parse(error) => (error.status(), of_parse(*error)),
        _ => (400, "the head is not complete"),
    };
    Refusal { step: "decode", status, what: error.as_str().to_owned(), why }
}

fn of_parse(error: ParseError) -> &'static str {
    match error {
        ParseError::RequestLine => {
            "the first line is a method, a target and a version with one space between (RFC 9112 section 3); a space in \
             the URL is written `%20`"
        }
        ParseError::Target => {
            "a URL holds ASCII only, without control bytes; encode other bytes as `%XX` (RFC 3986)"
        }
        ParseError::Version => "only HTTP/1.0 and HTTP/1.1 are spoken here",
        ParseError::FieldName => {
            "a field name is a token, directly followed by `:` (RFC 9112 section 5.1); servers that repair it \
             disagree about what the field is"
        }
        ParseError::FieldValue => "a field value holds no control bytes (RFC 9110 section 5.5)",
        ParseError::Folded => {
            "a line that goes on with white space is read in two ways (RFC 9112 section 5.2)"
        }
        ParseError::BareLf => "lines end in CR LF; a lone LF is read in two ways (RFC 9112 section 2.2)",
        ParseError::LineTooLong => "`limits.request_line` is passed; raise it if such long URLs are meant",
        ParseError::HeadTooLarge => "`limits.head` is passed; raise it if such large heads are meant",
        ParseError::TooManyFields => "`limits.fields` is passed; raise it if so many fields are meant",
        _ => "the head does not have the form that RFC 9112 asks for",
    }
}

/// A head that can be read in more than one way, or asks for what is not offered.
pub(super) fn of_sanitize(error: SanitizeError) -> Refusal {
    let what = match error {
        SanitizeError::Path(error) => error.to_string(),
        other => other.as_str().to_owned(),
    };
    let why = match error {
        SanitizeError::Framing(error) => of_framing(error),
        SanitizeError::Path(error) => of_path(error),
        SanitizeError::HostMissing => {
            "every HTTP/1.1 request names its host (RFC 9112 section 3.2); give a full URL or a Host header"
        }
        SanitizeError::HostRepeated => {
            "with two Host fields, proxy and endpoint could each believe another one (RFC 9112 section 3.2)"
        }
        SanitizeError::HostInvalid => {
            "a host is a name or an address, perhaps with a port; names beyond ASCII travel as `xn--…`"
        }
        SanitizeError::Connect => "CONNECT asks for a tunnel to anywhere; a reverse proxy opens none",
        SanitizeError::Expectation => {
            "the only expectation there is, is `100-continue` (RFC 9110 section 10.1.1)"
        }
        _ => "the request has more than one reading",
    };
    Refusal { step: "sanitize", status: error.status(), what, why }
}

fn of_framing(error: FramingError) -> &'static str {
    match error {
        FramingError::ContentLength => {
            "where the body ends must have one reading: one Content-Length, one decimal number (RFC 9112 section 6.3)"
        }
        FramingError::Both => {
            "with both, two servers can disagree about where the body ends, which is how requests are smuggled \
             (RFC 9112 section 6.1)"
        }
        FramingError::Coding => "only `chunked` is understood as a transfer coding (RFC 9112 section 6.1)",
        FramingError::NotChunked => {
            "the body of a request ends with the last chunk, so `chunked` comes last and once"
        }
        FramingError::OldVersion => {
            "HTTP/1.0 has no transfer codings, so it says nothing about where the body ends"
        }
        FramingError::Forbidden => "such a message has no body",
    }
}

fn of_path(error: PathError) -> &'static str {
    match error {
        PathError::NotAbsolute => "a path begins with `/` (RFC 9112 section 3.2.1)",
        PathError::Control => "control bytes have no place in a path; some servers end the path at them",
        PathError::BadEscape => "a percent sign begins an escape; a percent sign itself is written `%25`",
        PathError::Backslash => {
            "some servers read `\\` as `/`, so a route could be walked around; write it `%5C`"
        }
        PathError::Fragment => "what follows `#` is never sent; a `#` in a path is written `%23`",
        PathError::AboveRoot => "the path would leave the root; no honest client sends it",
        PathError::HiddenDotSegment => {
            "some servers read a `..` there and others do not, so a route could be walked around"
        }
        PathError::NotAName => "the segment names no file",
    }
}
