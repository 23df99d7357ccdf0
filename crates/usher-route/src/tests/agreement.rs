//! The table finds what a plain walk over all rules in their order finds.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::{Request, rule};
use crate::{Captures, Outcome, Router};

/// The first alternative in the order that matches, by trying one after another.
fn find_slow(router: &Router, request: &Request) -> Outcome {
    let matching = |ignore_method: bool| {
        router.parts().alternatives.iter().find(|a| matches(router, a, request, ignore_method))
    };
    match (matching(false), matching(true)) {
        (Some(first), _) => Outcome::Found(first.key.rule),
        (None, Some(_)) => Outcome::MethodNotAllowed,
        (None, None) => Outcome::NotFound,
    }
}

fn allowed_slow(router: &Router, request: &Request) -> Vec<String> {
    let all = router.parts().alternatives.iter();
    let rules =
        all.filter(|a| matches(router, a, request, true)).map(|a| &router.rules()[a.key.rule as usize]);
    let mut methods: Vec<String> = rules.flat_map(|rule| rule.methods.clone()).collect();
    methods.sort();
    methods.dedup();
    methods
}

fn matches(
    router: &Router,
    alternative: &crate::router::Alternative,
    request: &Request,
    ignore_method: bool,
) -> bool {
    let rule = &router.rules()[alternative.key.rule as usize];
    alternative.host_of(rule).is_none_or(|h| h.matches(&request.host))
        && alternative.path_of(rule).is_none_or(|p| p.matches(&request.path))
        && router
            .predicates_of(alternative.key.rule)
            .iter()
            .all(|p| (ignore_method && p.is_method()) || p.holds(request))
}

const HOSTS: &[&str] =
    &["", "", "@a.x", "@b.x", "@x", "@*.x", "@*.a.x", "@*.b.a.x", "@~.*", "@~[ab]\\.x", "@*", "@a.x @*.x"];
const PATHS: &[&str] = &[
    "",
    "/",
    "/a",
    "/a/",
    "/a/b",
    "/*",
    "/a/*",
    "/{n}",
    "/{n}/b",
    "/a/{n}",
    "/{n}/*",
    "/{n}/{m}",
    "/{n}/{m}/*",
    "/a/b/*",
    "/a/{n}/*",
    "/{n}/b/*",
    "/a/{n}/b",
    "/{n}/{m}/b",
    "/{n}/",
    "~/a.*",
    "~/.*b",
    "/a /b/*",
];
const CONDITIONS: &[&str] = &[
    "M:GET",
    "M:POST",
    "M:GET M:POST",
    "M:PUT",
    "h:h=1",
    "h:h=2",
    "h:h=3",
    "h:i=1",
    "h:i=2",
    "h:h=1*",
    "h:!h",
    "h:i=~[12]",
    "h:i",
    "q:k=1",
    "q:k=2",
    "q:!k",
    "q:k=a*",
    "c:c=1",
    "c:c=2",
    "ip:10.0.0.0/8",
    "ip:10.1.0.0/16",
    "ip:10.1.0.0/16 ip:::/0",
    "ip:::1",
    "l:0",
    "l:1",
    "l:0 l:1",
];
const PRIORITIES: &[&str] = &["", "", "", "", "", "p:1", "p:-1"];

fn rules(
    hosts: &'static [&'static str],
    paths: &'static [&'static str],
) -> impl Strategy<Value = Vec<String>> {
    let one = (select(hosts), select(paths), vec(select(CONDITIONS), 0..4), select(PRIORITIES));
    let text = one.prop_map(|(host, path, conditions, priority)| {
        format!("{host} {path} {} {priority}", conditions.join(" "))
    });
    vec(text, 0..60)
}

fn requests() -> impl Strategy<Value = Request> {
    let value = || select(&["1", "2", "3", "12", "a"][..]);
    let fields = |names: &'static [&'static str]| {
        vec((select(names).prop_map(String::from), value().prop_map(String::from)), 0..3)
    };
    let segments = vec(select(&["a", "b", "c", ""][..]), 0..4);
    let client = select(&["10.1.2.3", "10.2.0.1", "::1", "::ffff:10.1.0.1", "no"][..]);
    let parts = (
        select(&["", "x", "a.x", "b.x", "c.x", "b.a.x", "c.b.a.x", "y"][..]),
        segments,
        select(&["GET", "POST", "PUT", "LOCK"][..]),
        select(&["", "k=1", "k=2&k=1", "k", "%6b=%31", "j=1&k=ab"][..]),
    );
    (parts, fields(&["h", "I"]), fields(&["c", "d"]), client, 0..3u32).prop_map(
        |((host, segments, method, query), headers, cookies, client, listener)| Request {
            host: host.into(),
            path: segments.iter().map(|s| format!("/{s}")).collect(),
            method: method.into(),
            query: query.into(),
            headers,
            cookies,
            client: client.parse().ok(),
            listener,
        },
    )
}

fn check(rules: &[String], requests: &[Request]) {
    let router = Router::build(rules.iter().map(|text| rule(text)).collect()).unwrap();
    let mut captures = Captures::new();
    for request in requests {
        let expected = find_slow(&router, request);
        assert_eq!(router.find(request, &mut captures), expected, "{request:?}\n{rules:#?}");
        assert_eq!(router.allowed(request), allowed_slow(&router, request), "{request:?}\n{rules:#?}");
        let explanation = router.explain(request);
        assert_eq!(explanation.outcome, expected);
        assert_eq!(explanation.chosen.is_some(), matches!(expected, Outcome::Found(_)));
    }
}

#[test]
fn warned_rules_are_never_found() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let input = (rules(&["@a.x"], &["/a", "/*"]), vec(requests(), 20));
    let outcome = runner.run(&input, |(rules, requests)| {
        let router = Router::build(rules.iter().map(|text| rule(text)).collect()).unwrap();
        for mut request in requests {
            (request.host, request.path) = ("a.x".into(), "/a".into());
            let Outcome::Found(found) = router.find(&request, &mut Captures::new()) else { continue };
            prop_assert!(router.warnings().iter().all(|w| w.rule != found || w.only.is_some()));
        }
        Ok(())
    });
    outcome.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn on_all_sorts_of_rules(rules in rules(HOSTS, PATHS), requests in vec(requests(), 12)) {
        check(&rules, &requests);
    }

    #[test]
    fn on_rules_that_share_host_and_path(
        rules in rules(&["@a.x", "@*.x"], &["/a", "/{n}"]),
        requests in vec(requests(), 12),
    ) {
        let near = requests.into_iter().map(|mut request| {
            (request.host, request.path) = ("a.x".into(), "/a".into());
            request
        });
        check(&rules, &near.collect::<Vec<_>>());
    }
}
