//! Why a PROXY header is refused.

use std::fmt;

/// A broken rule of the PROXY protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// No end within the longest header that is accepted.
    TooLong,
    /// The line of version 1 is not as section 2.1 wants it.
    MalformedLine,
    /// Neither TCP4, TCP6 nor UNKNOWN.
    UnknownProtocol,
    /// An address is not in its canonical form, or of the other family.
    BadAddress,
    /// A port is not a decimal number up to 65535 without leading zeros.
    BadPort,
    /// A version other than 2 after the binary signature.
    UnknownVersion(u8),
    /// A command other than LOCAL and PROXY.
    UnknownCommand(u8),
    /// An address family and transport that are not defined together.
    UnknownFamily(u8),
    /// The addresses need more bytes than the header has.
    Truncated,
    /// A TLV reaches beyond the header or has a value that its type does not allow.
    BadTlv(u8),
    /// A TLV of which there may be one is there twice.
    RepeatedTlv(u8),
    /// The checksum does not match.
    BadChecksum,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed PROXY header: ")?;
        match self {
            Self::TooLong => f.write_str("longer than a header may be"),
            Self::MalformedLine => f.write_str("the line has the wrong number of words or a stray CR or LF"),
            Self::UnknownProtocol => f.write_str("neither TCP4, TCP6 nor UNKNOWN"),
            Self::BadAddress => f.write_str("an address is malformed or of the other family"),
            Self::BadPort => f.write_str("a port is malformed"),
            Self::UnknownVersion(version) => write!(f, "version `{version}` is not known"),
            Self::UnknownCommand(command) => write!(f, "command `{command}` is not known"),
            Self::UnknownFamily(family) => write!(f, "address family `{family:#04x}` is not known"),
            Self::Truncated => f.write_str("too short for its addresses"),
            Self::BadTlv(kind) => write!(f, "the value of type `{kind:#04x}` is malformed"),
            Self::RepeatedTlv(kind) => write!(f, "the value of type `{kind:#04x}` is there twice"),
            Self::BadChecksum => f.write_str("the checksum does not match"),
        }
    }
}

impl std::error::Error for Error {}
