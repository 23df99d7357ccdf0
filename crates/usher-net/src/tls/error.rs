//! What goes wrong: when options are taken, and in a handshake.

use std::borrow::Cow;
use std::{fmt, io};

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible, PeerMisbehaved};

/// Options that TLS cannot work with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsError {
    /// No cipher suite of this name, or none that the policy allows.
    UnknownCipherSuite(String),
    /// No key exchange group of this name.
    UnknownGroup(String),
    /// The suites that are left cannot do the versions of the policy.
    NoCipherSuite,
    /// A file of certificates to be trusted holds none, or one that cannot be used; the reason.
    Roots(String),
    /// A revocation list that cannot be read; the reason.
    RevocationList(String),
    /// A secret for tickets that is too short, or too many of them; the reason.
    TicketSecret(&'static str),
    /// rustls refused the rest; its words.
    Refused(String),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownCipherSuite(name) => write!(f, "the policy has no cipher suite `{name}`"),
            Self::UnknownGroup(name) => write!(f, "there is no key exchange group `{name}`"),
            Self::NoCipherSuite => {
                f.write_str("the cipher suites fit no version of TLS that the policy allows")
            }
            Self::Roots(reason) => write!(f, "the certificates to be trusted cannot be used: {reason}"),
            Self::RevocationList(reason) => {
                write!(f, "a certificate revocation list cannot be used: {reason}")
            }
            Self::TicketSecret(reason) => {
                write!(f, "the secrets of session tickets cannot be used: {reason}")
            }
            Self::Refused(reason) => write!(f, "TLS cannot be set up so: {reason}"),
        }
    }
}

impl std::error::Error for TlsError {}

impl From<Error> for TlsError {
    fn from(error: Error) -> Self {
        Self::Refused(error.to_string())
    }
}

/// Why a handshake failed, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HandshakeErrorKind {
    /// The first bytes are no TLS record.
    NotTls,
    /// A message breaks the protocol or could not be decrypted.
    Malformed,
    /// There is no certificate for the name, and none for all the others.
    UnknownName,
    /// No version of TLS that both sides speak.
    NoCommonVersion,
    /// No cipher suite, group or signature scheme that both sides know.
    NoCommonCipher,
    /// No application protocol (ALPN) that both sides speak.
    NoCommonProtocol,
    /// The client's certificate is missing or was not accepted.
    BadClientCertificate,
    /// The server's certificate was not accepted.
    BadServerCertificate,
    /// The peer refused with an alert.
    Refused,
    /// The peer closed the connection in the middle.
    Disconnected,
    /// The connection failed.
    Io,
    /// Our side's fault: a name that cannot be asked for, for example.
    Internal,
}

impl HandshakeErrorKind {
    /// Every kind, in order.
    pub const ALL: [Self; 12] = [
        Self::NotTls,
        Self::Malformed,
        Self::UnknownName,
        Self::NoCommonVersion,
        Self::NoCommonCipher,
        Self::NoCommonProtocol,
        Self::BadClientCertificate,
        Self::BadServerCertificate,
        Self::Refused,
        Self::Disconnected,
        Self::Io,
        Self::Internal,
    ];

    /// The name for labels of metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotTls => "not_tls",
            Self::Malformed => "malformed",
            Self::UnknownName => "unknown_name",
            Self::NoCommonVersion => "no_common_version",
            Self::NoCommonCipher => "no_common_cipher",
            Self::NoCommonProtocol => "no_common_protocol",
            Self::BadClientCertificate => "bad_client_certificate",
            Self::BadServerCertificate => "bad_server_certificate",
            Self::Refused => "refused",
            Self::Disconnected => "disconnected",
            Self::Io => "io",
            Self::Internal => "internal",
        }
    }
}

/// A handshake that failed. If an alert was due, it was sent.
#[derive(Debug)]
pub struct HandshakeError {
    kind: HandshakeErrorKind,
    text: Cow<'static, str>,
}

impl HandshakeError {
    pub(super) fn new(kind: HandshakeErrorKind, text: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, text: text.into() }
    }

    /// What happened, for metrics.
    pub fn kind(&self) -> HandshakeErrorKind {
        self.kind
    }

    /// What happened, for logs: a short phrase, lower case.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The error that rustls gave, to a server or a client.
    pub(super) fn from_rustls(error: &Error, is_server: bool) -> Self {
        use HandshakeErrorKind as Kind;
        let kind = match error {
            Error::NoApplicationProtocol => Kind::NoCommonProtocol,
            Error::PeerIncompatible(reason) => incompatible(reason),
            Error::NoCertificatesPresented
            | Error::InvalidCertificate(_)
            | Error::InvalidCertRevocationList(_) => {
                if is_server {
                    Kind::BadClientCertificate
                } else {
                    Kind::BadServerCertificate
                }
            }
            Error::AlertReceived(alert) => {
                return Self::new(
                    alert_kind(*alert),
                    format!("the peer sent the alert `{}`", alert_name(*alert)),
                );
            }
            Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedApplicationProtocol) => {
                Kind::NoCommonProtocol
            }
            Error::PeerMisbehaved(_)
            | Error::InvalidMessage(_)
            | Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. }
            | Error::DecryptError
            | Error::PeerSentOversizedRecord => Kind::Malformed,
            _ => Kind::Internal,
        };
        Self::new(kind, phrase(error))
    }
}

/// A phrase without the details of certificates, which may be long.
fn phrase(error: &Error) -> Cow<'static, str> {
    match error {
        Error::NoApplicationProtocol => "no application protocol in common".into(),
        Error::NoCertificatesPresented => "a certificate is required and none was sent".into(),
        Error::DecryptError => "a record could not be decrypted".into(),
        Error::PeerSentOversizedRecord => "a record is too long".into(),
        // Most often plain HTTP, or an error page of it.
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => "what the peer sent is no TLS".into(),
        Error::InvalidCertificate(reason) => certificate_phrase(reason),
        Error::PeerIncompatible(reason) => match incompatible(reason) {
            HandshakeErrorKind::NoCommonVersion => "no version of TLS in common".into(),
            _ => format!("nothing in common: {reason:?}").into(),
        },
        error => error.to_string().into(),
    }
}

fn certificate_phrase(reason: &CertificateError) -> Cow<'static, str> {
    match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the certificate is expired".into()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate is not valid yet".into()
        }
        CertificateError::Revoked => "the certificate is revoked".into(),
        CertificateError::UnknownIssuer => "the issuer of the certificate is not trusted".into(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the certificate is for another name".into()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the certificate is for another purpose".into()
        }
        CertificateError::BadSignature => "a signature is wrong".into(),
        CertificateError::UnknownRevocationStatus => "no revocation list covers the certificate".into(),
        CertificateError::ExpiredRevocationList | CertificateError::ExpiredRevocationListContext { .. } => {
            "the revocation list is expired".into()
        }
        reason => format!("the certificate cannot be accepted: {reason}").into(),
    }
}

fn incompatible(reason: &PeerIncompatible) -> HandshakeErrorKind {
    match reason {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::Tls13RequiredForQuic => HandshakeErrorKind::NoCommonVersion,
        PeerIncompatible::NullCompressionRequired => HandshakeErrorKind::Malformed,
        _ => HandshakeErrorKind::NoCommonCipher,
    }
}

fn alert_kind(alert: AlertDescription) -> HandshakeErrorKind {
    match alert {
        AlertDescription::CloseNotify | AlertDescription::UserCanceled => HandshakeErrorKind::Disconnected,
        AlertDescription::ProtocolVersion => HandshakeErrorKind::NoCommonVersion,
        AlertDescription::NoApplicationProtocol => HandshakeErrorKind::NoCommonProtocol,
        AlertDescription::UnrecognisedName => HandshakeErrorKind::UnknownName,
        _ => HandshakeErrorKind::Refused,
    }
}

/// The name of an alert as the registry of IANA writes it.
pub(super) fn alert_name(alert: AlertDescription) -> Cow<'static, str> {
    if alert == AlertDescription::UnrecognisedName {
        // rustls spells it otherwise.
        return "unrecognized_name".into();
    }
    let Some(name) = alert.as_str() else { return format!("{}", u8::from(alert)).into() };
    let mut out = String::with_capacity(name.len() + 4);
    for (index, letter) in name.char_indices() {
        if letter.is_ascii_uppercase()
            && index > 0
            && !name[..index].ends_with(|c: char| c.is_ascii_uppercase())
        {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out.into()
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for HandshakeError {}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        Self::new(HandshakeErrorKind::Io, error.to_string())
    }
}

impl From<HandshakeError> for io::Error {
    fn from(error: HandshakeError) -> Self {
        let kind = match error.kind {
            HandshakeErrorKind::Disconnected => io::ErrorKind::UnexpectedEof,
            HandshakeErrorKind::Io => io::ErrorKind::Other,
            HandshakeErrorKind::Internal => io::ErrorKind::InvalidInput,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
