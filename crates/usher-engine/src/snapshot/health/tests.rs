//! Whom probes ask, and as whom.

use std::time::Duration;

use usher_config::{Format, Input, LoadOptions, load};
use usher_extensions::balancers::BALANCERS;
use usher_extensions::filters::FILTERS;
use usher_extensions::probes::PROBES;

use crate::snapshot::{Builder, Built};

fn built(cluster: &str) -> Built {
    let text = format!("[[route]]\ncluster = 'app'\n[cluster.app]\n{cluster}\n");
    let options = LoadOptions { format: Some(Format::Toml), env: &|_| None, known_filters: &[] };
    let input = Input::Text { name: "test".to_owned(), bytes: text.into_bytes() };
    let loaded = load(input, &options).unwrap_or_else(|report| panic!("{report}"));
    let builder = Builder { filters: FILTERS, balancers: BALANCERS, probes: PROBES };
    builder.build(&loaded, None, None).unwrap_or_else(|report| panic!("{report}"))
}

#[test]
fn endpoints_are_asked_where_and_as_the_config_says() {
    let ip = "endpoints = '10.0.0.1:3000'\n";
    let unix = "endpoints = 'unix:/run/app.sock'\n";
    let cases = [
        (ip, "health = true", "10.0.0.1:3000", "10.0.0.1:3000", ""),
        (ip, "health = { port = 9000 }", "10.0.0.1:9000", "10.0.0.1:9000", ""),
        (ip, "host = 'app.test'\nhealth = { port = 9000 }", "10.0.0.1:9000", "app.test", ""),
        (ip, "host = 'app.test'\nhealth = { host = 'a.test' }", "10.0.0.1:3000", "a.test", ""),
        (ip, "host = 'preserve'\nhealth = true", "10.0.0.1:3000", "10.0.0.1:3000", ""),
        (unix, "health = { port = 9000 }", "unix:/run/app.sock", "localhost", ""),
        (ip, "proxy_protocol = 'v1'\nhealth = true", "10.0.0.1:3000", "10.0.0.1:3000", "PROXY UNKNOWN\r\n"),
        (
            ip,
            "proxy_protocol = 'v2'\nhealth = true",
            "10.0.0.1:3000",
            "10.0.0.1:3000",
            "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
        ),
    ];
    for (endpoints, more, address, host, introduction) in cases {
        let built = built(&format!("{endpoints}{more}"));
        let cluster = &built.snapshot.clusters[0];
        let target = cluster.probed(&cluster.resolved[0]).unwrap();
        assert_eq!((&*target.address.to_string(), &*target.host), (address, host), "{more}");
        assert_eq!(&*target.introduction, introduction.as_bytes(), "{more}");
        assert_eq!(&*target.label, endpoints.split('\'').nth(1).unwrap(), "{more}");
    }
}

#[test]
fn settings_that_mean_the_same_are_equal() {
    let written = |health: &str| {
        let built = built(&format!("endpoints = '10.0.0.1:3000'\nhealth = {health}"));
        built.snapshot.clusters[0].health.as_ref().map(|health| health.written.clone())
    };
    assert_eq!(written("false"), None);
    assert_eq!(written("true"), written("{ interval = '5000ms' }"));
    assert_ne!(written("true"), written("{ interval = '6s' }"));
    assert_ne!(written("true"), written("{ path = '/x' }"));
}

#[test]
fn without_further_keys_http_is_asked() {
    let built = built("endpoints = '10.0.0.1:3000'\nhealth = true");
    let health = built.snapshot.clusters[0].health.as_ref().unwrap();
    assert_eq!(health.probe_name, "http");
    assert_eq!((health.interval, health.timeout), (Duration::from_secs(5), Duration::from_secs(2)));
    assert_eq!((health.healthy_after, health.unhealthy_after), (2, 3));
}
