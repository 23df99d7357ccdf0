//! The secrets of an endpoint, which all its workers share.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::{hkdf, hmac, rand};

use super::tokens::UsedTokens;

/// Secrets for stateless resets, retry tokens and connection IDs.
///
/// With those of the process before, a restarted proxy can tell clients at once that their connections are gone
/// (stateless reset, RFC 9000 section 10.3), rather than leave them to their timeouts.
pub struct QuicKeys {
    root: hkdf::Prk,
    pub(super) token: Arc<hkdf::Prk>,
    pub(super) used: Arc<UsedTokens>,
}

/// Those of the sockets of one address. Of another address they are others: what one of them says about an ID that it does
/// not know must not end a connection that the other one has (RFC 9000 section 21.11).
pub(super) struct AddressKeys {
    pub(super) reset: Arc<hmac::Key>,
    pub(super) ids: hmac::Key,
}

impl QuicKeys {
    /// Fresh ones.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn random() -> io::Result<Self> {
        let mut secret = [0; 32];
        rand::fill(&mut secret).map_err(|_| io::Error::other("the system gives no random bytes"))?;
        Ok(Self::from_secret(&secret))
    }

    /// Derived from a secret, which should have 32 random bytes or more.
    pub fn from_secret(secret: &[u8]) -> Self {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"usher quic keys");
        let root = salt.extract(secret);
        Self { token: Arc::new(salt.extract(&derive(&root, &[b"token"]))), used: Arc::default(), root }
    }

    /// The keys of an address.
    pub(super) fn of(&self, address: SocketAddr) -> AddressKeys {
        let address = address.to_string();
        let derived = |purpose: &[u8]| {
            hmac::Key::new(hmac::HMAC_SHA256, &derive(&self.root, &[purpose, b" ", address.as_bytes()]))
        };
        AddressKeys { reset: Arc::new(derived(b"reset")), ids: derived(b"ids") }
    }
}

fn derive(root: &hkdf::Prk, info: &[&[u8]]) -> [u8; 32] {
    let mut key = [0; 32];
    // It fails for lengths that HKDF cannot give only; one hash is not such.
    let filled = root.expand(info, hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut key));
    debug_assert!(filled.is_ok());
    key
}

impl fmt::Debug for QuicKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QuicKeys")
    }
}
