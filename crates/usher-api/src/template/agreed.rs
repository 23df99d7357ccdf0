//! The variables about TLS.

use std::fmt::Write as _;
use std::time::UNIX_EPOCH;

use usher_net::tls::Session;

/// Something that was agreed in a TLS handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Agreed {
    /// `tls.version`
    Version,
    /// `tls.cipher`
    Cipher,
    /// `tls.server_name`
    ServerName,
    /// `tls.alpn`
    Alpn,
    /// `tls.resumed`: `true` or `false`
    Resumed,
    /// `tls.client.subject`
    Subject,
    /// `tls.client.issuer`
    Issuer,
    /// `tls.client.serial`
    Serial,
    /// `tls.client.san`: all of them, with their kinds, separated by commas
    San,
    /// `tls.client.fingerprint`
    Fingerprint,
    /// `tls.client.not_after`: seconds since 1970
    NotAfter,
}

impl Agreed {
    /// The variable of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "tls.version" => Self::Version,
            "tls.cipher" => Self::Cipher,
            "tls.server_name" => Self::ServerName,
            "tls.alpn" => Self::Alpn,
            "tls.resumed" => Self::Resumed,
            "tls.client.subject" => Self::Subject,
            "tls.client.issuer" => Self::Issuer,
            "tls.client.serial" => Self::Serial,
            "tls.client.san" => Self::San,
            "tls.client.fingerprint" => Self::Fingerprint,
            "tls.client.not_after" => Self::NotAfter,
            _ => return None,
        })
    }

    /// Appends its value, without control characters; nothing where there is none.
    pub(super) fn render(self, session: &Session, out: &mut String) {
        let mut push = |text: &str| out.extend(text.chars().filter(|c| !c.is_control()));
        match self {
            Self::Version => push(session.version),
            Self::Cipher => push(session.cipher),
            Self::ServerName => push(session.server_name.as_deref().unwrap_or_default()),
            Self::Alpn => push(&String::from_utf8_lossy(session.alpn.as_deref().unwrap_or_default())),
            Self::Resumed => push(if session.resumed { "true" } else { "false" }),
            _ => self.render_client(session, out),
        }
    }

    fn render_client(self, session: &Session, out: &mut String) {
        let Some(client) = &session.client else { return };
        let mut push = |text: &str| out.extend(text.chars().filter(|c| !c.is_control()));
        match self {
            Self::Subject => push(&client.subject),
            Self::Issuer => push(&client.issuer),
            Self::Serial => push(&client.serial),
            Self::San => push(&client.sans.join(",")),
            Self::Fingerprint => push(&client.fingerprint),
            Self::NotAfter => {
                let seconds = client.not_after.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
                // Writing to a String cannot fail.
                let _ = write!(out, "{seconds}");
            }
            _ => {}
        }
    }
}
