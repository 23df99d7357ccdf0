//! Sets of routes that differ in one respect each, and requests for them.

use std::net::{IpAddr, Ipv4Addr};

use usher_route::{FieldTest, HostPattern, Network, PathPattern, Rule, Subject, ValueTest};

/// How many different requests are made of each set.
const REQUESTS: usize = 64;

/// Routes that differ in one respect.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    /// Puts the `n`th of the values in which the routes differ into a rule.
    rule: fn(&mut Rule, usize),
    /// Puts it into a request. A number that no rule has makes a request that no rule takes.
    request: fn(&mut Request, usize),
}

/// A request with at most one header, cookie and parameter.
#[derive(Default)]
pub(crate) struct Request {
    host: String,
    path: String,
    method: String,
    query: String,
    header: String,
    cookie: String,
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
        name == "x-tenant" && test(self.header.as_bytes())
    }
    fn any_cookie(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        name == "tenant" && test(self.cookie.as_bytes())
    }
    fn client(&self) -> Option<IpAddr> {
        self.client
    }
    fn listener(&self) -> u32 {
        self.listener
    }
}

/// All that are measured. Numbers have five digits, so that no text is longer for being one of many.
pub(crate) const SHAPES: &[Shape] = &[
    Shape {
        name: "exact hosts",
        rule: |rule, n| rule.hosts = hosts(&format!("h{n:05}.example.com")),
        request: |request, n| request.host = format!("h{n:05}.example.com"),
    },
    Shape {
        name: "wildcard hosts",
        rule: |rule, n| rule.hosts = hosts(&format!("*.h{n:05}.example.com")),
        request: |request, n| request.host = format!("a.b.h{n:05}.example.com"),
    },
    Shape {
        name: "hosts, each with a priority of its own",
        rule: |rule, n| {
            rule.hosts = hosts(&format!("h{n:05}.example.com"));
            rule.priority = i32::try_from(n).unwrap();
        },
        request: |request, n| request.host = format!("h{n:05}.example.com"),
    },
    Shape {
        name: "exact paths",
        rule: |rule, n| rule.paths = paths(&format!("/api/p{n:05}")),
        request: |request, n| request.path = format!("/api/p{n:05}"),
    },
    Shape {
        name: "prefixes",
        rule: |rule, n| rule.paths = paths(&format!("/api/p{n:05}/*")),
        request: |request, n| request.path = format!("/api/p{n:05}/some/where"),
    },
    Shape {
        name: "names after distinct literals",
        rule: |rule, n| rule.paths = paths(&format!("/p{n:05}/{{id}}/edit")),
        request: |request, n| request.path = format!("/p{n:05}/some/edit"),
    },
    Shape {
        name: "names between shared and distinct literals",
        rule: |rule, n| rule.paths = paths(&format!("/users/{{id}}/p{n:05}/{{item}}")),
        request: |request, n| request.path = format!("/users/7/p{n:05}/8"),
    },
    Shape {
        name: "names and literals that a path fits in several ways",
        rule: |rule, n| {
            let (a, b) = if n % 2 == 0 { ("users", "{b}") } else { ("{a}", "items") };
            rule.paths = paths(&format!("/{a}/{b}/p{n:05}"));
        },
        request: |request, n| request.path = format!("/users/items/p{n:05}"),
    },
    Shape {
        name: "methods",
        rule: |rule, n| rule.methods = vec![format!("M{n:05}")],
        request: |request, n| request.method = format!("M{n:05}"),
    },
    Shape {
        name: "headers",
        rule: |rule, n| rule.headers = field("X-Tenant", n),
        request: |request, n| request.header = format!("t{n:05}"),
    },
    Shape {
        name: "headers, and one method",
        rule: |rule, n| {
            rule.headers = field("X-Tenant", n);
            rule.methods = vec!["POST".into()];
        },
        request: |request, n| request.header = format!("t{n:05}"),
    },
    Shape {
        name: "cookies",
        rule: |rule, n| rule.cookies = field("tenant", n),
        request: |request, n| request.cookie = format!("t{n:05}"),
    },
    Shape {
        name: "query parameters",
        rule: |rule, n| rule.query = field("tenant", n),
        request: |request, n| request.query = format!("first=1&tenant=t{n:05}"),
    },
    Shape {
        name: "clients",
        rule: |rule, n| rule.clients = vec![Network::parse(&address(n).to_string()).unwrap()],
        request: |request, n| request.client = Some(address(n)),
    },
    Shape {
        name: "listeners",
        rule: |rule, n| rule.listeners = vec![u32::try_from(n).unwrap()],
        request: |request, n| request.listener = u32::try_from(n).unwrap(),
    },
];

fn hosts(text: &str) -> Vec<HostPattern> {
    vec![HostPattern::parse(text).unwrap()]
}

fn paths(text: &str) -> Vec<PathPattern> {
    vec![PathPattern::parse(text).unwrap()]
}

fn field(name: &str, n: usize) -> Vec<FieldTest> {
    vec![FieldTest { name: name.into(), test: ValueTest::Exact(format!("t{n:05}")) }]
}

fn address(n: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + u32::try_from(n).unwrap()))
}

impl Shape {
    /// `routes` rules on one host and path, except for what makes the shape.
    pub(crate) fn rules(&self, routes: usize) -> Vec<Rule> {
        let rule = |n: usize| {
            let mut rule = Rule {
                name: n.to_string(),
                hosts: hosts("example.com"),
                paths: paths("/api"),
                ..Rule::default()
            };
            (self.rule)(&mut rule, n);
            rule
        };
        (0..routes).map(rule).collect()
    }

    /// Requests that are spread over all rules, or that none takes.
    pub(crate) fn requests(&self, routes: usize, hit: bool) -> Vec<Request> {
        let request = |n: usize| {
            let mut request = Request {
                host: "example.com".into(),
                path: "/api".into(),
                method: "POST".into(),
                ..Request::default()
            };
            let first = if hit { n * routes / REQUESTS } else { 90_000 + n };
            (self.request)(&mut request, first);
            request
        };
        (0..REQUESTS).map(request).collect()
    }
}
