//! Status codes (RFC 9110 section 15) and what they say about a message body.

/// A status code of three digits, 100 to 999.
///
/// RFC 9110 section 15 defines 100 to 599; a client takes an unknown code for the first of its class, so codes up to
/// 999 are passed on rather than refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(u16);

macro_rules! registered {
    ($($code:literal $name:ident $reason:literal,)*) => {
        impl Status {
            $(#[doc = concat!("`", $code, " ", $reason, "`")]
            pub const $name: Self = Self($code);)*

            /// The reason phrase of the IANA registry; empty for a code that is not in it.
            pub const fn reason(self) -> &'static str {
                match self.0 {
                    $($code => $reason,)*
                    _ => "",
                }
            }
        }
    };
}

registered! {
    100 CONTINUE "Continue",
    101 SWITCHING_PROTOCOLS "Switching Protocols",
    102 PROCESSING "Processing",
    103 EARLY_HINTS "Early Hints",
    200 OK "OK",
    201 CREATED "Created",
    202 ACCEPTED "Accepted",
    203 NON_AUTHORITATIVE_INFORMATION "Non-Authoritative Information",
    204 NO_CONTENT "No Content",
    205 RESET_CONTENT "Reset Content",
    206 PARTIAL_CONTENT "Partial Content",
    207 MULTI_STATUS "Multi-Status",
    208 ALREADY_REPORTED "Already Reported",
    226 IM_USED "IM Used",
    300 MULTIPLE_CHOICES "Multiple Choices",
    301 MOVED_PERMANENTLY "Moved Permanently",
    302 FOUND "Found",
    303 SEE_OTHER "See Other",
    304 NOT_MODIFIED "Not Modified",
    305 USE_PROXY "Use Proxy",
    307 TEMPORARY_REDIRECT "Temporary Redirect",
    308 PERMANENT_REDIRECT "Permanent Redirect",
    400 BAD_REQUEST "Bad Request",
    401 UNAUTHORIZED "Unauthorized",
    402 PAYMENT_REQUIRED "Payment Required",
    403 FORBIDDEN "Forbidden",
    404 NOT_FOUND "Not Found",
    405 METHOD_NOT_ALLOWED "Method Not Allowed",
    406 NOT_ACCEPTABLE "Not Acceptable",
    407 PROXY_AUTHENTICATION_REQUIRED "Proxy Authentication Required",
    408 REQUEST_TIMEOUT "Request Timeout",
    409 CONFLICT "Conflict",
    410 GONE "Gone",
    411 LENGTH_REQUIRED "Length Required",
    412 PRECONDITION_FAILED "Precondition Failed",
    413 CONTENT_TOO_LARGE "Content Too Large",
    414 URI_TOO_LONG "URI Too Long",
    415 UNSUPPORTED_MEDIA_TYPE "Unsupported Media Type",
    416 RANGE_NOT_SATISFIABLE "Range Not Satisfiable",
    417 EXPECTATION_FAILED "Expectation Failed",
    421 MISDIRECTED_REQUEST "Misdirected Request",
    422 UNPROCESSABLE_CONTENT "Unprocessable Content",
    423 LOCKED "Locked",
    424 FAILED_DEPENDENCY "Failed Dependency",
    425 TOO_EARLY "Too Early",
    426 UPGRADE_REQUIRED "Upgrade Required",
    428 PRECONDITION_REQUIRED "Precondition Required",
    429 TOO_MANY_REQUESTS "Too Many Requests",
    431 REQUEST_HEADER_FIELDS_TOO_LARGE "Request Header Fields Too Large",
    451 UNAVAILABLE_FOR_LEGAL_REASONS "Unavailable For Legal Reasons",
    500 INTERNAL_SERVER_ERROR "Internal Server Error",
    501 NOT_IMPLEMENTED "Not Implemented",
    502 BAD_GATEWAY "Bad Gateway",
    503 SERVICE_UNAVAILABLE "Service Unavailable",
    504 GATEWAY_TIMEOUT "Gateway Timeout",
    505 HTTP_VERSION_NOT_SUPPORTED "HTTP Version Not Supported",
    506 VARIANT_ALSO_NEGOTIATES "Variant Also Negotiates",
    507 INSUFFICIENT_STORAGE "Insufficient Storage",
    508 LOOP_DETECTED "Loop Detected",
    511 NETWORK_AUTHENTICATION_REQUIRED "Network Authentication Required",
}

impl Status {
    /// `code` as a status, unless it is outside 100 to 999.
    pub const fn new(code: u16) -> Option<Self> {
        if code >= 100 && code <= 999 { Some(Self(code)) } else { None }
    }

    /// Exactly three digits, as in a status line (RFC 9112 section 4).
    pub fn parse(text: &[u8]) -> Option<Self> {
        let &[a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] = text else { return None };
        let digit = |d: u8| u16::from(d - b'0');
        Some(Self(digit(a) * 100 + digit(b) * 10 + digit(c)))
    }

    /// The code as a number.
    pub const fn code(self) -> u16 {
        self.0
    }

    /// The code as three ASCII digits.
    pub const fn digits(self) -> [u8; 3] {
        let [a, b, c] = [self.0 / 100, self.0 / 10 % 10, self.0 % 10];
        [b'0' + a as u8, b'0' + b as u8, b'0' + c as u8]
    }

    /// The first digit: 1 to 5 for the classes of RFC 9110 section 15, up to 9 otherwise.
    pub const fn class(self) -> u8 {
        (self.0 / 100) as u8
    }

    /// 1xx: an interim response, another follows (101 excepted).
    pub const fn is_informational(self) -> bool {
        self.class() == 1
    }

    /// 2xx.
    pub const fn is_success(self) -> bool {
        self.class() == 2
    }

    /// 3xx.
    pub const fn is_redirection(self) -> bool {
        self.class() == 3
    }

    /// 4xx.
    pub const fn is_client_error(self) -> bool {
        self.class() == 4
    }

    /// 5xx.
    pub const fn is_server_error(self) -> bool {
        self.class() == 5
    }

    /// Whether a response with this status carries a body (RFC 9110 section 6.4.1, RFC 9112 section 6.3): not in answer
    /// to `HEAD`, and not with 1xx, 204 or 304.
    ///
    /// A 205 must not have content either, but is framed like any other response, so it counts as having one. A 2xx
    /// to `CONNECT` turns the connection into a tunnel and is the caller's business.
    pub const fn has_body(self, method_is_head: bool) -> bool {
        !(method_is_head || self.is_informational() || matches!(self.0, 204 | 304))
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests;
