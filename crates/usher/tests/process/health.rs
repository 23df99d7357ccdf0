//! Probes of endpoints: who is not well gets no requests, whatever asks.

use std::fs;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use usher_testkit::{Authority, Endpoint, Port, Reply, Usher};

use crate::harness::{PATIENCE, reload, run, status, until, usher};
use crate::upgrade::Line;

/// An endpoint whose state can be set; it says its name to everybody but probes.
struct Patient {
    endpoint: Endpoint,
    status: Arc<AtomicU16>,
}

impl Patient {
    fn start(name: &'static str) -> Self {
        let status = Arc::new(AtomicU16::new(200));
        let told = status.clone();
        let endpoint = Endpoint::start(move |request| match request.target.as_str() {
            "/healthz" => Reply::status(told.load(Ordering::SeqCst), "state"),
            _ => Reply::ok(name),
        });
        Self { endpoint: endpoint.unwrap(), status }
    }

    fn set(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    fn address(&self) -> &str {
        self.endpoint.address()
    }

    fn probes(&self) -> usize {
        let requests = self.endpoint.requests();
        requests.iter().filter(|request| request.target.as_str() == "/healthz").count()
    }
}

fn config(endpoints: &[&str], health: &str) -> String {
    let endpoints: Vec<String> = endpoints.iter().map(|one| format!("\"{one}\"")).collect();
    format!(
        "workers = 2\nadmin = \"$ADMIN\"\naccess_log = \"off\"\n[[listener]]\nbind = \"$LISTEN\"\n\
         [[route]]\ncluster = \"app\"\n[cluster.app]\nendpoints = [{}]\n{health}\n",
        endpoints.join(", ")
    )
}

const FAST: &str = "health = { path = \"/healthz\", interval = \"20ms\", unhealthy_after = 2 }";

/// Who answers, of so many requests on as many connections.
fn answers(usher: &Usher) -> Vec<String> {
    let mut names: Vec<String> = (0..20).map(|_| usher.client().unwrap().get("/").unwrap().text()).collect();
    names.sort();
    names.dedup();
    names
}

/// A metric of an endpoint of the cluster `app`.
fn metric(usher: &Usher, name: &str, address: &str) -> Option<f64> {
    let labels = format!("cluster=\"app\",endpoint=\"{address}\",address=\"{address}\"");
    usher.metric(&format!("{name}{{{labels}}}")).unwrap()
}

/// Waits for the first answer of an endpoint, which counts at once: what comes later is counted in a row.
fn probed(usher: &Usher, address: &str) {
    let probes = || metric(usher, "usher_endpoint_probes_total", address);
    until("the first probe", || probes().is_some_and(|probes| probes >= 1.0));
}

#[test]
fn one_that_answers_500_gets_no_requests_until_it_recovers() {
    let (one, two) = (Patient::start("one"), Patient::start("two"));
    let config = config(&[one.address(), two.address()], FAST);
    let mut usher = usher(&config).start().unwrap();
    assert_eq!(answers(&usher), ["one", "two"]);
    probed(&usher, two.address());

    two.set(500);
    usher.wait_for_output("is unhealthy: status 500 (2 in a row)", PATIENCE).unwrap();
    assert_eq!(answers(&usher), ["one"]);
    assert_eq!(metric(&usher, "usher_endpoint_healthy", one.address()), Some(1.0));
    assert_eq!(metric(&usher, "usher_endpoint_healthy", two.address()), Some(0.0));
    assert!(metric(&usher, "usher_endpoint_probe_failures_total", two.address()).unwrap() >= 2.0);

    // Nothing is said of further failures.
    let probes = two.probes();
    until("more probes", || two.probes() > probes + 3);
    assert_eq!(usher.output().matches("unhealthy").count(), 1, "{}", usher.output());

    two.set(204);
    usher.wait_for_output("is healthy again (2 in a row)", PATIENCE).unwrap();
    until("requests to go there again", || answers(&usher) == ["one", "two"]);
    let line = format!("endpoint {} of cluster app is unhealthy", two.address());
    assert!(usher.output().contains(&line), "{}", usher.output());
}

#[test]
fn a_dead_endpoint_is_found_at_the_first_probe() {
    let (one, dead) = (Patient::start("one"), Port::reserve().unwrap());
    let dead = dead.address();
    // The next probe after the first would be a day later.
    let health = "health = { path = \"/healthz\", interval = \"1d\" }";
    let mut usher = usher(&config(&[&dead.to_string(), one.address()], health)).start().unwrap();
    let said = format!("endpoint {dead} of cluster app is unhealthy: connection refused (the first answer)");
    usher.wait_for_output(&said, PATIENCE).unwrap();
    assert_eq!(answers(&usher), ["one"]);
    assert_eq!(usher.metric("usher_upstream_errors_total{kind=\"connect_failed\"}").unwrap(), Some(0.0));
}

#[test]
fn tcp_asks_whether_somebody_listens() {
    let (one, two) = (Patient::start("one"), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = two.local_addr().unwrap();
    let health = "health = { probe = \"tcp\", interval = \"20ms\", unhealthy_after = 1, healthy_after = 1 }";
    let mut usher = usher(&config(&[one.address(), &address.to_string()], health)).start().unwrap();
    until("two to be asked", || two.accept().is_ok());
    drop(two);
    usher.wait_for_output("is unhealthy: connection refused", PATIENCE).unwrap();
    assert_eq!(answers(&usher), ["one"]);
    let _back = TcpListener::bind(address).unwrap();
    usher.wait_for_output("is healthy again (1 in a row)", PATIENCE).unwrap();
}

#[test]
fn exec_runs_a_program_that_knows_whom_to_ask() {
    let (one, two) = (Patient::start("one"), Patient::start("two"));
    let dir = tempfile::tempdir().unwrap();
    let sick = dir.path().join("sick");
    let script =
        format!("! grep -q $USHER_ENDPOINT {} || {{ echo it is sick >&2; exit 1; }}", sick.display());
    let health = format!(
        "health = {{ probe = \"exec\", command = [\"/bin/sh\", \"-c\", '''{script}'''], interval = \"20ms\", \
         unhealthy_after = 1, healthy_after = 1 }}"
    );
    fs::write(&sick, "").unwrap();
    let mut usher = usher(&config(&[one.address(), two.address()], &health)).start().unwrap();
    assert_eq!(answers(&usher), ["one", "two"]);
    probed(&usher, two.address());
    fs::write(&sick, two.address()).unwrap();
    usher
        .wait_for_output("is unhealthy: `/bin/sh` ended with status 1: it is sick (1 in a row)", PATIENCE)
        .unwrap();
    assert_eq!(answers(&usher), ["one"]);
    fs::write(&sick, "").unwrap();
    usher.wait_for_output("is healthy again", PATIENCE).unwrap();
    until("requests to go there again", || answers(&usher) == ["one", "two"]);
}

#[test]
fn a_reload_keeps_who_is_out_and_follows_what_changes() {
    let (one, two, three) = (Patient::start("one"), Patient::start("two"), Patient::start("three"));
    two.set(500);
    let pair = [one.address(), two.address()];
    let mut usher = usher(&config(&pair, FAST)).start().unwrap();
    usher.wait_for_output("is unhealthy: status 500", PATIENCE).unwrap();

    // The same settings: nobody asks anew, nobody is let in meanwhile.
    reload(&mut usher, &format!("{}# the same\n", config(&pair, FAST)));
    assert_eq!(answers(&usher), ["one"]);
    // One more endpoint.
    reload(&mut usher, &config(&[one.address(), two.address(), three.address()], FAST));
    assert_eq!(answers(&usher), ["one", "three"]);
    until("the new one to be asked", || three.probes() > 0);
    assert_eq!(usher.output().matches("unhealthy").count(), 1, "{}", usher.output());

    // Other settings: who is out stays out until it has answered, and then the first answer counts.
    let all = FAST.replace("}", ", status = [200, 500] }");
    reload(&mut usher, &config(&pair, &all));
    usher.wait_for_output("is healthy again (the first answer)", PATIENCE).unwrap();
    until("requests to go there again", || answers(&usher) == ["one", "two"]);
    let probes = three.probes();

    // Out again; then nobody is asked any more, and all are let in.
    reload(&mut usher, &config(&pair, FAST));
    until("it to be out again", || answers(&usher) == ["one"]);
    reload(&mut usher, &config(&pair, ""));
    until("all to be let in", || answers(&usher) == ["one", "two"]);
    assert_eq!(three.probes(), probes, "one that is gone is asked no more");
    assert_eq!(metric(&usher, "usher_endpoint_healthy", two.address()), None);
}

#[test]
fn an_upgrade_keeps_who_is_out() {
    let (one, two) = (Patient::start("one"), Patient::start("two"));
    // The first address is asked at once, the other one half a day later: what was known must do until then.
    let (well, sick, name) =
        if one.address() < two.address() { (&one, &two, "one") } else { (&two, &one, "two") };
    let pair = [one.address(), two.address()];
    let mut line = Line::start(usher(&config(&pair, FAST)));
    assert_eq!(answers(&line.usher), ["one", "two"]);
    sick.set(500);
    line.usher.wait_for_output("is unhealthy: status 500", PATIENCE).unwrap();
    assert_eq!(answers(&line.usher), [name]);

    let (pid, probes) = (line.pid(), well.probes());
    let later = FAST.replace("20ms", "1d");
    line.usher.write_config(&config(&pair, &later)).unwrap();
    assert_eq!(line.upgrade().code, Some(0));
    line.has_ended(pid);
    until("the first probe", || well.probes() > probes);
    assert_eq!(answers(&line.usher), [name]);
    assert_eq!(metric(&line.usher, "usher_endpoint_healthy", sick.address()), Some(0.0));

    // Once more, to a process that asks often: the first answer lets it in.
    sick.set(200);
    let pid = line.pid();
    line.usher.write_config(&config(&pair, FAST)).unwrap();
    assert_eq!(line.upgrade().code, Some(0));
    line.has_ended(pid);
    line.usher.wait_for_output("is healthy again (the first answer)", PATIENCE).unwrap();
    until("requests to go there again", || answers(&line.usher) == ["one", "two"]);
}

#[test]
fn an_upgrade_keeps_who_is_left_out() {
    let (good, bad) = (Endpoint::start(|_| Reply::ok("good")).unwrap(), Arc::new(AtomicU16::new(500)));
    let status = bad.clone();
    let endpoint = Endpoint::start(move |_| Reply::status(status.load(Ordering::SeqCst), "bad")).unwrap();
    let outliers = "outliers = { failures = 1, ejection = \"1h\", max_ejection = \"1h\" }";
    let config = config(&[good.address(), endpoint.address()], outliers);
    let mut line = Line::start(usher(&config));
    let left_out = format!("endpoint {} of cluster app is left out for 3600s", endpoint.address());
    until("it to be left out", || {
        answers(&line.usher);
        line.output().contains(&left_out)
    });
    bad.store(200, Ordering::SeqCst);
    until("nobody to get there", || answers(&line.usher) == ["good"]);
    let pid = line.pid();
    line.usher.write_config(&config).unwrap();
    assert_eq!(line.upgrade().code, Some(0));
    line.has_ended(pid);
    assert_eq!(answers(&line.usher), ["good"]);

    // Where nobody is left out any more, nobody stays so.
    let pid = line.pid();
    line.usher.write_config(&config.replace(outliers, "")).unwrap();
    assert_eq!(line.upgrade().code, Some(0));
    line.has_ended(pid);
    until("requests to go there again", || answers(&line.usher) == ["bad", "good"]);
}

#[test]
fn probes_ask_on_another_port_with_another_host() {
    let (one, monitor) = (Patient::start("one"), Patient::start("monitor"));
    let port = monitor.endpoint.socket_addr().unwrap().port();
    for (more, host) in
        [("", format!("127.0.0.1:{port}")), (", host = \"check.internal\"", "check.internal".to_owned())]
    {
        let health = format!("health = {{ path = \"/healthz\", interval = \"20ms\", port = {port}{more} }}");
        let usher = usher(&config(&[one.address()], &health)).start().unwrap();
        let before = monitor.probes();
        until("the monitor to be asked", || monitor.probes() > before);
        let asked = monitor.endpoint.requests();
        assert_eq!(asked.last().unwrap().fields.get("Host"), Some(host.as_str()));
        assert_eq!((one.probes(), answers(&usher)), (0, vec!["one".to_owned()]));
    }
}

/// Another Usher is the endpoint, so that each version of HTTP is there.
#[test]
fn probes_speak_as_the_cluster_does() {
    let authority = Authority::new("probes").unwrap();
    let leaf = authority.server(&["app.test"]).unwrap();
    let served = "workers = 1\naccess_log = \"seen.log\"\nautomatic_https = false\n\
        [[certificate]]\ncert = \"cert.pem\"\nkey = \"key.pem\"\ndefault = true\n\
        [[listener]]\nbind = \"$LISTEN\"\ntls = true\nprotocols = [\"h1\", \"h2\", \"h3\"]\n\
        [[route]]\npath = \"/healthz\"\nrespond = \"{request.version} well\"\n";
    let builder = usher(served).file("cert.pem", &leaf.cert).file("key.pem", &leaf.key);
    let endpoint = builder.start().unwrap();
    let address = endpoint.listen().unwrap();
    for (protocol, version) in
        [("h1", "HTTP/1.1"), ("h2", "HTTP/2.0"), ("auto", "HTTP/2.0"), ("h3", "HTTP/3.0")]
    {
        let health = format!(
            "protocol = \"{protocol}\"\ntls = {{ server_name = \"app.test\", ca = \"ca.pem\" }}\n\
             health = {{ path = \"/healthz\", body = \"{version} well\", interval = \"20ms\" }}"
        );
        let config = config(&[&address.to_string()], &health);
        let usher = usher(&config).file("ca.pem", authority.pem()).start().unwrap();
        let probes = || metric(&usher, "usher_endpoint_probes_total", &address.to_string()).unwrap_or(0.0);
        until("some probes", || probes() >= 3.0);
        assert!(!usher.output().contains("unhealthy"), "{protocol}: {}", usher.output());
    }
    // A certificate that does not do is a reason.
    let health = "tls = { server_name = \"other.test\", ca = \"ca.pem\" }\nhealth = {}";
    let builder = usher(&config(&[&address.to_string()], health)).file("ca.pem", authority.pem());
    let mut usher = builder.start().unwrap();
    usher.wait_for_output("(the endpoint shall be `other.test`)", PATIENCE).unwrap();
}

#[test]
fn one_that_says_nothing_is_given_up_in_time() {
    let silent = Arc::new(AtomicBool::new(true));
    let heard = silent.clone();
    let endpoint = Endpoint::start(move |request| match request.target.as_str() {
        "/healthz" if heard.load(Ordering::SeqCst) => Reply::never(),
        _ => Reply::ok("two"),
    })
    .unwrap();
    let one = Patient::start("one");
    let health = "health = { path = \"/healthz\", interval = \"20ms\", timeout = \"100ms\" }";
    let mut usher = usher(&config(&[one.address(), endpoint.address()], health)).start().unwrap();
    usher.wait_for_output("is unhealthy: no answer within 100ms", PATIENCE).unwrap();
    assert_eq!(answers(&usher), ["one"]);
    silent.store(false, Ordering::SeqCst);
    until("requests to go there again", || answers(&usher) == ["one", "two"]);
    assert_eq!(status(usher.listen().unwrap(), "/"), 200);
}

#[test]
fn mistakes_are_told_with_their_places() {
    let cases = [
        ("{ probe = \"htpp\" }", &["there is no probe `htpp`", "did you mean `http`?", "`grpc`"][..]),
        ("{ intervall = \"5s\" }", &["unknown key `intervall`", "did you mean `interval`?"]),
        ("{ paht = \"/x\" }", &["unknown key `paht`", "did you mean `path`?"]),
        (
            "{ probe = \"tcp\", path = \"/x\" }",
            &["unknown key `path`", "it is an option of the probe `http`, and this is `tcp`"],
        ),
        ("{ path = \"x\" }", &["`x` does not begin with `/`"]),
        ("{ probe = \"exec\" }", &["the key `command` is required"]),
        ("{ interval = 5 }", &["interval", "5s"]),
        ("{ healthy_after = 0 }", &["`0` is out of range"]),
        ("{ host = \"a b\" }", &["`a b` is not a host name"]),
        ("5", &["`true`", "a table"]),
    ];
    let dir = tempfile::tempdir().unwrap();
    for (health, parts) in cases {
        let config = format!(
            "[[route]]\ncluster = \"app\"\n[cluster.app]\nendpoints = \"127.0.0.1:1\"\nhealth = {health}\n"
        );
        fs::write(dir.path().join("usher.toml"), config).unwrap();
        let done = run(dir.path(), &["check"]);
        assert_eq!(done.code, Some(1), "{health}: {done:?}");
        for part in parts {
            assert!(done.err.contains(part), "{health}: `{part}` is missing:\n{}", done.err);
        }
        assert!(done.err.contains("usher.toml:5:"), "{health}: the place is missing:\n{}", done.err);
    }
}
