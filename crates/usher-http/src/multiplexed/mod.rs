//! What HTTP/2 and HTTP/3 have in common (RFC 9113 section 8, RFC 9114 section 4): a message is a list of fields, some
//! of which begin with a colon and say what the first line of HTTP/1 says.
//!
//! The builders read such a list into the same head that the HTTP/1 parser makes, so that no later step sees a
//! difference; [`each_request_field`] and [`each_response_field`] give a head back as a list. What HTTP/1 would refuse in
//! a name or value is refused here too, as it may go on over HTTP/1.

mod emit;
mod request;
mod response;
mod section;
#[cfg(test)]
mod tests;

use crate::parse::ParseError;
pub use emit::{each_request_field, each_response_field, each_trailer};
pub use request::RequestBuilder;
pub use response::{ResponseBuilder, TrailersBuilder};

/// Why a list of fields is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageError {
    /// It is malformed (RFC 9113 section 8.1.1, RFC 9114 section 4.1.2): its stream is reset. One phrase for logs.
    Malformed(&'static str),
    /// It exceeds a limit; the error has the status that answers it.
    TooLarge(ParseError),
}

impl MessageError {
    /// The status that would answer a request with this error.
    pub fn status(self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::TooLarge(error) => error.status(),
        }
    }

    /// One phrase for logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed(phrase) => phrase,
            Self::TooLarge(error) => error.as_str(),
        }
    }
}
