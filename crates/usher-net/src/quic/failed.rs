//! Handshakes that failed, in the words that those over TCP have.

use std::net::SocketAddr;

use super::error::ConnectionError;
use crate::tls::HandshakeErrorKind as Kind;

/// A client's handshake that did not come to its end (RFC 9001 section 4.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedHandshake {
    /// Who seems to have begun it: nobody has shown that the address is its own.
    pub peer: SocketAddr,
    /// The address of this end.
    pub local: SocketAddr,
    /// Why.
    pub error: ConnectionError,
}

impl FailedHandshake {
    /// Why, as a label of metrics: one of [`HandshakeErrorKind`](crate::tls::HandshakeErrorKind), or `timeout`.
    pub fn reason(&self) -> &'static str {
        let kind = match &self.error {
            ConnectionError::TimedOut => return "timeout",
            ConnectionError::Version => Kind::NoCommonVersion,
            ConnectionError::Local | ConnectionError::Ended => Kind::Internal,
            ConnectionError::Application(_) | ConnectionError::Reset => Kind::Disconnected,
            ConnectionError::Violation(..) => self.error.alert().map_or(Kind::Malformed, of_own_alert),
            ConnectionError::Closed(..) => self.error.alert().map_or(Kind::Disconnected, of_peers_alert),
        };
        kind.as_str()
    }

    /// Why, in one phrase for logs.
    pub fn text(&self) -> String {
        match (&self.error, self.error.alert()) {
            (ConnectionError::TimedOut, _) => "the client did not complete the handshake in time".to_owned(),
            (ConnectionError::Closed(..), Some(alert)) => match alert_name(alert) {
                Some(name) => format!("the peer sent the alert `{name}`"),
                None => format!("the peer sent the alert {alert}"),
            },
            (ConnectionError::Violation(_, phrase), _) => phrase.to_string(),
            (error, _) => error.to_string(),
        }
    }
}

/// What an alert that this side sent was about (RFC 8446 section 6.2, RFC 7301 section 3.2).
fn of_own_alert(alert: u8) -> Kind {
    match alert {
        40 | 71 => Kind::NoCommonCipher,
        70 => Kind::NoCommonVersion,
        120 => Kind::NoCommonProtocol,
        // What rustls says when there is no certificate for the name.
        49 | 112 => Kind::UnknownName,
        42..=46 | 48 | 51 | 116 => Kind::BadClientCertificate,
        80 => Kind::Internal,
        _ => Kind::Malformed,
    }
}

/// What an alert of the client means.
fn of_peers_alert(alert: u8) -> Kind {
    match alert {
        0 | 90 => Kind::Disconnected,
        70 => Kind::NoCommonVersion,
        112 => Kind::UnknownName,
        120 => Kind::NoCommonProtocol,
        _ => Kind::Refused,
    }
}

/// The names of alerts with which clients end handshakes, in the registry of IANA.
fn alert_name(alert: u8) -> Option<&'static str> {
    Some(match alert {
        0 => "close_notify",
        40 => "handshake_failure",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        50 => "decode_error",
        51 => "decrypt_error",
        70 => "protocol_version",
        80 => "internal_error",
        90 => "user_canceled",
        112 => "unrecognized_name",
        120 => "no_application_protocol",
        _ => return None,
    })
}
