//! A cookie brings visitors back to the endpoint that served them first; new ones go where the fewest requests are.
//!
//! The cookie stays when its endpoint is out: the visitor is served by another one meanwhile, always the same as far as
//! possible, and goes back when it is in again. One that was taken out of the cluster is nobody, and its visitors are
//! new. An endpoint that is draining serves those that it has.

pub mod config;
mod cookie;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::hmac;
use usher_api::balancer::Affinity;
use usher_api::{Balance, Balancer, BalancerFactory, BuildContext, Candidate, Exchange, PickInput};
use usher_config::{Decode, Diagnostic, Node};
use usher_http::{FieldId, cookie::CookieError, cookie::SameSite};

use self::cookie::{Cookies, Values};
use super::hashing::{self, hash, hash_address, mix};
use super::{Fewest, Lottery, Random, may_be_chosen, required};

/// Registration.
pub static FACTORY: BalancerFactory = BalancerFactory {
    name: "sticky",
    summary: "A cookie brings visitors back to the endpoint that served them first.",
    schema: config::Sticky::schema,
    build,
};

/// The fewest characters of a secret.
const MIN_SECRET: usize = 16;

/// Leading bits of addresses that count when visitors of an endpoint that is out are spread, of IPv4 and IPv6.
const PREFIXES: (u8, u8) = (32, 64);

fn build(section: Option<&Node>, context: &mut BuildContext<'_, '_>) -> Option<Arc<dyn Balance>> {
    let help =
        "write `balance = { policy = \"sticky\", secret = \"…\" }`; `openssl rand -base64 24` makes a secret";
    let config: config::Sticky = required(section, context, ("secret", help))?;
    let mut is_good = true;
    for secret in config.secret.iter().filter(|secret| secret.value.expose().chars().count() < MIN_SECRET) {
        is_good = false;
        let error = Diagnostic::error("the secret is too short to be one").at(secret.span, "");
        context
            .config
            .push(error.help(format!(
                "write {MIN_SECRET} characters or more; `openssl rand -base64 24` makes them"
            )));
    }
    let cookies = Cookies {
        keys: config.secret.iter().map(|secret| key(secret.value.expose())).collect(),
        name: config.name.as_ref().map_or_else(|| default_name(context.scope), |name| name.value.clone()),
        path: config.path.value.clone(),
        max_age_seconds: config.max_age.map(|age| age.as_secs()),
        same_site: match config.same_site {
            config::SameSite::Strict => SameSite::Strict,
            config::SameSite::Lax => SameSite::Lax,
            config::SameSite::None => SameSite::None,
        },
    };
    if let Err(error) = cookies.write("", true, &mut Vec::new()) {
        is_good = false;
        context.config.push(unwritable(error, &config));
    }
    (is_good && !cookies.keys.is_empty()).then(|| Arc::new(Sticky(Arc::new(cookies))) as Arc<dyn Balance>)
}

fn key(secret: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())
}

/// Two clusters behind one host need two names, so that visitors of both keep both.
fn default_name(scope: &str) -> String {
    format!("usher_{:08x}", hash(scope.as_bytes()) >> 32)
}

/// Why browsers would not take the cookie.
fn unwritable(error: CookieError, config: &config::Sticky) -> Diagnostic {
    let name = config.name.as_ref().map_or(config.path.span, |name| name.span);
    let (span, help) = match error {
        CookieError::BadAttribute => (config.path.span, "write a path such as `/` or `/app`, without `;`"),
        CookieError::Insecure => (name, "with this name, `path` has to be `/`"),
        _ => (name, "write a name of letters, digits, `-` and `_`"),
    };
    Diagnostic::error(error.to_string()).at(span, "").help(help)
}

struct Sticky(Arc<Cookies>);

struct Visitors {
    cookies: Arc<Cookies>,
    values: Values,
    fewest: Fewest,
    /// For the visitors of an endpoint that is out.
    lottery: Lottery,
}

impl Balance for Sticky {
    fn begin(&self, candidates: &[Candidate], seed: u64) -> Box<dyn Balancer> {
        Box::new(Visitors {
            cookies: self.0.clone(),
            values: Values::new(&self.0, candidates),
            fewest: Fewest::new(candidates, seed),
            lottery: Lottery::new(candidates),
        })
    }

    fn marks_responses(&self) -> bool {
        true
    }
}

impl Balancer for Visitors {
    fn pick(&mut self, input: &PickInput<'_>) -> Option<usize> {
        let named = self.values.named(&self.cookies, input.exchange).map(|named| named.endpoint);
        let known = named.and_then(|endpoint| Some((endpoint, input.candidates.get(endpoint)?)));
        match known {
            Some((endpoint, one)) if may_be_chosen(one) || one.draining => Some(endpoint),
            _ if input.usable == 0 => None,
            Some((_, one)) => self.stand_in(input, one),
            None => self.fewest.pick(input.candidates),
        }
    }

    /// Its own endpoint's group; while that is out, always the same other one.
    fn affinity(&self, client: Option<IpAddr>, exchange: &Exchange) -> Affinity {
        let Some(named) = self.values.named(&self.cookies, exchange) else { return Affinity::None };
        let client = client.map_or(0, |address| hash_address(address, PREFIXES));
        Affinity::Endpoint(named.endpoint, mix(!client))
    }

    fn reweighted(&mut self, candidates: &[Candidate]) {
        self.fewest.reweighted(candidates);
        self.lottery = Lottery::new(candidates);
    }

    fn answered(&mut self, endpoint: usize, _candidates: &[Candidate], exchange: &mut Exchange) {
        let named = self.values.named(&self.cookies, exchange);
        // Who is served by another one while its own is out goes back to it.
        if named.is_some_and(|named| named.is_current || named.endpoint != endpoint) {
            return;
        }
        let Some(value) = self.values.of(endpoint) else { return };
        let mut field = Vec::new();
        let secure = exchange.request.scheme == "https";
        // Fails for `SameSite=None` without TLS only: browsers would not take it.
        if self.cookies.write(value, secure, &mut field).is_ok() {
            exchange.response.fields.push(FieldId::SetCookie, &field);
        }
    }
}

impl Visitors {
    /// Who serves a visitor while `own` is out: by the visitor's address, so that it stays the same one and all
    /// others get a part of the visitors.
    fn stand_in(&self, input: &PickInput<'_>, own: &Candidate) -> Option<usize> {
        let client = input.client.map_or(0, |address| hash_address(address, PREFIXES));
        let key = mix(client ^ own.identity);
        let drawn = self.lottery.draw_open(input.candidates, &mut Random::new(key));
        drawn.or_else(|| hashing::search(input.candidates, key))
    }
}
