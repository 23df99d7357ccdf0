use usher_api::Exchange;

use super::*;
use crate::balancers::testing;

fn of(balancer: &mut dyn Balancer, all: &[Candidate], client: &str) -> usize {
    testing::pick_for(balancer, all, (client, &Exchange::default())).unwrap()
}

#[test]
fn a_client_has_one_endpoint_in_all_workers() {
    let all = testing::candidates(&[1, 2, 3]);
    let balance = testing::build(&FACTORY);
    let (mut one, mut other) = (balance.begin(&all, 1), balance.begin(&all, 2));
    let mut found = std::collections::HashSet::new();
    for last in 0..100 {
        let client = format!("203.0.113.{last}");
        let endpoint = of(&mut *one, &all, &client);
        assert_eq!(endpoint, of(&mut *other, &all, &client));
        found.insert(endpoint);
    }
    assert_eq!(found.len(), 3);
}

#[test]
fn a_network_has_one_endpoint() {
    let all = testing::candidates(&[1; 50]);
    for (options, clients, same) in [
        ("", ["203.0.113.1", "203.0.113.2"], false),
        ("ipv4_prefix = 24", ["203.0.113.1", "203.0.113.2"], true),
        ("", ["2001:db8::1", "2001:db8::2"], true),
        ("ipv6_prefix = 128", ["2001:db8::1", "2001:db8::2"], false),
    ] {
        let mut balancer = testing::build_with(&FACTORY, options).begin(&all, 1);
        let [first, second] = clients.map(|client| of(&mut *balancer, &all, client));
        assert_eq!(first == second, same, "{options} {clients:?}");
    }
}

#[test]
fn clients_of_an_endpoint_that_is_out_come_back() {
    let mut all = testing::candidates(&[1; 5]);
    let mut balancer = testing::begin(&FACTORY, &all, 1);
    let before = of(&mut *balancer, &all, "203.0.113.9");
    all[before].usable = false;
    let meanwhile = of(&mut *balancer, &all, "203.0.113.9");
    assert_eq!(meanwhile, of(&mut *balancer, &all, "203.0.113.9"));
    all[before].usable = true;
    assert_eq!(before, of(&mut *balancer, &all, "203.0.113.9"));
}

#[test]
fn who_has_no_address_goes_anywhere() {
    let all = testing::candidates(&[1; 4]);
    let counts = testing::histogram(&mut *testing::begin(&FACTORY, &all, 1), &all, 4000);
    assert!(counts.iter().all(|count| count.abs_diff(1000) < 150), "{counts:?}");
}
