//! The rules of matching, one table each.

mod agreement;
mod explaining;
mod patterns;

use std::net::IpAddr;

use crate::{
    Captures, FieldTest, HostPattern, Network, Outcome, PathPattern, Router, Rule, Subject, ValueTest,
};

/// A request as the router sees it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    host: String,
    path: String,
    method: String,
    query: String,
    headers: Vec<(String, String)>,
    cookies: Vec<(String, String)>,
    client: Option<IpAddr>,
    listener: u32,
}

impl Subject for Request {
    fn host(&self) -> &str {
        &self.host
    }
    fn path(&self) -> &str {
        &self.path
    }
    fn method(&self) -> &str {
        &self.method
    }
    fn query(&self) -> &str {
        &self.query
    }
    fn any_header(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.headers.iter().any(|(n, v)| n.eq_ignore_ascii_case(name) && test(v.as_bytes()))
    }
    fn any_cookie(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.cookies.iter().any(|(n, v)| n == name && test(v.as_bytes()))
    }
    fn client(&self) -> Option<IpAddr> {
        self.client
    }
    fn listener(&self) -> u32 {
        self.listener
    }
}

/// A `GET` from a table: `host/path?query`.
pub(crate) fn get(url: &str) -> Request {
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    let (host, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    Request {
        host: host.into(),
        path: path.into(),
        method: "GET".into(),
        query: query.into(),
        client: "192.0.2.1".parse().ok(),
        ..Request::default()
    }
}

/// A rule from a table, words in any order: `@host /path M:GET h:name=test q:name=test c:name=test ip:net l:1 p:5`.
pub(crate) fn rule(text: &str) -> Rule {
    let mut rule = Rule { name: text.into(), ..Rule::default() };
    for word in text.split_whitespace() {
        let (kind, value) = word.split_once(':').unwrap_or(("", word));
        match kind {
            "M" => rule.methods.push(value.into()),
            "h" => rule.headers.push(field(value)),
            "q" => rule.query.push(field(value)),
            "c" => rule.cookies.push(field(value)),
            "ip" => rule.clients.push(Network::parse(value).unwrap()),
            "l" => rule.listeners.push(value.parse().unwrap()),
            "p" => rule.priority = value.parse().unwrap(),
            _ => match word.strip_prefix('@') {
                Some(host) => rule.hosts.push(HostPattern::parse(host).unwrap()),
                None => rule.paths.push(PathPattern::parse(word).unwrap()),
            },
        }
    }
    rule
}

fn field(text: &str) -> FieldTest {
    let (name, test) = match text.strip_prefix('!') {
        Some(name) => (name, ValueTest::Absent),
        None => text
            .split_once('=')
            .map_or((text, ValueTest::Present), |(name, value)| (name, ValueTest::parse(value).unwrap())),
    };
    FieldTest { name: name.into(), test }
}

pub(crate) fn router(rules: &[&str]) -> Router {
    Router::build(rules.iter().map(|text| rule(text)).collect()).unwrap()
}

fn find(router: &Router, request: &Request) -> Outcome {
    router.find(request, &mut Captures::new())
}

#[test]
fn the_more_specific_rule_wins_whatever_the_order_of_declaration() {
    // Each line: a request, the rule that wins, the one that loses.
    let cases = [
        ("a.x/p", "@a.x", "@*.x"),
        ("a.x/p", "@*.x", "@~.*x"),
        ("b.a.x/p", "@*.a.x", "@*.x"),
        ("a.x/p", "@~a.x", "/p"),
        ("a.x/p", "@a.x", "/p"),
        ("a.x/p", "@a.x /*", "@* /p"),
        ("a.x/p/q", "/p/q", "/p/{n}"),
        ("a.x/p/q", "/p/{n}", "/p/*"),
        ("a.x/p/q", "/p/q/*", "/p/*"),
        ("a.x/p/q", "/p/*", "/*"),
        ("a.x/p/q", "/p/*", "/{n}/q"),
        ("a.x/p/q", "/{a}/q", "/{a}/{b}"),
        ("a.x/p/q", "/p/{a}", "/p/{a}/*"),
        ("a.x/p/q/r", "/p/{a}/r", "/p/{a...}"),
        ("a.x/p/q", "/*", "~/p/.*"),
        ("a.x/p/q", "~/p/.*", "@*"),
        ("a.x/p", "@*.x", "@* M:GET"),
        ("a.x/p", "/p M:GET", "/p"),
        ("a.x/p?k=1", "/p M:GET q:k=1", "/p M:GET"),
        ("a.x/p", "@* p:1", "@a.x /p M:GET"),
        ("a.x/p", "@* p:-1", "@a.x p:-2"),
    ];
    for (url, winner, loser) in cases {
        for (rules, expected) in [([winner, loser], 0), ([loser, winner], 1)] {
            assert_eq!(find(&router(&rules), &get(url)), Outcome::Found(expected), "{url}: {rules:?}");
        }
        assert_eq!(find(&router(&[loser]), &get(url)), Outcome::Found(0), "{url}: {loser} must match at all");
    }
}

#[test]
fn of_equal_rules_the_first_wins() {
    let router = router(&["/p h:a=1", "/p h:b=1"]);
    let mut request = get("a.x/p");
    request.headers = vec![("A".into(), "1".into()), ("B".into(), "1".into())];
    assert_eq!(find(&router, &request), Outcome::Found(0));
}

#[test]
fn conditions_hold_or_not() {
    let mut request = get("a.x/p?k=v&enc=%41+b&flag&k=w&%6bey=1&long=%");
    request.headers = vec![("X-A".into(), "one".into()), ("x-a".into(), "two".into())];
    request.cookies = vec![("c".into(), "1".into())];
    request.listener = 2;
    let cases = [
        ("h:x-a=one", true),
        ("h:X-A=two", true),
        ("h:x-a=three", false),
        ("h:x-a=on*", true),
        ("h:x-a=~t.o", true),
        ("h:x-a=~t", false),
        ("h:x-a", true),
        ("h:x-b", false),
        ("h:!x-b", true),
        ("h:!x-a", false),
        ("h:x-a=one h:x-a=two", true),
        ("h:x-a=one h:x-a=three", false),
        ("q:k=v", true),
        ("q:k=w", true),
        ("q:k=x", false),
        ("q:enc=~A.b", true),
        ("q:key=1", true),
        ("q:flag=", true),
        ("q:!flag", false),
        ("q:long=%", true),
        ("c:c=1", true),
        ("c:C=1", false),
        ("M:GET", true),
        ("M:POST M:GET", true),
        ("M:get", false),
        ("ip:192.0.2.0/24", true),
        ("ip:10.0.0.0/8 ip:192.0.2.1", true),
        ("ip:::/0", false),
        ("l:1 l:2", true),
        ("l:1", false),
    ];
    for (text, holds) in cases {
        assert_eq!(matches!(find(&router(&[text]), &request), Outcome::Found(0)), holds, "{text}");
    }
    request.client = "::ffff:192.0.2.1".parse().ok();
    assert_eq!(find(&router(&["ip:192.0.2.0/24"]), &request), Outcome::Found(0), "mapped address");
    request.client = None;
    assert_eq!(find(&router(&["ip:0.0.0.0/0"]), &request), Outcome::NotFound, "no address");
}

#[test]
fn only_the_method_missing_is_not_allowed() {
    let rules = [
        "/p M:POST",
        "/p M:PUT M:POST",
        "/p M:DELETE h:x=1",
        "/q M:GET",
        "/p M:PATCH",
        "/p M:LOCK",
        "/p M:TRACE",
        "@b.x /*",
    ];
    let router = router(&rules);
    assert_eq!(find(&router, &get("a.x/p")), Outcome::MethodNotAllowed);
    assert_eq!(router.allowed(&get("a.x/p")), ["LOCK", "PATCH", "POST", "PUT", "TRACE"]);
    let mut request = get("a.x/p");
    request.headers.push(("x".into(), "1".into()));
    assert!(router.allowed(&request).contains(&"DELETE"));
    assert_eq!(find(&router, &get("a.x/q")), Outcome::Found(3));
    assert_eq!(find(&router, &get("a.x/r")), Outcome::NotFound);
    assert_eq!(find(&router, &get("b.x/p")), Outcome::Found(7), "a rule without methods takes it");
}

#[test]
fn captures_are_parts_of_the_path() {
    type Case = (&'static str, &'static str, &'static [(&'static str, &'static str)]);
    let cases: [Case; 9] = [
        ("/p/*", "/p/a/b", &[("rest", "a/b")]),
        ("/p/*", "/p/", &[("rest", "")]),
        ("/p/*", "/p", &[("rest", "")]),
        ("/*", "/", &[("rest", "")]),
        ("/u/{id}/x", "/u/é/x", &[("id", "é")]),
        ("/{a}/{b}/*", "/1/2/3/4", &[("a", "1"), ("b", "2"), ("rest", "3/4")]),
        ("/f/{path...}", "/f/a/b/", &[("path", "a/b/")]),
        (r"~/v(?<major>\d+)(\.(?<minor>\d+))?", "/v2", &[("major", "2")]),
        ("/plain", "/plain", &[]),
    ];
    let mut captures = Captures::new();
    for (pattern, path, expected) in cases {
        let router = router(&[pattern]);
        let outcome = router.find(&get(&format!("a.x{path}")), &mut captures);
        assert_eq!(outcome, Outcome::Found(0), "{pattern} {path}");
        assert_eq!(captures.iter(path).collect::<Vec<_>>(), expected, "{pattern} {path}");
        for (name, value) in expected {
            assert_eq!(captures.get(path, name), Some(*value));
        }
    }
    assert_eq!(router(&["/x/*"]).find(&get("a.x/p"), &mut captures), Outcome::NotFound);
    assert!(captures.is_empty(), "those of the request before are gone");
}

#[test]
fn a_path_of_many_segments_is_matched_by_prefix_only() {
    let deep = format!("a.x{}", "/a".repeat(4000));
    let fixed = "/{n}".replace("{n}", "a").repeat(60);
    assert_eq!(find(&router(&[&fixed, "/a/{b}/*", "/{a}/a/{b}"]), &get(&deep)), Outcome::Found(1));
    assert_eq!(find(&router(&[&fixed, "/{a}/a/{b}"]), &get(&deep)), Outcome::NotFound);
}

#[test]
fn warns_of_rules_that_can_never_match() {
    let cases: [(&[&str], &[&str]); 7] = [
        (&["/a", "/b"], &[]),
        (&["/a M:GET M:PUT", "/a M:PUT M:GET"], &["1 by 0"]),
        (&["/a M:GET", "/a M:PUT"], &[]),
        (&["/a h:X=1 h:b", "/a h:b h:x=1"], &["1 by 0"]),
        (&["/{a}/x", "/{b}/x"], &["1 by 0"]),
        (&["/a M:GET", "/a p:1"], &["0 by 1"]),
        (&["@a.x @b.x /a", "@b.x @c.x /a"], &["1 by 0 only b.x /a"]),
    ];
    for (rules, expected) in cases {
        let router = router(rules);
        let got: Vec<String> = router.warnings().iter().map(brief).collect();
        assert_eq!(got, expected, "{rules:?}");
    }
    let router = router(&["/a", "/a"]);
    let text = router.warnings()[0].to_string();
    assert_eq!(text, "route `/a` can never match, since route `/a` takes all of its requests before");
}

fn brief(warning: &crate::Warning) -> String {
    let place = warning.only.as_ref().map_or(String::new(), |(host, path)| {
        format!(" only {} {}", host.as_deref().unwrap_or("-"), path.as_deref().unwrap_or("-"))
    });
    format!("{} by {}{place}", warning.rule, warning.by)
}

#[test]
fn refuses_rules_that_make_no_sense() {
    let mut bad = rule("/a M:G=T h:a=1");
    bad.cookies.push(FieldTest { name: "a b".into(), test: ValueTest::Present });
    bad.query.push(FieldTest { name: String::new(), test: ValueTest::Present });
    let errors = Router::build(vec![rule("/b"), bad]).unwrap_err();
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "`G=T` is not a method; write a name like `GET`",
            "`a b` is not the name of a field",
            "`` is not the name of a field",
        ]
    );
    assert!(errors.iter().all(|e| e.rule() == Some(1)));

    let hosts: Vec<_> = (0..1100).map(|n| HostPattern::parse(&format!("h{n}")).unwrap()).collect();
    let paths: Vec<_> = (0..1100).map(|n| PathPattern::parse(&format!("/{n}")).unwrap()).collect();
    let wide = Rule { hosts, paths, ..Rule::default() };
    let errors = Router::build(vec![wide]).unwrap_err();
    assert_eq!(errors, [crate::BuildError::TooManyAlternatives { rule: 0 }]);
}
