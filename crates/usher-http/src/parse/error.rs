//! Why a head is refused, and what answers it.

/// Why a head was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseError {
    /// The method is not a token or the request line is not `METHOD SP TARGET SP VERSION`.
    RequestLine,
    /// A byte in the target that RFC 3986 does not allow there.
    Target,
    /// Not `HTTP/1.0` or `HTTP/1.1`, but of that form.
    Version,
    /// The status line is not `VERSION SP 3DIGIT SP REASON`.
    StatusLine,
    /// A field name that is not a token, or white space before the colon, or no colon.
    FieldName,
    /// A control byte, bare CR or NUL in a field value.
    FieldValue,
    /// A line that begins with white space: obsolete line folding.
    Folded,
    /// A line that ends in LF without CR.
    BareLf,
    /// The first line is longer than the limit.
    LineTooLong,
    /// The head is longer than the limit.
    HeadTooLarge,
    /// More fields than the limit.
    TooManyFields,
}

impl ParseError {
    /// The status that answers a request with this error.
    pub fn status(self) -> u16 {
        match self {
            Self::LineTooLong => 414,
            Self::HeadTooLarge | Self::TooManyFields => 431,
            Self::Version => 505,
            _ => 400,
        }
    }

    /// One phrase for logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RequestLine => "malformed request line",
            Self::Target => "byte not allowed in the request target",
            Self::Version => "unsupported protocol version",
            Self::StatusLine => "malformed status line",
            Self::FieldName => "malformed field name",
            Self::FieldValue => "control byte in a field value",
            Self::Folded => "folded field line",
            Self::BareLf => "line ends in LF without CR",
            Self::LineTooLong => "first line too long",
            Self::HeadTooLarge => "head too large",
            Self::TooManyFields => "too many fields",
        }
    }
}
