//! The cookies of a cluster: one value per endpoint, that nobody can make or read without the secret.

use std::collections::HashMap;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use usher_api::{Candidate, Exchange};
use usher_http::cookie::{self, CookieError, SetCookie};
use usher_http::{FieldId, cookie::SameSite};

/// What the keyed hash is over, before the endpoint's identity: the same secret serves for other things too.
const PURPOSE: &[u8] = b"usher: sticky cookie of endpoint ";

/// Bytes of the keyed hash that a cookie holds.
const TAG_BYTES: usize = 16;

/// The same in base64 without padding.
const VALUE_BYTES: usize = 22;

/// A cookie's value.
type Value = [u8; VALUE_BYTES];

/// How cookies are made and set.
#[derive(Debug)]
pub(super) struct Cookies {
    /// The first makes new ones.
    pub keys: Vec<hmac::Key>,
    pub name: String,
    pub path: String,
    pub max_age_seconds: Option<u64>,
    pub same_site: SameSite,
}

impl Cookies {
    /// The value of an endpoint: HMAC-SHA256 of its identity, cut to 128 bits. It names the endpoint and nothing else,
    /// so two visitors of one endpoint have the same.
    fn value(key: &hmac::Key, identity: u64) -> Value {
        let mut context = hmac::Context::with_key(key);
        context.update(PURPOSE);
        context.update(&identity.to_be_bytes());
        let tag = context.sign();
        let mut value = [0; VALUE_BYTES];
        let tag = tag.as_ref().get(..TAG_BYTES).unwrap_or_default();
        // Cannot fail: 16 bytes are 22 characters.
        let _ = URL_SAFE_NO_PAD.encode_slice(tag, &mut value);
        value
    }

    /// Appends the field that sets a value.
    pub(super) fn write(&self, value: &str, secure: bool, out: &mut Vec<u8>) -> Result<(), CookieError> {
        let mut set = SetCookie::new(&self.name, value);
        set.path = Some(&self.path);
        set.http_only = true;
        set.secure = secure;
        set.same_site = Some(self.same_site);
        set.max_age_seconds = self.max_age_seconds;
        set.write_to(out)
    }
}

/// Whom a cookie names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub endpoint: usize,
    /// It was made from the first secret.
    pub is_current: bool,
}

/// The values of all endpoints of a cluster. A value that is made up is not among them.
#[derive(Debug)]
pub(super) struct Values {
    /// By endpoint, from the first secret.
    of: Box<[Value]>,
    named: HashMap<Value, Named>,
}

impl Values {
    pub(super) fn new(cookies: &Cookies, candidates: &[Candidate]) -> Self {
        let mut named = HashMap::with_capacity(candidates.len() * cookies.keys.len());
        let mut of = Vec::with_capacity(candidates.len());
        for (number, key) in cookies.keys.iter().enumerate() {
            for (endpoint, one) in candidates.iter().enumerate() {
                let value = Cookies::value(key, one.identity);
                // An endpoint that is listed twice is found in its first place.
                named.entry(value).or_insert(Named { endpoint, is_current: number == 0 });
                if number == 0 {
                    of.push(value);
                }
            }
        }
        Self { of: of.into(), named }
    }

    /// The endpoint that the request's cookie names. Browsers may send several of one name, for several paths.
    pub(super) fn named(&self, cookies: &Cookies, exchange: &Exchange) -> Option<Named> {
        let pairs = exchange.request.fields.all(FieldId::Cookie).flat_map(cookie::pairs);
        let values = pairs.filter(|(name, _)| *name == cookies.name.as_bytes()).map(|(_, value)| value);
        values.filter_map(|value| self.named.get(&Value::try_from(value).ok()?).copied()).next()
    }

    /// The value of an endpoint.
    pub(super) fn of(&self, endpoint: usize) -> Option<&str> {
        std::str::from_utf8(self.of.get(endpoint)?).ok()
    }
}
