use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::lookup::Lookup;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::rdata::{A, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record as Answer, RecordType};
use usher_config::EndpointUrl;
use usher_config::config::UpstreamProtocol;
use usher_engine::snapshot::{EndpointSpec, Origin, Speech, Zone};

use super::{Bounds, Memory, endpoints};
use crate::names::question::{Found, Record};

const BOUNDS: Bounds = Bounds { min: Duration::from_millis(100), max: Duration::from_secs(300) };

fn ip(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, last).into()
}

fn spec(name: Option<&str>, weight: u32, priority: u8) -> EndpointSpec {
    let url: EndpointUrl = "srv:_web._tcp.app.internal".parse().unwrap();
    EndpointSpec {
        speech: Speech { tls: None, protocol: UpstreamProtocol::H1, proxy: None },
        label: name.unwrap_or("srv:_web._tcp.app.internal").into(),
        address: url.address,
        is_named: name.is_some(),
        labels: Arc::default(),
        zone: Zone::default(),
        origin: Origin::Config,
        weight,
        priority,
    }
}

fn found(last: u8, (priority, weight): (u16, u16)) -> Found {
    let target: Arc<str> = format!("{last}.app.internal").into();
    Found {
        address: ip(last),
        record: Some(Record { priority, target, port: 3000 + u16::from(last), weight }),
    }
}

/// `address label weight priority` of each.
fn shown(spec: &EndpointSpec, found: &[Found]) -> Vec<String> {
    let shown = endpoints(spec, found);
    shown.iter().map(|one| format!("{} {} {} {}", one.address, one.label, one.weight, one.priority)).collect()
}

#[test]
fn records_become_endpoints() {
    let records =
        [found(1, (10, 5)), found(2, (10, 0)), found(3, (20, 0)), found(4, (20, 0)), found(5, (65535, 7))];
    let expected = [
        "10.0.0.1:3001 1.app.internal:3001 500 0",
        // A very small chance, beside others with a weight; where nobody has one, all are equal.
        "10.0.0.2:3002 2.app.internal:3002 1 0",
        "10.0.0.3:3003 3.app.internal:3003 1 1",
        "10.0.0.4:3004 4.app.internal:3004 1 1",
        "10.0.0.5:3005 5.app.internal:3005 7 2",
    ];
    assert_eq!(shown(&spec(None, 1, 0), &records), expected);
    let expected = ["10.0.0.5:3005 web 21 2"];
    assert_eq!(
        shown(&spec(Some("web"), 3, 2), &records[4..]),
        expected,
        "weights multiply, groups begin later"
    );
    let twice = [found(1, (1, 1)), found(1, (1, 2))];
    assert_eq!(shown(&spec(None, 1, 0), &twice).len(), 1, "one address is one endpoint");
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn answer(records: &[(&str, u16)], additional: &[(&str, u8, u32)]) -> Lookup {
    let service = name("_web._tcp.app.internal.");
    let record = |(target, port): &(&str, u16)| {
        let data = RData::SRV(SRV::new(1, 1, *port, name(target)));
        Answer::from_rdata(service.clone(), 60, data)
    };
    let until = Instant::now() + Duration::from_secs(60);
    let query = Query::query(service.clone(), RecordType::SRV);
    let mut answer = Lookup::new_with_deadline(query, records.iter().map(record), until);
    let address = |(host, last, ttl): &(&str, u8, u32)| {
        Answer::from_rdata(name(host), *ttl, RData::A(A::new(10, 0, 0, *last)))
    };
    answer.extend_additionals(additional.iter().map(address));
    answer
}

#[test]
fn addresses_that_come_along_are_used() {
    let mut memory = Memory::default();
    memory.learn(
        &answer(
            &[("A.app.", 1), ("b.app.", 2), ("b.app.", 3)],
            &[("a.app.", 1, 5), ("a.app.", 2, 3), ("x.app.", 9, 5)],
        ),
        BOUNDS,
    );
    let now = Instant::now();
    assert_eq!(memory.outdated(now).into_iter().collect::<Vec<_>>(), ["b.app"]);
    let later = now + Duration::from_secs(4);
    assert_eq!(
        memory.outdated(later).into_iter().collect::<Vec<_>>(),
        ["a.app", "b.app"],
        "each for its own time"
    );
    let at: Vec<String> = memory.found().iter().map(ToString::to_string).collect();
    assert_eq!(at, ["a.app:1 (10.0.0.1)", "a.app:1 (10.0.0.2)"]);
    memory.learn(&answer(&[("b.app.", 2)], &[("b.app.", 4, 60)]), BOUNDS);
    let at: Vec<String> = memory.found().iter().map(ToString::to_string).collect();
    assert_eq!(at, ["b.app:2 (10.0.0.4)"], "what is named no more is forgotten");
}

#[test]
fn a_target_of_a_dot_is_nobody() {
    let mut memory = Memory::default();
    memory.learn(&answer(&[(".", 0)], &[]), BOUNDS);
    assert!(memory.outdated(Instant::now()).is_empty() && memory.found().is_empty());
    assert!(memory.records.iter().all(|record| record.target.is_empty()));
}
