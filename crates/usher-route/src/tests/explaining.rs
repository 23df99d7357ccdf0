//! What explanations say.

use super::{get, router};
use crate::{Explanation, MAX_NEAR_MISSES, Outcome};

fn lines(explanation: &Explanation) -> Vec<String> {
    let near = explanation.near.iter();
    near.map(|n| format!("{} {}/{}: {}", n.rule, n.held, n.conditions, n.reason)).collect()
}

#[test]
fn says_why_each_lost() {
    let cases = [
        (
            "/p/*",
            "a.x/p",
            "1/1: matches too, but `@a.x /p M:GET` is more specific: exact host before any host",
        ),
        (
            "@a.x /p/*",
            "a.x/p",
            "2/2: matches too, but `@a.x /p M:GET` is more specific: exact path before prefix",
        ),
        (
            "@a.x /p",
            "a.x/p",
            "2/2: matches too, but `@a.x /p M:GET` is more specific: 1 further condition before 0",
        ),
        ("@a.x /p M:POST", "a.x/p", "2/3: method is `GET`, the route wants `POST`"),
        ("@a.x /p h:x-beta", "a.x/p", "2/3: header `x-beta` is absent"),
        ("@a.x /p q:v=2", "a.x/p?v=1", "2/3: query parameter `v` is `1`, the route wants `2`"),
        ("@a.x /p q:!v", "a.x/p?v=1", "2/3: query parameter `v` is present, the route wants it absent"),
        ("@a.x /p c:s", "a.x/p", "2/3: cookie `s` is absent"),
        (
            "@a.x /p ip:10.0.0.0/8 ip:::1",
            "a.x/p",
            "2/3: client is `192.0.2.1`, the route wants `10.0.0.0/8` or `::1`",
        ),
        ("@a.x /p l:7", "a.x/p", "2/3: listener is `0`, the route wants `7`"),
        ("@a.x /q /r", "a.x/p", "1/2: path is `/p`, the route wants `/q` or `/r`"),
        ("@b.x /p", "a.x/p", "1/2: host is `a.x`, the route wants `b.x`"),
        ("p:-1", "a.x/p", "0/0: matches too, but `@a.x /p M:GET` has the higher priority: 0 before -1"),
    ];
    for (loser, url, expected) in cases {
        let router = router(&["@a.x /p M:GET", loser]);
        let explanation = router.explain(&get(url));
        assert_eq!(explanation.outcome, Outcome::Found(0), "{loser}");
        assert_eq!(lines(&explanation), [format!("1 {expected}")], "{loser}");
    }
}

/// `/` and `/api/` are these paths and no more: whoever asks for what is below sees them, the most alike first.
#[test]
fn paths_that_miss_are_told_where_none_was_chosen() {
    let router = router(&["/", "@b.x /api/users", "/api/", "/api/users/", "/other", "@a.x /x"]);
    let explanation = router.explain(&get("a.x/api/users"));
    assert_eq!(explanation.outcome, Outcome::NotFound);
    assert_eq!(
        lines(&explanation),
        [
            "1 1/2: host is `a.x`, the route wants `b.x`",
            "5 1/2: path is `/api/users`, the route wants `/x`",
            "3 0/1: path is `/api/users`, the route wants `/api/users/`",
            "2 0/1: path is `/api/users`, the route wants `/api/`",
            "0 0/1: path is `/api/users`, the route wants `/`",
            "4 0/1: path is `/api/users`, the route wants `/other`",
        ]
    );
    assert!(router.explain(&get("a.x/")).near.iter().all(|miss| miss.rule == 5), "one was chosen");
}

#[test]
fn tells_what_was_chosen() {
    let explanation = router(&["@b.x @*.x /u/{id}/*"]).explain(&get("a.x/u/7/z"));
    let chosen = explanation.chosen.unwrap();
    assert_eq!((chosen.host.as_deref(), chosen.path.as_deref()), (Some("*.x"), Some("/u/{id}/*")));
    let pairs: Vec<_> = chosen.captures.iter().map(|(n, v)| format!("{n}={v}")).collect();
    assert_eq!(pairs, ["id=7", "rest=z"]);
}

#[test]
fn nearest_first_and_not_too_many() {
    let mut rules: Vec<String> = (0..15).map(|n| format!("@a.x /{n}")).collect();
    rules.push("@a.x /p M:POST".into());
    rules.push("@c.x /nothing".into());
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    let explanation = router(&rules).explain(&get("a.x/p"));
    assert_eq!(explanation.outcome, Outcome::MethodNotAllowed);
    assert_eq!(explanation.allowed, ["POST"]);
    assert_eq!(explanation.near.len(), MAX_NEAR_MISSES);
    assert_eq!(explanation.more, 16 - MAX_NEAR_MISSES);
    assert_eq!((explanation.near[0].rule, explanation.near[1].rule), (15, 0));
}

#[test]
fn long_values_are_cut() {
    let explanation = router(&["@a.x /q"]).explain(&get(&format!("a.x/{}", "é".repeat(5000))));
    assert!(explanation.near[0].reason.to_string().chars().count() < 200);
}
