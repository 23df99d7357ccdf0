//! `rate_limit`: how many requests a client may send in a time.
//!
//! A token bucket for each client, kept as one number (see `limit.rs`) in a table of fixed size that all workers
//! share without locks (see `table.rs`). The table outlives a reload as long as the limit stays the same.

pub mod config;
pub mod limit;
pub mod table;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use usher_api::{BuildContext, DryRun, Exchange, Filter, FilterFactory, Flow, Phase, Reply};
use usher_config::{Decode, Node, Rate};

use self::config::Per;
use self::limit::{Limit, Verdict};
use self::table::Table;

const NANOS: u64 = 1_000_000_000;
/// The highest rate (requests per second); above it, an interval is no whole number of nanoseconds to speak of.
const MAX_PER_SECOND: f64 = 10_000_000.0;

/// The filter `rate_limit`.
pub const FACTORY: FilterFactory = FilterFactory {
    name: "rate_limit",
    phase: Phase::Limit,
    summary: "limit how many requests each client may send",
    schema: config::RateLimit::schema,
    build,
};

fn build(node: &Node, cx: &mut BuildContext<'_, '_>) -> Option<Arc<dyn Filter>> {
    let config = config::RateLimit::decode(node, cx.config)?;
    let rate = config.rate.value;
    if rate.per_second() > MAX_PER_SECOND {
        let help = "the highest rate is `10000000/s`";
        cx.config.error_help(config.rate.span, format!("the rate `{rate}` is too high to be kept"), help);
        return None;
    }
    let burst = config.burst.unwrap_or(rate.count);
    let place = config.name.as_ref().map_or_else(|| cx.scope.to_owned(), |name| format!("name {name}"));
    let config::RateLimit { per, ipv6_prefix, size, .. } = &config;
    let key = format!("rate_limit {place}: {per} /{ipv6_prefix} {rate} {burst} {size}");
    let size = if *per == Per::Route { 1 } else { *size };
    let table = cx.carry.keep(key, || Table::new(size));
    let limit = Limit::new(interval(rate), burst);
    Some(Arc::new(RateLimit { table, limit, rate, burst, config, now: monotonic }))
}

/// The time in which one request is earned, in nanoseconds, rounded to the nearest.
fn interval(rate: Rate) -> u64 {
    let count = u64::from(rate.count).max(1);
    let per = u64::try_from(rate.per.as_nanos()).unwrap_or(u64::MAX / 2);
    per.saturating_add(count / 2) / count
}

/// Nanoseconds of a monotonic clock that begins with the process.
fn monotonic() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    u64::try_from(START.get_or_init(Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX)
}

struct RateLimit {
    table: Arc<Table>,
    limit: Limit,
    rate: Rate,
    burst: u32,
    config: config::RateLimit,
    now: fn() -> u64,
}

impl RateLimit {
    /// The hashes of whoever sent the request. A field that is repeated names several, and the request counts for each
    /// of them: which line an endpoint believes is not known here, and a line more must not be a way around the limit.
    fn clients<'a>(&'a self, exchange: &'a Exchange) -> impl Iterator<Item = u64> {
        let named = match &self.config.per {
            Per::Header(name) => Some(exchange.request.fields.all_named(name.as_bytes())),
            Per::Route | Per::ClientIp => None,
        };
        let mut named = named.into_iter().flatten().map(|value| self.table.hash(value)).peekable();
        let alone = named.peek().is_none().then(|| match self.config.per {
            Per::Route => 1,
            Per::ClientIp | Per::Header(_) => self.address(exchange.client.ip),
        });
        named.chain(alone)
    }

    /// How many requests may pass now, and after how many nanoseconds the whole burst may again.
    fn left(&self, exchange: &Exchange) -> (u64, u64) {
        let now = (self.now)();
        let each = self.clients(exchange).map(|client| self.limit.left(self.table.peek(client), now));
        each.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1))).unwrap_or_default()
    }

    /// The first byte keeps addresses and values of fields apart. Clients on Unix sockets count as one.
    fn address(&self, address: Option<IpAddr>) -> u64 {
        match address.map(|address| address.to_canonical()) {
            None => self.table.hash(&[0]),
            Some(IpAddr::V4(address)) => {
                let [a, b, c, d] = address.octets();
                self.table.hash(&[4, a, b, c, d])
            }
            Some(IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.config.ipv6_prefix)).unwrap_or(0);
                let mut key = [6; 17];
                key[1..].copy_from_slice(&(u128::from(address) & mask).to_be_bytes());
                self.table.hash(&key)
            }
        }
    }

    fn refuse(&self, wait: u64) -> Flow {
        let seconds = wait.div_ceil(NANOS).max(1);
        let reply = Reply::new(self.config.status, "rate_limited").field("Retry-After", seconds.to_string());
        Flow::Respond(Box::new(reply))
    }
}

impl Filter for RateLimit {
    fn on_request(&self, exchange: &mut Exchange) -> Flow {
        let now = (self.now)();
        for client in self.clients(exchange) {
            if let Verdict::Wait(wait) = self.table.take(client, &self.limit, now) {
                return self.refuse(wait);
            }
        }
        Flow::Continue
    }

    fn on_response(&self, exchange: &mut Exchange) {
        if !self.config.headers {
            return;
        }
        let (left, full) = self.left(exchange);
        let values = [
            (b"X-RateLimit-Limit".as_slice(), u64::from(self.burst)),
            (b"X-RateLimit-Remaining".as_slice(), left),
            (b"X-RateLimit-Reset".as_slice(), full.div_ceil(NANOS)),
        ];
        for (name, value) in values {
            // Both are valid; what could fail is a head past its limit, which then goes without.
            let _ = exchange.response.fields.set(name, value.to_string().as_bytes());
        }
    }

    fn describe(&self) -> String {
        format!("{} per {}, burst {}", self.rate, self.config.per, self.burst)
    }

    fn dry_run(&self, exchange: &mut Exchange) -> Option<DryRun> {
        Some(match self.left(exchange).0 {
            0 => DryRun::responds(self.config.status, format!("none of {} left", self.burst)),
            left => DryRun::passes(format!("{left} of {} left", self.burst)),
        })
    }
}
