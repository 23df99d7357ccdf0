//! Tests.

use std::cell::Cell;
use std::net::IpAddr;
use std::sync::Arc;

use proptest::prelude::*;
use usher_api::{BuildContext, Carry, DryRun, Exchange, Filter as _, OnRoute};
use usher_config::read::read;
use usher_config::{Context, Decode as _, Format, Sources};

use super::super::testing::{build_with, exchange, field, reply, with};
use super::limit::{Limit, Verdict};
use super::table::Table;
use super::{FACTORY, NANOS, RateLimit, config, interval};

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(0) };
}

/// A filter with a clock that stands still until [`NOW`] is set.
fn limiter(text: &str) -> RateLimit {
    NOW.set(1_000 * NANOS);
    let mut sources = Sources::new();
    let id = sources.add("test", ".", text.to_owned());
    let document = read(&sources, id, Format::Toml).expect("TOML");
    let node = document.root.get("rate_limit").expect("the key");
    let config = config::RateLimit::decode(node, &mut Context::new(&sources)).expect("a section");
    let rate = config.rate.value;
    let burst = config.burst.unwrap_or(rate.count);
    let limit = Limit::new(interval(rate), burst);
    RateLimit { table: Arc::new(Table::new(config.size)), limit, rate, burst, config, now: || NOW.get() }
}

fn from(address: &str) -> Exchange {
    let mut exchange = exchange("/");
    exchange.client.ip = address.parse::<IpAddr>().ok();
    exchange
}

fn passes(filter: &RateLimit, exchange: &mut Exchange) -> bool {
    reply(filter, exchange).is_none()
}

#[test]
fn lets_a_burst_through_and_then_the_rate() {
    let filter = limiter(r#"rate_limit = { rate = "2/s", burst = 3 }"#);
    let mut client = from("192.0.2.1");
    assert_eq!((0..5).filter(|_| passes(&filter, &mut client)).count(), 3);
    NOW.set(NOW.get() + NANOS / 2 - 1);
    assert!(!passes(&filter, &mut client));
    NOW.set(NOW.get() + 1);
    assert!(passes(&filter, &mut client));
    assert!(!passes(&filter, &mut client));
    NOW.set(NOW.get() + 3600 * NANOS);
    assert_eq!(
        (0..5).filter(|_| passes(&filter, &mut client)).count(),
        3,
        "a pause fills the burst and no more"
    );
}

#[test]
fn says_when_to_try_again() {
    let filter = limiter(r#"rate_limit = { rate = "2/m", burst = 1, status = 503 }"#);
    let mut client = from("192.0.2.1");
    assert!(passes(&filter, &mut client));
    NOW.set(NOW.get() + NANOS / 2);
    let refusal = reply(&filter, &mut client).expect("a refusal");
    assert_eq!((refusal.status, refusal.reason), (503, "rate_limited"));
    assert_eq!(field(&refusal, "Retry-After"), Some("30"), "29.5 s, rounded up");
}

#[test]
fn tells_clients_apart() {
    // Each pair: a first client that uses up its limit, a second, and whether the second is the same one.
    let cases = [
        ("client_ip", "192.0.2.1", "192.0.2.1", true),
        ("client_ip", "192.0.2.1", "192.0.2.2", false),
        ("client_ip", "192.0.2.1", "::ffff:192.0.2.1", true),
        ("client_ip", "2001:db8::1", "2001:db8::ffff:0:0:1", true),
        ("client_ip", "2001:db8::1", "2001:db8:0:1::1", false),
        ("client_ip", "", "", true),
        ("client_ip", "", "192.0.2.1", false),
        ("route", "192.0.2.1", "192.0.2.2", true),
        ("header:X-Key", "192.0.2.1", "192.0.2.2", false),
    ];
    for (per, first, second, same) in cases {
        let filter = limiter(&format!("rate_limit = {{ rate = \"1/s\", per = \"{per}\" }}"));
        assert!(passes(&filter, &mut from(first)), "{per} {first}");
        assert_eq!(passes(&filter, &mut from(second)), !same, "{per} {first} {second}");
    }
}

#[test]
fn counts_by_a_field() {
    let filter = limiter(r#"rate_limit = { rate = "1/s", per = "header:X-Key" }"#);
    let key = |value: &str, address: &str| with(from(address), "x-key", value);
    assert!(passes(&filter, &mut key("a", "192.0.2.1")));
    assert!(passes(&filter, &mut key("b", "192.0.2.1")));
    assert!(!passes(&filter, &mut key("a", "192.0.2.2")));
    assert!(passes(&filter, &mut from("192.0.2.1")), "without the field, the address counts");
    assert!(!passes(&filter, &mut from("192.0.2.1")));
}

/// Which line an endpoint believes is not known: neither one before it nor one behind it is a way around the limit.
#[test]
fn a_repeated_field_counts_for_each_of_its_values() {
    let filter = limiter(r#"rate_limit = { rate = "1/s", burst = 2, per = "header:X-Key", headers = true }"#);
    let keys = |first: &str, last: &str| with(with(from("192.0.2.1"), "x-key", first), "x-key", last);
    assert!(passes(&filter, &mut keys("a", "1")));
    assert!(passes(&filter, &mut keys("2", "a")));
    assert!(!passes(&filter, &mut keys("a", "3")));
    assert!(!passes(&filter, &mut keys("4", "a")));
    let mut told = keys("5", "a");
    assert_eq!(filter.dry_run(&mut told), Some(DryRun::responds(429, "none of 2 left")));
    filter.on_response(&mut told);
    assert_eq!(told.response.fields.get_named(b"X-RateLimit-Remaining"), Some(b"0".as_slice()));
}

#[test]
fn a_dry_run_takes_nothing() {
    let filter = limiter(r#"rate_limit = { rate = "1/s" }"#);
    let mut client = from("192.0.2.1");
    for _ in 0..3 {
        assert_eq!(filter.dry_run(&mut client), Some(DryRun::passes("1 of 1 left")));
    }
    assert!(passes(&filter, &mut client));
    assert_eq!(filter.dry_run(&mut client), Some(DryRun::responds(429, "none of 1 left")));
}

#[test]
fn tells_clients_what_is_left() {
    let filter = limiter(r#"rate_limit = { rate = "10/s", burst = 5, headers = true }"#);
    let mut client = from("192.0.2.1");
    assert!(passes(&filter, &mut client) && passes(&filter, &mut client));
    filter.on_response(&mut client);
    let value = |name: &str| client.response.fields.get_named(name.as_bytes()).map(<[u8]>::to_vec);
    assert_eq!(value("X-RateLimit-Limit"), Some(b"5".to_vec()));
    assert_eq!(value("X-RateLimit-Remaining"), Some(b"3".to_vec()));
    assert_eq!(value("X-RateLimit-Reset"), Some(b"1".to_vec()));
}

#[test]
fn a_reload_keeps_what_was_counted() {
    let text = r#"rate_limit = "1/h""#;
    let mut carry = Carry::default();
    assert!(reply(&*build_with(&FACTORY, text, &mut carry), &mut exchange("/")).is_none());
    let mut after = Carry::from_previous(&carry);
    assert!(reply(&*build_with(&FACTORY, text, &mut after), &mut exchange("/")).is_some(), "the same limit");
    let mut other = Carry::from_previous(&carry);
    let changed = build_with(&FACTORY, r#"rate_limit = "2/h""#, &mut other);
    assert!(reply(&*changed, &mut exchange("/")).is_none(), "another limit begins anew");
}

#[test]
fn routes_share_a_name() {
    let mut carry = Carry::default();
    let mut build_for = |scope: &str, text: &str| {
        let mut sources = Sources::new();
        let id = sources.add("test", ".", text.to_owned());
        let document = read(&sources, id, Format::Toml).expect("TOML");
        let mut config = Context::new(&sources);
        let mut cx =
            BuildContext { config: &mut config, carry: &mut carry, scope, route: OnRoute::default() };
        (FACTORY.build)(document.root.get("rate_limit").expect("the key"), &mut cx).expect("a filter")
    };
    let own = r#"rate_limit = "1/h""#;
    let shared = r#"rate_limit = { rate = "1/h", name = "all" }"#;
    let filters = [build_for("a", own), build_for("b", own), build_for("a", shared), build_for("b", shared)];
    let passed = filters.map(|filter| reply(&*filter, &mut exchange("/")).is_none());
    assert_eq!(passed, [true, true, true, false]);
}

#[test]
fn a_full_set_forgets_who_is_restored_first() {
    let table = Table::new(8);
    let limit = Limit::new(100, 10);
    let clients: Vec<u64> = (1..=8).collect();
    for (at, client) in clients.iter().enumerate() {
        for _ in 0..=at {
            assert!(matches!(table.take(*client, &limit, 1_000), Verdict::Pass(_)));
        }
    }
    assert!(matches!(table.take(99, &limit, 1_000), Verdict::Pass(1_100)));
    assert_eq!(table.peek(1), 0, "it owed the least");
    assert!(clients[1..].iter().all(|client| table.peek(*client) == 1_000 + 100 * client));
}

#[test]
fn workers_together_let_through_exactly_the_burst() {
    let table = Table::new(1000);
    let limit = Limit::new(NANOS, 1000);
    let clients: Vec<u64> = (0..4_u8).map(|client| table.hash(&[client])).collect();
    let passed: usize = std::thread::scope(|scope| {
        let work = || {
            let takes = (0..2000).flat_map(|_| &clients);
            takes.filter(|client| matches!(table.take(**client, &limit, 5), Verdict::Pass(_))).count()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    assert_eq!(passed, 4 * 1000);
}

/// A token bucket as textbooks have it, in units of one nanosecond of earning.
struct Bucket {
    level: u64,
    at: u64,
}

impl Bucket {
    fn take(&mut self, now: u64, interval: u64, burst: u64) -> Result<(), u64> {
        self.level = (self.level + (now - self.at)).min(interval * burst);
        self.at = now;
        if self.level < interval {
            return Err(interval - self.level);
        }
        self.level -= interval;
        Ok(())
    }
}

proptest! {
    #[test]
    fn counts_as_a_token_bucket(
        interval in 1..2_000_u64,
        burst in 1..20_u32,
        steps in proptest::collection::vec((0..3_u64, 0..3_000_u64), 1..200),
    ) {
        let limit = Limit::new(interval, burst);
        let mut buckets: Vec<Bucket> =
            (0..3).map(|_| Bucket { level: interval * u64::from(burst), at: 0 }).collect();
        let table = Table::new(100);
        let mut now = 0;
        for (client, pause) in steps {
            now += pause;
            let expected = buckets[client as usize].take(now, interval, u64::from(burst));
            let left = limit.left(table.peek(client + 1), now).0;
            let got = match table.take(client + 1, &limit, now) {
                Verdict::Pass(_) => Ok(()),
                Verdict::Wait(wait) => Err(wait),
            };
            prop_assert_eq!(got, expected);
            prop_assert_eq!(left > 0, expected.is_ok());
        }
    }

    #[test]
    fn no_time_overflows(interval: u64, burst: u32, arrival: u64, now: u64) {
        let limit = Limit::new(interval, burst);
        let _ = limit.decide(arrival, now);
        let _ = limit.left(arrival, now);
    }
}
