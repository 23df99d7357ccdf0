use super::*;
use crate::balancers::testing::{self, request};

const NAME: &str = "usher_visitor";
const OPTIONS: &str = "name = 'usher_visitor'";

fn visit(cookie: &str) -> Exchange {
    request("/", ("Cookie", cookie))
}

/// What an endpoint's answer to this request sets.
fn set_by(
    balancer: &mut dyn Balancer,
    all: &[Candidate],
    endpoint: usize,
    mut exchange: Exchange,
) -> Option<String> {
    balancer.answered(endpoint, all, &mut exchange);
    let set = exchange.response.fields.get(FieldId::SetCookie)?;
    Some(String::from_utf8(set.to_vec()).unwrap())
}

/// The pair that a browser sends back.
fn cookie_of(balancer: &mut dyn Balancer, all: &[Candidate], endpoint: usize) -> String {
    let set = set_by(balancer, all, endpoint, visit("other=1")).unwrap();
    set.split(';').next().unwrap().to_owned()
}

fn served(balancer: &mut dyn Balancer, all: &[Candidate], cookie: &str) -> Option<usize> {
    testing::pick_for(balancer, all, ("192.0.2.1", &visit(cookie)))
}

#[test]
fn visitors_come_back_whoever_is_less_loaded_and_after_a_restart() {
    let mut all = testing::candidates(&[1; 5]);
    let mut balancer = testing::build_with(&FACTORY, OPTIONS).begin(&all, 1);
    for endpoint in 0..5 {
        all[endpoint].in_flight = 100;
        let cookie = cookie_of(&mut *balancer, &all, endpoint);
        assert_eq!(served(&mut *balancer, &all, &cookie), Some(endpoint));
        // Another process, another order of endpoints.
        let turned: Vec<Candidate> = all.iter().rev().copied().collect();
        let mut restarted = testing::build_with(&FACTORY, OPTIONS).begin(&turned, 9);
        assert_eq!(served(&mut *restarted, &turned, &format!("a=b; {cookie}")), Some(4 - endpoint));
        all[endpoint].in_flight = 0;
    }
}

#[test]
fn new_visitors_go_where_the_fewest_requests_are() {
    let mut all = testing::candidates(&[1; 3]);
    all[0].in_flight = 2;
    all[2].in_flight = 1;
    let mut balancer = testing::build_with(&FACTORY, OPTIONS).begin(&all, 1);
    for cookie in ["a=b", "usher_visitor=", "usher_visitor=AAAAAAAAAAAAAAAAAAAAAA", "usher_visitor=0"] {
        assert_eq!(served(&mut *balancer, &all, cookie), Some(1), "{cookie}");
    }
}

#[test]
fn the_cookie_is_as_safe_as_it_can_be() {
    let all = testing::candidates(&[1; 2]);
    let table = [
        (OPTIONS, "https", Some("; Path=/; SameSite=Lax; Secure; HttpOnly")),
        (OPTIONS, "http", Some("; Path=/; SameSite=Lax; HttpOnly")),
        (
            "name = 'usher_visitor'\npath = '/app'\nmax_age = '1h'\nsame_site = 'strict'",
            "https",
            Some("; Path=/app; Max-Age=3600; SameSite=Strict; Secure; HttpOnly"),
        ),
        (
            "name = 'usher_visitor'\nsame_site = 'none'",
            "https",
            Some("; Path=/; SameSite=None; Secure; HttpOnly"),
        ),
        ("name = 'usher_visitor'\nsame_site = 'none'", "http", None),
    ];
    for (options, scheme, expected) in table {
        let mut balancer = testing::build_with(&FACTORY, options).begin(&all, 1);
        let mut exchange = visit("a=b");
        exchange.request.scheme = scheme;
        let set = set_by(&mut *balancer, &all, 1, exchange);
        let value = set.as_deref().and_then(|set| set.strip_prefix(&format!("{NAME}=")));
        assert_eq!(value.map(|value| &value[22..]), expected, "{options} {scheme}");
    }
}

#[test]
fn the_cookie_is_set_when_it_is_needed() {
    let mut all = testing::candidates(&[1; 3]);
    let mut balancer = testing::build_with(&FACTORY, OPTIONS).begin(&all, 1);
    let cookie = cookie_of(&mut *balancer, &all, 1);
    assert_eq!(set_by(&mut *balancer, &all, 1, visit(&cookie)), None, "it has it already");
    let forged = format!("{}x", &cookie[..cookie.len() - 1]);
    assert!(set_by(&mut *balancer, &all, 1, visit(&forged)).is_some());
    all[1].usable = false;
    assert_eq!(set_by(&mut *balancer, &all, 2, visit(&cookie)), None, "it goes back");
}

#[test]
fn an_endpoint_that_is_out_keeps_its_visitors_for_later() {
    let mut all = testing::candidates(&[1; 10]);
    let mut balancer = testing::build_with(&FACTORY, OPTIONS).begin(&all, 1);
    let cookie = cookie_of(&mut *balancer, &all, 3);
    all[3].usable = false;
    let mut served_by = std::collections::HashSet::new();
    for client in 0..50 {
        let client = format!("198.51.100.{client}");
        let mut pick = || testing::pick_for(&mut *balancer, &all, (&client, &visit(&cookie))).unwrap();
        let stand_in = pick();
        assert!((0..5).all(|_| pick() == stand_in), "always the same one");
        served_by.insert(stand_in);
    }
    assert!(served_by.len() > 5 && !served_by.contains(&3), "{served_by:?}");
    all[3].usable = true;
    assert_eq!(served(&mut *balancer, &all, &cookie), Some(3));
}

#[test]
fn one_that_is_gone_has_no_visitors() {
    let all = testing::candidates(&[1; 3]);
    let balance = testing::build_with(&FACTORY, OPTIONS);
    let cookie = cookie_of(&mut *balance.begin(&all, 1), &all, 2);
    let mut left = balance.begin(&all[..2], 1);
    let next = served(&mut *left, &all[..2], &cookie).unwrap();
    assert!(set_by(&mut *left, &all[..2], next, visit(&cookie)).is_some());
}

#[test]
fn a_draining_endpoint_serves_those_that_it_has() {
    let mut all = testing::candidates(&[1; 2]);
    let mut balancer = testing::build_with(&FACTORY, OPTIONS).begin(&all, 1);
    let cookie = cookie_of(&mut *balancer, &all, 0);
    (all[0].usable, all[0].draining) = (false, true);
    for _ in 0..10 {
        assert_eq!(served(&mut *balancer, &all, &cookie), Some(0));
        assert_eq!(served(&mut *balancer, &all, "a=b"), Some(1));
    }
    all[1].usable = false;
    assert_eq!(served(&mut *balancer, &all, &cookie), Some(0));
    assert_eq!(served(&mut *balancer, &all, "a=b"), None);
}

#[test]
fn secrets_can_be_changed() {
    let all = testing::candidates(&[1; 3]);
    let build = |secrets: &str| {
        let (balance, said) =
            testing::try_build(&FACTORY, ("test", ".", &format!("secret = {secrets}\n{OPTIONS}")));
        balance.unwrap_or_else(|| panic!("{said}")).begin(&all, 1)
    };
    let mut before = build("'the first of all secrets'");
    let mut both = build("['the second of all secrets', 'the first of all secrets']");
    let mut after = build("'the second of all secrets'");
    let old = cookie_of(&mut *before, &all, 2);
    assert_eq!(served(&mut *both, &all, &old), Some(2));
    let set = set_by(&mut *both, &all, 2, visit(&old)).expect("a new one in place of the old");
    let new = set.split(';').next().unwrap();
    assert!(new != old && served(&mut *after, &all, new) == Some(2));
    assert!(set_by(&mut *after, &all, 2, visit(&old)).is_some(), "the old one is nobody's now");
}

#[test]
fn values_tell_nothing_without_the_secret() {
    let all = testing::candidates(&[1; 100]);
    let mut values = std::collections::HashSet::new();
    for secret in ["the first of all secrets", "the second of all secrets"] {
        let (balance, _) = testing::try_build(&FACTORY, ("test", ".", &format!("secret = '{secret}'")));
        let mut balancer = balance.unwrap().begin(&all, 1);
        for endpoint in 0..100 {
            values.insert(cookie_of(&mut *balancer, &all, endpoint));
        }
    }
    assert_eq!(values.len(), 200);
}

#[test]
fn clusters_have_cookies_of_their_own() {
    assert_ne!(default_name("cluster a"), default_name("cluster b"));
    assert!(default_name("cluster a").starts_with("usher_"));
}
