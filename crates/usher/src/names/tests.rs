use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use serde_json::json;

use super::follow::{clamp, is_this_machine};
use super::question::{Found, Record};
use super::table::Table;
use super::{Bounds, Question};

fn ip(last: u8) -> Found {
    IpAddr::from(Ipv4Addr::new(10, 0, 0, last)).into()
}

#[test]
fn a_failure_keeps_the_last_good_answer() {
    let (table, a) = (Table::default(), Question::Host("a".to_owned()));
    assert!(!table.knows(&a));
    assert!(!table.note(&a, None, Some("no".into())), "nothing changed yet");
    assert!(table.knows(&a));
    assert!(table.note(&a, Some(vec![ip(2), ip(1)]), None));
    assert!(!table.note(&a, Some(vec![ip(1), ip(2), ip(1)]), None), "the order does not count");
    assert_eq!(table.reading(), [("a".to_owned(), 1, false)]);
    assert!(!table.note(&a, None, Some("no".into())));
    assert_eq!(table.reading(), [("a".to_owned(), 2, true)]);
    assert_eq!(table.found(&a), [ip(1), ip(2)]);
    assert!(table.note(&a, Some(vec![ip(3)]), None));
    assert!(table.note(&a, Some(vec![ip(3), ip(4)]), Some("half of it".into())), "what there is counts");
    assert_eq!((table.found(&a).len(), table.reading()), (2, vec![("a".to_owned(), 3, true)]));
    table.keep(|question| *question != a);
    assert!(!table.knows(&a));
}

#[test]
fn another_process_goes_on_with_what_was_found() {
    let (table, next) = (Table::default(), Table::default());
    let (host, service) = (Question::Host("a".to_owned()), Question::Service("_web._tcp.a".to_owned()));
    let record = Record { priority: 1, target: "b".into(), port: 80, weight: 5 };
    let served = Found { record: Some(record), ..ip(3) };
    let of_six: Found = IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 1]).into();
    table.note(&host, Some(vec![ip(1), of_six.clone()]), None);
    table.note(&service, Some(vec![served.clone()]), None);
    table.note(&Question::Host("lost".to_owned()), None, Some("no".into()));
    let mut messages = table.bequeath();
    messages.extend([json!({"name": "c", "ip": "x"}), json!({"name": "srv:c", "ip": "::1"}), json!([])]);
    next.inherit(&messages);
    assert_eq!((next.found(&host), next.found(&service)), (vec![ip(1), of_six], vec![served]));
    assert!(next.knows(&host), "it is not waited for");
    assert_eq!(next.reading().len(), 2, "whose answer is not known is");
    assert!(!next.note(&host, None, Some("no".into())));
    assert_eq!(next.found(&host).len(), 2);
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
