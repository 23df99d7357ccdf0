//! Configs as text, built with the real extensions.

use std::time::Duration;

use usher_api::{Exchange, Phase};
use usher_config::{Format, Input, LoadOptions, Loaded, load};
use usher_extensions::balancers::BALANCERS;
use usher_extensions::filters::FILTERS;
use usher_extensions::probes::PROBES;
use usher_net::Address;

use super::{Builder, Built};
use crate::snapshot::{Destination, Route, Target};

fn loaded(text: &str) -> Loaded {
    let known: Vec<&str> = FILTERS.iter().map(|factory| factory.name).collect();
    let options = LoadOptions { format: Some(Format::Toml), env: &|_| None, known_filters: &known };
    let input = Input::Text { name: "test".to_owned(), bytes: text.as_bytes().to_vec() };
    load(input, &options).unwrap_or_else(|report| panic!("{report}"))
}

fn again(text: &str, previous: Option<&Built>) -> Result<Built, String> {
    let builder = Builder { filters: FILTERS, balancers: BALANCERS, probes: PROBES };
    builder.build(&loaded(text), previous, None).map_err(|report| report.to_string())
}

fn built(text: &str) -> Built {
    again(text, None).unwrap_or_else(|report| panic!("{report}"))
}

fn route(built: &Built) -> &Route {
    &built.snapshot.routes[0]
}

fn destination(route: &Route) -> &Destination {
    match &route.target {
        Some(Target::Cluster(destination)) => destination,
        _ => panic!("not one cluster"),
    }
}

fn names(built: &Built) -> Vec<&str> {
    built.snapshot.routes.iter().map(|route| &*route.name).collect()
}

fn clusters(built: &Built) -> Vec<&str> {
    built.snapshot.clusters.iter().map(|cluster| &*cluster.name).collect()
}

#[test]
fn smallest_site_has_a_listener_a_route_and_a_cluster() {
    let built = built("[[route]]\nhost = 'example.com'\nto = 'localhost:3000'");
    assert_eq!(built.snapshot.generation, 1);
    assert_eq!(&*built.snapshot.listeners[0].name, ":80");
    assert_eq!(names(&built), ["example.com"]);
    assert_eq!(clusters(&built), ["localhost:3000"]);
    let cluster = &built.snapshot.clusters[0];
    assert_eq!(cluster.balance_name, BALANCERS[0].name);
    assert!(cluster.resolved.is_empty(), "names are resolved later");
    assert!(built.warnings.is_empty());
}

#[test]
fn routes_are_named_after_what_they_look_for() {
    let to = "to = '127.0.0.1:1'";
    let built = built(&format!(
        "[[route]]\nhost = ['a.com', 'b.com']\npath = '/x/*'\n{to}
         [[route]]\nhost = 'a.com'\npath = '/x/*'\nheader = {{ x = 'y' }}\n{to}
         [[route]]\nmethod = 'POST'\npath = '/up'\n{to}
         [[route]]\nname = '*'\npath = '/named'\n{to}
         [[route]]\n{to}"
    ));
    assert_eq!(names(&built), ["a.com/x/*", "a.com/x/* #2", "POST /up", "*", "* #2"]);
}

#[test]
fn get_stands_for_head_too() {
    let built = built(
        "[[route]]\nmethod = 'GET'\nto = '127.0.0.1:1'
         [[route]]\npath = '/x'\nmethod = ['POST', 'HEAD', 'GET']\nto = '127.0.0.1:1'",
    );
    let methods = |rule: usize| built.snapshot.router.rules()[rule].methods.clone();
    assert_eq!(methods(0), ["GET", "HEAD"]);
    assert_eq!(methods(1), ["POST", "HEAD", "GET"]);
}

#[test]
fn routes_to_the_same_endpoints_share_a_cluster() {
    let text = "[[route]]\npath = '/a'\nto = ['127.0.0.1:1', '127.0.0.1:2']
         [[route]]\npath = '/b'\nto = ['127.0.0.1:1', '127.0.0.1:2']
         [[route]]\npath = '/c'\nto = [{ address = '127.0.0.1:1', weight = 2 }, '127.0.0.1:2']
         [[route]]\npath = '/d'\ncluster = 'c'\n[cluster.c]\nendpoints = '127.0.0.1:1'";
    let first = built(text);
    assert_eq!(clusters(&first), ["c", "127.0.0.1:1, 127.0.0.1:2", "127.0.0.1:1, 127.0.0.1:2 #2"]);
    let of = |route: usize| destination(&first.snapshot.routes[route]).cluster;
    assert_eq!([of(0), of(1), of(2), of(3)], [1, 1, 2, 0]);
    // Without the route that is first, the name is the same: pools are found by it.
    let without = text.replacen("[[route]]\npath = '/a'\nto = ['127.0.0.1:1', '127.0.0.1:2']", "", 1);
    assert_eq!(clusters(&built(&without))[1], "127.0.0.1:1, 127.0.0.1:2");
}

#[test]
fn timeouts_of_a_route_come_before_its_clusters_and_those_before_all() {
    let built = built(
        "[timeouts]\nupstream = { connect = '1s', first_byte = '2s', idle = '3s' }
         [[route]]\ncluster = 'c'\ntimeouts = { connect = '10s' }
         [cluster.c]\nendpoints = '127.0.0.1:1'\ntimeouts = { connect = '20s', first_byte = '21s', body_idle = '22s' }",
    );
    let timeouts = &destination(route(&built)).timeouts;
    let seconds = [timeouts.connect, timeouts.first_byte, timeouts.idle].map(|time| time.as_secs());
    assert_eq!(seconds, [10, 21, 3]);
    assert_eq!(route(&built).body_idle, Some(Duration::from_secs(22)));
    assert_eq!(route(&built).write_stall, None);
}

#[test]
fn filters_are_sorted_by_phase() {
    let built = built(
        "[defaults]\nrate_limit = { per = 'client_ip', rate = '5/s' }
         [[route]]\nrespond = 'hi'\nheaders = { request = { set = { X = 'y' } } }
         rewrite = { strip_prefix = '/a' }\nbuffer_request = { size = '7KiB' }",
    );
    let order: Vec<_> = route(&built).filters.iter().map(|entry| (entry.name, entry.phase)).collect();
    assert!(order.is_sorted_by_key(|(_, phase)| *phase), "{order:?}");
    assert_eq!(order.first(), Some(&("rate_limit", Phase::Limit)));
    assert_eq!(order.last(), Some(&("respond", Phase::Respond)));
    assert!(route(&built).target.is_none());
    assert_eq!(route(&built).buffer_body, Some(7 << 10));
}

#[test]
fn off_takes_an_inherited_filter_away() {
    let built = built(
        "[defaults]\nrate_limit = { per = 'client_ip', rate = '5/s' }
         [[route]]\nto = '127.0.0.1:1'\nrate_limit = 'off'",
    );
    assert!(route(&built).filters.is_empty());
}

#[test]
fn subsets_are_parts_of_clusters() {
    let text = "[[route]]\ncluster = 'c'\nsubset = { v = '2' }
         [[route]]\npath = '/x'\nsplit = [{ cluster = 'c', subset = { v = '2' }, weight = 1 },
            { cluster = 'c', subset = { v = '1', zone = 'a' }, weight = 1 }]
         [cluster.c]\nbalance = 'random'\nendpoints = [{ address = '127.0.0.1:1', labels = { v = '1', zone = 'a' } },
            { address = '127.0.0.1:2', labels = { v = '2' } }]";
    let built = built(text);
    assert_eq!(clusters(&built), ["c", "c [v=2]", "c [v=1, zone=a]"]);
    let [whole, second, first] = &built.snapshot.clusters[..] else { panic!("three") };
    for (part, address) in [(second, "127.0.0.1:2"), (first, "127.0.0.1:1")] {
        let addresses: Vec<String> = part.resolved.iter().map(|one| one.address.to_string()).collect();
        assert_eq!((part.balance_name, addresses), ("random", vec![address.to_owned()]));
        assert!(std::sync::Arc::ptr_eq(&part.standings, &whole.standings) && part.health.is_none());
    }
    for (wrong, said) in [
        (
            text.replace("subset = { v = '2' }\n", "subset = { v = '3' }\n"),
            "no endpoint of the cluster `c` has these labels",
        ),
        (
            "[[route]]\nto = '127.0.0.1:1'\nsubset = { v = '1' }".to_owned(),
            "`subset` chooses among the endpoints of a `cluster`",
        ),
    ] {
        let report = again(&wrong, None).err().expect("a report");
        assert!(report.contains(said) && report.contains("test:"), "{report}");
    }
}

#[test]
fn splits_keep_weights_and_cookie() {
    let built = built(
        "[[route]]\n[route.split]\nbetween = [{ cluster = 'a', weight = 3 }, { to = '127.0.0.1:2', weight = 0 }]
         sticky = { cookie = 'v', max_age = '1h' }\n[cluster.a]\nendpoints = '127.0.0.1:1'",
    );
    let Some(Target::Split { between, sticky, .. }) = &route(&built).target else { panic!("not a split") };
    let between: Vec<_> = between.iter().map(|(to, weight)| (to.cluster, *weight)).collect();
    assert_eq!(between, [(0, 3), (1, 0)]);
    assert_eq!(sticky, &Some(("v".to_owned(), Some(Duration::from_secs(3600)))));
}

#[test]
fn listeners_have_limits_and_timeouts_of_their_own() {
    let built = built(
        "[limits]\nconnections = 9\nconnections_per_client = 5\nhead = '16KiB'
         [[listener]]\nbind = '127.0.0.1:8080'\nlimits = { connections = 3, fields = 7 }\ntimeouts = { head = '2s' }
         tcp_keepalive = '60s'\nipv6_only = true\nbacklog = 12
         [[listener]]\nname = 'sock'\nbind = 'unix:/run/u.sock'\nmode = '0660'
         proxy_protocol = { trusted = ['10.0.0.0/8'], required = false }
         [[route]]\nlistener = 'sock'\nto = '127.0.0.1:1'",
    );
    let [tcp, unix] = &*built.snapshot.listeners else { panic!("two listeners") };
    assert_eq!((&*tcp.name, &*unix.name), ("127.0.0.1:8080", "sock"));
    assert_eq!((tcp.max_connections, tcp.per_client, built.snapshot.max_connections), (3, 5, 9));
    assert_eq!((tcp.head.head, tcp.head.fields, unix.head.fields), (16 << 10, 7, 100));
    assert_eq!((tcp.timeouts.head.as_secs(), unix.timeouts.head.as_secs()), (2, 15));
    assert_eq!((tcp.listen.backlog, tcp.listen.only_v6, unix.listen.unix_mode), (12, true, Some(0o660)));
    assert_eq!(tcp.socket.keepalive.map(|keepalive| keepalive.idle), Some(Duration::from_secs(60)));
    assert!(unix.proxy_protocol.as_ref().is_some_and(|rule| !rule.required && rule.trusted.len() == 1));
    assert_eq!(built.snapshot.router.rules()[0].listeners, [1]);
}

#[test]
fn pages_of_a_status_come_before_those_of_its_class() {
    let built = built(
        "[defaults]\nerror_pages = { 404 = { text = 'default 404' }, 5xx = { text = 'default {status}' } }
         [[route]]\nto = '127.0.0.1:1'\nerror_pages = { 4xx = { text = 'own 4xx' }, 410 = { text = 'own 410' } }",
    );
    let page = |status: u16| {
        let mut exchange = Exchange::default();
        exchange.response.status = status;
        let mut text = String::new();
        if let Some(page) = route(&built).page(status) {
            page.content.render(&exchange, &mut text);
        }
        text
    };
    // A class that the route itself names comes before what it inherits.
    assert_eq!(
        [page(404), page(410), page(499), page(503)],
        ["own 4xx", "own 410", "own 4xx", "default 503"]
    );
    assert_eq!(route(&built).page(404).map(|page| &*page.content_type), Some("text/html; charset=utf-8"));
}

#[test]
fn files_of_pages_may_hold_braces_of_their_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("404.html");
    std::fs::write(&file, "<style>p { margin: 0 }</style>{status} {no.such} {{x}}").expect("a file");
    let built =
        built(&format!("[[route]]\nto = '127.0.0.1:1'\nerror_pages = {{ 404 = '{}' }}", file.display()));
    let mut exchange = Exchange::default();
    exchange.response.status = 404;
    let mut text = String::new();
    route(&built).page(404).expect("a page").content.render(&exchange, &mut text);
    assert_eq!(text, "<style>p { margin: 0 }</style>404 {no.such} {{x}}");
}

#[test]
fn routes_share_the_pages_that_they_inherit() {
    let built = built(
        "[defaults]\nerror_pages = { 404 = { text = 'x' } }
         [[route]]\npath = '/a'\nto = '127.0.0.1:1'\n[[route]]\npath = '/b'\nto = '127.0.0.1:1'",
    );
    let [one, other] = &*built.snapshot.routes else { panic!("two routes") };
    assert!(std::sync::Arc::ptr_eq(&one.error_pages[0].1, &other.error_pages[0].1));
}

#[test]
fn reload_counts_on_and_keeps_what_extensions_carry() {
    let text =
        "[[route]]\nname = 'r'\nto = '127.0.0.1:1'\nrate_limit = { per = 'route', rate = '1/h', burst = 1 }";
    let first = built(text);
    let mut exchange = Exchange::default();
    let mut passes = |built: &Built| {
        let flow = route(built).filters[0].filter.on_request(&mut exchange);
        matches!(flow, usher_api::Flow::Continue)
    };
    assert!(passes(&first));
    let second = again(text, Some(&first)).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(second.snapshot.generation, 2);
    assert!(!passes(&second), "the bucket is as empty as it was");
    let fresh = built(text);
    assert!(passes(&fresh));
}

#[test]
fn known_addresses_of_names_are_there_from_the_start() {
    let mut built = built("[[route]]\nto = 'app.internal:3000'");
    let address = Address::Ip("10.0.0.9:3000".parse().unwrap_or_else(|_| panic!("an address")));
    built.resolve(|cluster| Some(vec![cluster.endpoints[0].at(address.clone())]));
    let cluster = &built.snapshot.clusters[0];
    assert_eq!((&cluster.resolved[0].address, &*cluster.resolved[0].host), (&address, "app.internal:3000"));
}

/// What is wrong is told at the very place, with the repair.
#[test]
fn errors_have_places_and_repairs() {
    for (text, expected) in [
        ("[[route]]\nhost = 'exa mple.com'\nto = 'a:1'", "test:2:12"),
        ("[[route]]\npath = \"/a/{id/x\"\nto = 'a:1'", "test:2:"),
        ("[[route]]\npath = '~/a(b'\nto = 'a:1'", "is not a pattern"),
        ("[[route]]\nheader = { x-y = 'a*b' }\nto = 'a:1'", "test:2:20"),
        ("[[route]]\nheader = { 'x y' = 'a' }\nto = 'a:1'", "test:2:12"),
        ("[[route]]\nhost = 'a.com'", "this route sends requests nowhere"),
        ("[[route]]\nhost = 'a.com'", "`redirect`, `respond`, `static_files`"),
        ("[[route]]\nto = 'a:1'\nrespond = 'x'", "two answers: `to` and `respond`"),
        ("[[route]]\nto = 'a:1'\nstatic_files = 'public'\nrespond = 'x'", "two answers: `to` and `respond`"),
        (
            "[[route]]\nto = 'a:1'\nstatic_files = { root = '/', fallback = 'a' }",
            "`fallback` leaves nothing for where the route sends requests",
        ),
        ("[[route]]\nrespond = 'x'\nredirect = { to = '/y' }", "two answers: `respond` and `redirect`"),
        ("[defaults]\nrespond = 'x'\n[[route]]\nto = 'a:1'", "`respond = \"off\"` on the route"),
        (
            "[[route]]\ncluster = 'c'\n[cluster.c]\nendpoints = 'a:1'\nbalance = 'least_request'",
            "did you mean `least_requests`?",
        ),
        (
            "[[route]]\ncluster = 'c'\n[cluster.c]\nendpoints = 'a:1'\nbalance = 'zzz'",
            "known here: `round_robin`",
        ),
        (
            "[[route]]\ncluster = 'c'\n[cluster.c]\nendpoints = 'a:1'\nbalance = { x = 1 }",
            "a table without `policy`",
        ),
        ("[[route]]\ncluster = 'c'\n[cluster.c]\nendpoints = 'a:1'\nbalance = 3", "found the number `3`"),
        ("[[route]]\nto = 'a:1'\nerror_pages = { 404 = { text = 'x {nope}' } }", "test:3:35"),
        (
            "[[route]]\nto = 'a:1'\nerror_pages = { 404 = '/no/such/page.html' }",
            "cannot read `/no/such/page.html`",
        ),
        ("[[route]]\nto = 'a:1'\nrate_limit = { per = 'client_ip', rate = 'fast' }", "test:3:"),
    ] {
        let report = again(text, None).err().unwrap_or_else(|| panic!("built: {text}"));
        assert!(report.contains(expected), "{text}\n\n{report}\nexpected {expected}");
    }
}

#[test]
fn mistakes_of_tls_have_places_and_repairs() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("no.pem");
    std::fs::write(&file, "hello").expect("a file");
    let file = file.display();
    let cluster = |endpoints: &str, rest: &str| {
        format!("[[route]]\ncluster = 'c'\n[cluster.c]\nendpoints = {endpoints}\n{rest}")
    };
    let listener = |tls: &str| {
        format!(
            "[[listener]]\nbind = '127.0.0.1:1'\ntls = {{ client_certificate = {tls} }}\n[[route]]\nto = 'a:1'"
        )
    };
    for (text, expected) in [
        (listener(&format!("'{file}'")), ["-----BEGIN CERTIFICATE-----", "test:3:30"]),
        (
            cluster("'https://a:1'", &format!("tls = {{ ca = '{file}' }}")),
            ["-----BEGIN CERTIFICATE-----", "test:5:14"],
        ),
        (
            cluster("'https://a:1'", "tls = { server_name = 'https://a b' }"),
            ["`https://a b` is no name that a certificate could be for", "test:5:23"],
        ),
        (cluster("'h2c://a:1'", "tls = true"), ["`h2c://` has no TLS", "write `https://…`"]),
        (cluster("'h2c://a:1'", "protocol = 'h1'"), ["`protocol` says HTTP/1.1", "test:4:13"]),
        (cluster("'unix:/a'", "protocol = 'h3'\ntls = true"), ["a Unix socket has not", "test:4:13"]),
        (cluster("['https://a:1', 'b:1']", "protocol = 'h3'"), ["HTTP/3 needs TLS", "test:4:29"]),
        (cluster("'a:1'", "protocol = 'h3'"), ["HTTP/3 needs TLS", "endpoints without it"]),
    ] {
        let report = again(&text, None).err().unwrap_or_else(|| panic!("built: {text}"));
        for part in expected {
            assert!(report.contains(part), "{text}\n\n{report}\nexpected {part}");
        }
        assert!(report.contains("1 error"), "{report}");
    }
}

/// There is no certificate for a host that nobody names.
#[test]
fn only_named_hosts_are_sent_to_https() {
    for (route, sent) in [
        ("host = 'a.test'", true),
        ("host = ['a.test', '*.b.test']", true),
        ("host = '*'", false),
        ("host = ['a.test', '~x.*']", false),
        ("path = '/a'", false),
    ] {
        let built = built(&format!("[[route]]\n{route}\nto = '127.0.0.1:1'"));
        assert_eq!(super::super::Snapshot::route(&built.snapshot, Some(0)).to_https, sent, "{route}");
    }
}

#[test]
fn all_errors_are_told_at_once_and_each_once() {
    let report = again(
        "[defaults]\nrate_limit = { per = 'client_ip', rate = 'fast' }
         [[route]]\nhost = 'a b'\nto = 'a:1'\n[[route]]\npath = 'x'\n[[route]]\nheader = { '' = 'x' }\nto = 'a:1'",
        None,
    );
    let report = report.err().unwrap_or_default();
    for expected in
        ["fast", "`a b` is not a pattern", "`x` is not a pattern", "nowhere", "not the name of a field"]
    {
        assert_eq!(report.matches(expected).count().min(1), 1, "{expected}\n{report}");
    }
    assert!(report.contains("5 errors"), "{report}");
}

/// Which sections a filter is told of: its route's bundles and the defaults, up to one that says `off`.
#[test]
fn a_filter_knows_the_sections_that_it_replaces() {
    let defaults = "[defaults.headers.response.set]\nX-A = '1'\n";
    let own = "[[route]]\nto = 'a:1'\nuse = 'b'\n[route.headers]\nresponse = { set = { X-B = '1' } }\n";
    for (bundle, inherit, fields, lost) in [
        ("[bundle.b]\n", "", 1, true),
        ("[bundle.b]\n", "inherit = false\n", 1, false),
        ("[bundle.b]\n", "inherit = true\n", 2, false),
        ("[bundle.b]\nheaders = 'off'\n", "", 1, false),
        ("[bundle.b]\nheaders = 'off'\n", "inherit = true\n", 1, false),
        ("[bundle.b]\nheaders = { response = { remove = 'X-C' } }\n", "inherit = true\n", 2, false),
        (
            "[bundle.b]\nheaders = { inherit = true, response = { remove = 'X-C' } }\n",
            "inherit = true\n",
            3,
            false,
        ),
    ] {
        let built = built(&format!("{defaults}{bundle}{own}{inherit}"));
        let of_headers = |message: &str| message.contains("this `headers` replaces another");
        let warned = built.warnings.iter().any(|warning| {
            warning.labels.iter().all(|label| !label.span.is_none()) && of_headers(&warning.message)
        });
        assert_eq!(warned, lost, "{bundle}{inherit}");
        assert_eq!(route(&built).filters[0].filter.response_fields().len(), fields, "{bundle}{inherit}");
    }
}

#[test]
fn a_target_takes_what_files_leave() {
    let built =
        built("[[route]]\nto = 'a:1'\nstatic_files = '/'\n[[route]]\npath = '/a'\nstatic_files = '/'");
    let passes = |route: &Route| route.filters[0].filter.passes_on();
    assert_eq!(built.snapshot.routes.iter().map(passes).collect::<Vec<_>>(), [true, false]);
    assert!(route(&built).target.is_some() && built.snapshot.routes[1].target.is_none());
}

#[test]
fn warns_of_what_works_but_is_hardly_meant() {
    for (text, expected) in [
        ("[[route]]\nto = 'a:1'\n[[route]]\nname = 'late'\nto = 'b:1'", "route `late` can never match"),
        ("[[route]]\nto = ['127.0.0.1:1', '127.0.0.1:1']", "is in the cluster twice"),
        (
            "[[route]]\nto = { address = 'a:1', weight = 0 }",
            "all endpoints of the cluster `a:1` have weight 0",
        ),
    ] {
        let built = built(text);
        let found = built
            .warnings
            .iter()
            .any(|warning| warning.message.contains(expected) && !warning.labels.is_empty());
        assert!(found, "{text}: {:?}", built.warnings);
    }
}

/// `[defaults]` without what guards or answers requests: that is no request's route.
#[test]
fn responses_without_a_route_have_the_defaults() {
    let built = built(
        "[defaults]
         error_pages = { 404 = { text = 'x' } }
         headers = { response = { set = { x-a = '1' } } }
         rate_limit = { per = 'client_ip', rate = '1/s', burst = 1 }
         [[route]]\nto = '127.0.0.1:1'\nerror_pages = { 400 = { text = 'y' } }",
    );
    let unrouted = built.snapshot.route(None);
    assert!(unrouted.page(404).is_some() && unrouted.page(400).is_none());
    assert!(unrouted.filters.iter().map(|entry| entry.name).eq(["headers"]));
    assert_eq!(&*built.snapshot.route(Some(7)).name, "", "a number that is none");
    assert!(std::ptr::eq(built.snapshot.route(Some(0)), route(&built)));
}

#[test]
fn the_nearest_place_says_whether_requests_are_logged() {
    let logged = |text: &str| {
        let built = built(text);
        (built.snapshot.listeners[0].logged, built.snapshot.route(None).logged, route(&built).logged)
    };
    let route = "[[route]]\nto = '127.0.0.1:1'\n";
    assert_eq!(logged(route), (true, None, None));
    assert_eq!(logged(&format!("{route}access_log = 'off'")), (true, None, Some(false)));
    let all = format!(
        "[[listener]]\nbind = '127.0.0.1:0'\naccess_log = 'off'\n[defaults]\naccess_log = 'on'\n{route}access_log = 'off'"
    );
    assert_eq!(logged(&all), (false, Some(true), Some(false)));
}
