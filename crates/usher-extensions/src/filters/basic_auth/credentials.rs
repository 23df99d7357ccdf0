//! What an `Authorization` field says (RFC 7617, section 2).

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The longest name and password together (bytes). It also bounds the work of a hash, which grows with the password.
const MAX_BYTES: usize = 1024;

/// Base64 with or without padding: some clients leave it out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A name and a password. The password is never shown.
pub struct Credentials {
    /// The name.
    pub user: String,
    /// The password.
    pub password: Vec<u8>,
}

impl Credentials {
    /// Reads the value of the field; none if it is of another scheme or malformed.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (scheme, rest) = value.split_at_checked(5)?;
        let token = rest.strip_prefix(b" ").filter(|_| scheme.eq_ignore_ascii_case(b"basic"))?;
        let token = token.trim_ascii();
        if token.len() > MAX_BYTES.div_ceil(3) * 4 {
            return None;
        }
        let decoded = BASE64.decode(token).ok()?;
        let colon = decoded.iter().position(|&byte| byte == b':')?;
        let (user, password) = (decoded.get(..colon)?, decoded.get(colon + 1..)?);
        // Neither may hold control characters; a NUL would end the password for bcrypt.
        if decoded.iter().any(u8::is_ascii_control) {
            return None;
        }
        Some(Self { user: String::from_utf8(user.to_vec()).ok()?, password: password.to_vec() })
    }
}
