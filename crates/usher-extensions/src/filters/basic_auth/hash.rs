//! Password hashes: which are taken, and how a password is compared with one.

use std::fmt;

use sha_crypt::{PasswordVerifier as _, ShaCrypt};
use usher_config::ValueError;

/// The highest cost of a bcrypt hash that is taken: about four seconds.
const MAX_BCRYPT_COST: u32 = 16;
/// The least cost that bcrypt has.
const MIN_BCRYPT_COST: u32 = 4;
/// The rounds that a SHA-crypt hash may have.
const SHA_ROUNDS: std::ops::RangeInclusive<u32> = 1000..=5_000_000;
/// The repair for most mistakes.
const HOW: &str = "make it by `htpasswd -nB NAME`, and write what follows the colon";

/// A password's hash. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Hash {
    text: Box<str>,
    scheme: Scheme,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Bcrypt,
    ShaCrypt,
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Hash {
    /// Reads a hash in the form of `crypt(5)`.
    ///
    /// # Errors
    /// What is wrong with it, without showing it.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let scheme = match text.split_once('$').filter(|(before, _)| before.is_empty()).map(|(_, rest)| rest)
        {
            Some(rest) if rest.starts_with("2a$") || rest.starts_with("2b$") || rest.starts_with("2y$") => {
                check_bcrypt(text)?;
                Scheme::Bcrypt
            }
            Some(rest) if rest.starts_with("5$") => check_sha(rest, 43)?,
            Some(rest) if rest.starts_with("6$") => check_sha(rest, 86)?,
            _ => return Err(refusal(text)),
        };
        Ok(Self { text: text.into(), scheme })
    }

    /// As it was written.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Whether the password is the one. Takes as long as the hash's cost says: tens of milliseconds and more.
    pub fn verify(&self, password: &[u8]) -> bool {
        match self.scheme {
            Scheme::Bcrypt => bcrypt::verify(password, &self.text).unwrap_or(false),
            Scheme::ShaCrypt => ShaCrypt::default().verify_password(password, &*self.text).is_ok(),
        }
    }
}

/// Why a text that begins like none of the hashes that are taken is refused.
fn refusal(text: &str) -> ValueError {
    let known = [
        ("$apr1$", "MD5 hashes are not taken: passwords can be found from them within hours"),
        ("$1$", "MD5 hashes are not taken: passwords can be found from them within hours"),
        ("{SHA}", "SHA-1 hashes without salt are not taken: passwords can be found from them within minutes"),
        ("$2x$", "hashes of the flawed bcrypt variant `$2x$` are not taken"),
        ("$argon2", "Argon2 hashes cannot be read"),
        ("$y$", "yescrypt hashes cannot be read"),
    ];
    let found = known.iter().find(|(prefix, _)| text.starts_with(prefix));
    match found {
        Some((_, why)) => ValueError::new(*why).help(HOW),
        None => ValueError::new("this is not the hash of a password").help(HOW),
    }
}

/// `$2y$CC$` and 53 characters.
fn check_bcrypt(text: &str) -> Result<(), ValueError> {
    let parts = text.parse::<bcrypt::HashParts>();
    let parts = parts.map_err(|_| ValueError::new("the bcrypt hash is not complete").help(HOW))?;
    match parts.get_cost() {
        MIN_BCRYPT_COST..=MAX_BCRYPT_COST => Ok(()),
        cost => Err(ValueError::new(format!("the cost of the bcrypt hash is {cost}"))
            .help(format!("a cost is {MIN_BCRYPT_COST} to {MAX_BCRYPT_COST}; 10 to 12 is usual"))),
    }
}

/// What follows the first `$`: `6$[rounds=N$]salt$hash`.
fn check_sha(rest: &str, length: usize) -> Result<Scheme, ValueError> {
    let broken = || ValueError::new("the SHA-crypt hash is not complete").help(HOW);
    let mut fields = rest.split('$').skip(1);
    let mut salt = fields.next().ok_or_else(broken)?;
    if let Some(rounds) = salt.strip_prefix("rounds=") {
        let rounds = rounds.parse::<u32>().map_err(|_| broken())?;
        if !SHA_ROUNDS.contains(&rounds) {
            let error = ValueError::new(format!("the SHA-crypt hash has {rounds} rounds"));
            return Err(error.help(format!("rounds are {} to {}", SHA_ROUNDS.start(), SHA_ROUNDS.end())));
        }
        salt = fields.next().ok_or_else(broken)?;
    }
    let hash = fields.next().ok_or_else(broken)?;
    let plain =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/'));
    let whole =
        plain(salt) && salt.len() <= 16 && plain(hash) && hash.len() == length && fields.next().is_none();
    if whole { Ok(Scheme::ShaCrypt) } else { Err(broken()) }
}
