use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::Bounds;
use super::follow::{clamp, is_this_machine};
use super::table::Table;

fn ip(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, last).into()
}

#[test]
fn a_failure_keeps_the_last_good_answer() {
    let table = Table::default();
    assert!(!table.knows("a"));
    assert!(!table.note("a", Err("no".into())), "nothing changed yet");
    assert!(table.knows("a"));
    assert!(table.note("a", Ok(vec![ip(2), ip(1)])));
    assert!(!table.note("a", Ok(vec![ip(1), ip(2), ip(1)])), "the order does not count");
    assert!(!table.note("a", Err("no".into())));
    assert_eq!(table.addresses("a"), [ip(1), ip(2)]);
    assert!(table.note("a", Ok(vec![ip(3)])));
    table.keep(|host| host != "a");
    assert!(!table.knows("a"));
}

#[test]
fn the_time_to_live_counts_between_the_bounds() {
    let bounds = Bounds { min: Duration::from_secs(5), max: Duration::from_secs(300) };
    for (ttl, expected) in [(0, 5), (5, 5), (60, 60), (300, 300), (86_400, 300)] {
        assert_eq!(clamp(Duration::from_secs(ttl), bounds), Duration::from_secs(expected));
    }
}

#[test]
fn the_machines_own_names() {
    for (host, own) in [
        ("localhost", true),
        ("LocalHost.", true),
        ("app.localhost", true),
        ("localhost.example.com", false),
        ("mylocalhost", false),
    ] {
        assert_eq!(is_this_machine(host), own, "{host}");
    }
}
