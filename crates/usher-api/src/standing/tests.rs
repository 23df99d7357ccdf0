use super::*;

#[test]
fn an_endpoint_is_in_when_no_reason_holds() {
    let standings = Standings::default();
    let one = standings.of("10.0.0.1:80");
    let mut version = standings.version();
    let mut news = |what: bool, standings: &Standings| {
        let grew = standings.version() > version;
        version = standings.version();
        what == grew && what
    };
    assert!(one.is_in() && one.fresh_since().is_none());
    assert!(news(standings.set(&one, Out::Unhealthy, true, 5), &standings));
    assert!(!news(standings.set(&one, Out::Unhealthy, true, 6), &standings));
    assert!(news(standings.set(&one, Out::Draining, true, 7), &standings));
    assert!(news(standings.set(&one, Out::Unhealthy, false, 8), &standings));
    assert_eq!(one.reasons().collect::<Vec<_>>(), [Out::Draining]);
    assert!(!one.is_in() && one.fresh_since().is_none(), "still out");
    assert!(news(standings.set(&one, Out::Draining, false, 9), &standings));
    assert_eq!((one.is_in(), one.fresh_since()), (true, Some(9)));
}

#[test]
fn what_is_known_stays_with_the_address() {
    let standings = Standings::default();
    standings.set_weight(&standings.of("a:1"), Some(0));
    standings.set(&standings.of("b:1"), Out::Unhealthy, true, 1);
    standings.set(&standings.of("c:1"), Out::Disabled, true, 1);
    assert_eq!((standings.of("a:1").weight(), standings.of("b:1").weight()), (Some(0), None));
    standings.of("d:1").in_flight.fetch_add(1, Ordering::SeqCst);
    let known =
        |standings: &Standings| standings.all().into_iter().map(|(address, _)| address).collect::<Vec<_>>();
    standings.retain(0, |_| false);
    assert_eq!((known(&standings).len(), standings.present().len()), (4, 0));
    standings.retain(REMEMBERED, |_| false);
    assert_eq!(
        known(&standings),
        ["a:1", "c:1", "d:1"],
        "what somebody did by hand, and what has requests, stays"
    );
    standings.of("d:1").in_flight.fetch_sub(1, Ordering::SeqCst);
    standings.retain(REMEMBERED, |_| false);
    assert_eq!(standings.all().len(), 2);
    assert!(standings.of("b:1").is_in());
}

#[test]
fn who_has_left_is_remembered_for_a_while() {
    let standings = Standings::default();
    let is_out = |address: &str| standings.of(address).is(Out::Ejected);
    for address in ["a:1", "b:1"] {
        standings.set(&standings.of(address), Out::Ejected, true, 1);
    }
    standings.retain(10, |address| address == "b:1");
    assert_eq!(standings.present().len(), 1);
    standings.retain(9 + REMEMBERED, |address| address == "a:1");
    assert!(is_out("a:1") && is_out("b:1"), "it comes back, and the other one has just left");
    standings.retain(20 + REMEMBERED, |address| address == "a:1");
    standings.retain(9 + 2 * REMEMBERED, |address| address == "a:1");
    assert!(is_out("a:1") && !is_out("b:1"), "the time counts from when it left");
    standings.forget("a:1");
    standings.retain(9 + 2 * REMEMBERED, |_| false);
    assert!(!is_out("a:1"));
    let addresses: Vec<String> = (0..MAX_REMEMBERED + 10).map(|number| format!("{number}:1")).collect();
    for (number, address) in addresses.iter().enumerate() {
        standings.set(&standings.of(address), Out::Ejected, true, 1);
        standings.retain(3 * REMEMBERED + number as u64, |_| false);
    }
    assert_eq!(standings.all().len(), MAX_REMEMBERED);
    assert!(!is_out("9:1") && is_out("10:1"), "those that left last");
}
