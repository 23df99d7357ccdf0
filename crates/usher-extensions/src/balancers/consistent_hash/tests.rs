use super::*;
use crate::balancers::testing::{self, request};

#[test]
fn the_key_settles_the_endpoint() {
    let all = testing::candidates(&[1; 100]);
    let plain = ("X-Other", "1");
    // Of each three requests, the first two have the same key and the third another.
    let table = [
        ("path", [("/a?x=1", plain), ("/a?x=2", plain), ("/b?x=1", plain)]),
        ("header:X-Tenant", [("/", ("X-Tenant", "a")), ("/b", ("x-tenant", "a")), ("/", ("X-Tenant", "b"))]),
        (
            "cookie:sid",
            [("/", ("Cookie", "sid=1")), ("/", ("Cookie", "a=b; sid=1")), ("/", ("Cookie", "sid=2"))],
        ),
        ("query:user", [("/?user=a", plain), ("/b?x&user=a&user=b", plain), ("/?user=b", plain)]),
    ];
    for algorithm in ["maglev", "ring"] {
        for (key, requests) in &table {
            let options = format!("key = '{key}'\nalgorithm = '{algorithm}'");
            let balance = testing::build_with(&FACTORY, &options);
            let found = requests.map(|(target, field)| {
                let exchange = request(target, field);
                let clients = [("192.0.2.1", 1), ("192.0.2.2", 2)];
                let [one, other] = clients.map(|(client, seed)| {
                    testing::pick_for(&mut *balance.begin(&all, seed), &all, (client, &exchange)).unwrap()
                });
                assert_eq!(one, other, "{key}");
                one
            });
            assert!(found[0] == found[1] && found[0] != found[2], "{key} {algorithm} {found:?}");
        }
    }
}

#[test]
fn without_the_key_chance_or_the_address_settles_it() {
    let all = testing::candidates(&[1; 4]);
    for (options, endpoints) in [("", 4), ("without_key = 'client_ip'", 1)] {
        let options = format!("key = 'header:X-Tenant'\n{options}");
        let mut balancer = testing::build_with(&FACTORY, &options).begin(&all, 1);
        for absent in [("X-Other", "a"), ("X-Tenant", "")] {
            let pick =
                |_| testing::pick_for(&mut *balancer, &all, ("192.0.2.1", &request("/", absent))).unwrap();
            let found: std::collections::HashSet<usize> = (0..100).map(pick).collect();
            assert_eq!(found.len(), endpoints, "{options} {absent:?}");
        }
    }
}

/// Everybody asks for one key; nobody gets more than its share and a quarter.
#[test]
fn a_hot_key_spreads_within_the_bound() {
    for algorithm in ["maglev", "ring"] {
        for weights in [vec![1; 10], vec![1, 2, 3, 4]] {
            let mut all = testing::candidates(&weights);
            let options = format!("key = 'path'\nalgorithm = '{algorithm}'\nbounded_load = 1.25");
            let mut balancer = testing::build_with(&FACTORY, &options).begin(&all, 1);
            let hot = request("/hot", ("A", "b"));
            for under_way in 1..=1000_u32 {
                let picked = testing::pick_for(&mut *balancer, &all, ("192.0.2.1", &hot)).unwrap();
                all[picked].in_flight += 1;
                let share = f64::from(weights[picked]) / f64::from(weights.iter().sum::<u32>());
                let bound = (1.25 * f64::from(under_way) * share).ceil();
                assert!(f64::from(all[picked].in_flight) <= bound, "{algorithm} {under_way}: {all:?}");
            }
        }
    }
}

/// What has ended counts no more: the bound is as tight as at the beginning.
#[test]
fn the_bound_is_that_of_what_is_under_way() {
    let mut all = testing::candidates(&[1; 10]);
    let mut balancer = testing::build_with(&FACTORY, "key = 'path'\nbounded_load = 1.25").begin(&all, 1);
    let hot = request("/hot", ("A", "b"));
    let mut pick = |all: &[Candidate], ends: bool| {
        let endpoint = testing::pick_for(&mut *balancer, all, ("192.0.2.1", &hot)).unwrap();
        if ends {
            balancer.finished(Outcome { endpoint, micros: None, failed: true, now: 0 });
        }
        endpoint
    };
    let home = pick(&all, true);
    assert!((0..30).all(|_| pick(&all, true) == home));
    all[home].in_flight = 1;
    assert_ne!(pick(&all, false), home, "one of one is more than a tenth and a quarter of that");
}

#[test]
fn what_is_under_way_is_counted_again_now_and_then() {
    let mut all = testing::candidates(&[1, 1]);
    let mut load = Load::new(&all);
    all[0].in_flight = 7;
    load.in_flight = 99;
    for _ in 0..2 * PICKS_PER_COUNT {
        load.count_now_and_then(&all);
        assert_eq!(load.in_flight, 99);
    }
    load.count_now_and_then(&all);
    assert_eq!(load.in_flight, 7);
}

/// Half of the endpoints are out: the bound is that of the others.
#[test]
fn the_bound_is_that_of_who_is_left() {
    let mut all = testing::candidates(&[1; 10]);
    all.iter_mut().step_by(2).for_each(|one| one.usable = false);
    let mut balancer = testing::build_with(&FACTORY, "key = 'path'\nbounded_load = 1.25").begin(&all, 1);
    let hot = request("/hot", ("A", "b"));
    for _ in 0..1000 {
        let picked = testing::pick_for(&mut *balancer, &all, ("192.0.2.1", &hot)).unwrap();
        all[picked].in_flight += 1;
    }
    let most = all.iter().map(|one| one.in_flight).max().unwrap();
    assert!((240..=251).contains(&most), "{all:?}");
}
