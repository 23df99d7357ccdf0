//! Endpoints that come and go under load: by a file, by the admin listener; and what an upgrade keeps of it.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use usher_testkit::{Client, Endpoint, Reply, Response, Usher};

use crate::harness::{PATIENCE, reload, run, until, usher};
use crate::upgrade::Line;

const CONFIG: &str = r#"
admin = "$ADMIN"
workers = 2
access_log = "off"
[[listener]]
bind = "$LISTEN"
[[route]]
cluster = "app"
[[route]]
path = "/v2"
cluster = "app"
subset = { version = "2" }
[cluster.app]
"#;

fn named(name: &'static str) -> Endpoint {
    Endpoint::start(move |_| Reply::ok(name)).unwrap()
}

/// Who answers, over new connections, so that all workers are asked.
fn asked(address: SocketAddr) -> BTreeSet<String> {
    let ask = || Client::connect(address).unwrap().get("/").unwrap();
    let told = |response: Response| match response.status {
        200 => response.text(),
        status => status.to_string(),
    };
    (0..24).map(|_| told(ask())).collect()
}

fn becomes(address: SocketAddr, names: &[&str]) {
    let names: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
    until(&format!("{names:?}"), || asked(address) == names);
}

/// Asks on kept and on new connections while something is done; every answer is 200.
fn under_load(address: SocketAddr, work: impl FnOnce(&AtomicU64)) {
    let (stop, served) = (AtomicBool::new(false), AtomicU64::new(0));
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let ask = || {
        while !stop.load(Ordering::Relaxed) {
            let mut client = Client::connect(address).unwrap();
            for _ in 0..10 {
                let response = client.get("/").unwrap();
                assert_eq!(response.status, 200, "{}", response.text());
                served.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        let threads = [scope.spawn(ask), scope.spawn(ask)];
        work(&served);
        drop(_stop);
        threads.into_iter().for_each(|thread| thread.join().expect("no answer but 200"));
    });
}

/// Some more requests than until now.
fn go_on(served: &AtomicU64) {
    let before = served.load(Ordering::Relaxed);
    until("more requests", || served.load(Ordering::Relaxed) > before + 30);
}

/// Sends a document; the status, the version afterwards, and what is said.
fn send(usher: &Usher, method: &str, version: Option<&str>, body: &str) -> (u16, String, String) {
    let mut client = Client::connect(usher.admin().unwrap()).unwrap();
    let mut fields = vec![("Host", "localhost"), ("X-Usher-Admin", "1")];
    fields.extend(version.map(|version| ("If-Match", version)));
    let response = client.request(method, "/clusters/app/endpoints", &fields, body.as_bytes()).unwrap();
    let version = response.fields.get("etag").unwrap_or_default().to_owned();
    (response.status, version, response.text())
}

#[test]
fn a_file_is_followed_under_load() {
    let all = ["one", "two", "three"].map(named);
    let [one, two, three] = all.each_ref().map(|endpoint| endpoint.address().to_owned());
    let config = format!("{CONFIG}endpoints_file = \"app.toml\"\n");
    let list = |addresses: &[&String]| format!("endpoints = {addresses:?}\n");
    let mut usher = usher(&config).file("app.toml", list(&[&one])).start().unwrap();
    let address = usher.listen().unwrap();
    let file = usher.dir().join("app.toml");
    let put = |text: String| {
        fs::write(file.with_extension("new"), text).unwrap();
        fs::rename(file.with_extension("new"), &file).unwrap();
    };
    becomes(address, &["one"]);
    under_load(address, |served| {
        put(list(&[&one, &two]));
        becomes(address, &["one", "two"]);
        put(list(&[&three]));
        becomes(address, &["three"]);
        // Half of it, in place; then nonsense; then nothing at all.
        fs::write(&file, format!("endpoints = [\"{one}\",")).unwrap();
        usher.wait_for_output("going on with the 1 that it named before", PATIENCE).unwrap();
        usher.wait_for_output("app.toml:1:", PATIENCE).unwrap();
        go_on(served);
        fs::write(&file, "endpoints = [\"nowhere\"]").unwrap();
        usher.wait_for_output("add the port: `nowhere:80`", PATIENCE).unwrap();
        fs::remove_file(&file).unwrap();
        usher.wait_for_output("cannot read", PATIENCE).unwrap();
        go_on(served);
        assert_eq!(asked(address), ["three".to_owned()].into());
        put(format!("endpoints = [\"{two}\", {{ address = \"{one}\", labels = {{ version = \"2\" }} }}]"));
        becomes(address, &["one", "two"]);
    });
    // A part of the cluster has what has its labels.
    assert_eq!(usher.client().unwrap().get("/v2").unwrap().text(), "one");
    let metric = |name: &str| usher.metric(name).unwrap();
    assert_eq!(metric("usher_cluster_endpoints"), Some(3.0), "the cluster's, and its part's");
    assert_eq!(metric("usher_endpoints_file_failing"), Some(0.0));
    assert!(metric("usher_endpoints_file_failures_total") >= Some(3.0));
    let output = usher.output();
    assert!(
        output.contains("cluster app: 2 endpoints (+") && output.contains("as its file has changed"),
        "{output}"
    );
    assert!(!output.contains(" reloaded "), "{output}");
}

/// Nobody tells of it: it is looked for now and then.
#[test]
fn a_folder_that_comes_later_or_is_replaced_is_found() {
    let all = ["one", "two"].map(named);
    let [one, two] = all.each_ref().map(|endpoint| endpoint.address().to_owned());
    let config = format!("{CONFIG}endpoints_file = \"lists/now/app.toml\"\n");
    let mut usher = usher(&config).start().unwrap();
    let address = usher.listen().unwrap();
    let lists = usher.dir().join("lists");
    let put = |folder: &str, addresses: &[&String]| {
        fs::create_dir_all(lists.join(folder)).unwrap();
        fs::write(lists.join(folder).join("app.toml"), format!("endpoints = {addresses:?}\n")).unwrap();
    };
    usher.wait_for_output("cannot read", PATIENCE).unwrap();
    assert_eq!(asked(address), ["503".to_owned()].into());
    put("now", &[&one]);
    becomes(address, &["one"]);
    put("next", &[&two]);
    fs::rename(lists.join("now"), lists.join("before")).unwrap();
    fs::rename(lists.join("next"), lists.join("now")).unwrap();
    becomes(address, &["two"]);
}

#[test]
fn a_set_is_changed_at_once_under_load() {
    let all = ["one", "two", "three"].map(named);
    let [one, two, three] = all.each_ref().map(|endpoint| endpoint.address().to_owned());
    let config = format!("{CONFIG}endpoints = [{{ address = \"{one}\", labels = {{ version = \"2\" }} }}]\n");
    let mut usher = usher(&config).start().unwrap();
    let address = usher.listen().unwrap();
    let (status, first, shown) = send(&usher, "GET", None, "");
    assert!(status == 200 && shown.contains("\"source\":\"config\""), "{shown}");
    under_load(address, |served| {
        // Never without an endpoint: one goes as another comes.
        let swap = |from: &str, to: &str| {
            let body = format!("{{\"add\": [\"{to}\"], \"remove\": [\"{from}\"]}}");
            let (status, _, text) = send(&usher, "PATCH", None, &body);
            assert_eq!(status, 200, "{text}");
        };
        for _ in 0..20 {
            swap(&one, &two);
            swap(&two, &three);
            swap(&three, &one);
        }
        go_on(served);
        for _ in 0..10 {
            let body =
                format!("{{\"add\": [\"{two}\"], \"set\": {{\"{one}\": {{\"state\": \"disable\"}}}}}}");
            assert_eq!(send(&usher, "PATCH", None, &body).0, 200);
            becomes(address, &["two"]);
            let body =
                format!("{{\"remove\": [\"{two}\"], \"set\": {{\"{one}\": {{\"state\": \"ready\"}}}}}}");
            assert_eq!(send(&usher, "PATCH", None, &body).0, 200);
            becomes(address, &["one"]);
        }
        // What is wrong is refused whole, with all that is wrong.
        let body = format!("{{\"add\": [\"{two}\", \"nowhere\"], \"remove\": [\"nobody\", \"{one}\"]}}");
        let (status, _, text) = send(&usher, "PATCH", None, &body);
        assert!(status == 422 && text.contains("\"pointer\":\"/add/1\""), "{status} {text}");
        assert!(!text.contains("/add/0"), "{text}");
        let wrong = format!("{{\"add\": [\"{two}\"], \"remove\": [\"nobody\", \"{one}\"]}}");
        let (status, _, text) = send(&usher, "PATCH", None, &wrong);
        assert!(status == 422 && text.contains("\"pointer\":\"/remove/0\""), "{status} {text}");
        go_on(served);
        assert_eq!(asked(address), ["one".to_owned()].into());
        // Whoever saw an older state does not overwrite a newer one.
        let body = format!("{{\"endpoints\": [\"{two}\", \"{three}\"]}}");
        let (status, now, _) = send(&usher, "PUT", Some(&first), &body);
        assert!(status == 412 && now != first, "{status} {now}");
        let (status, next, _) = send(&usher, "PUT", Some(&now), &body);
        assert!(status == 200 && next != now, "{status} {next}");
        becomes(address, &["two", "three"]);
    });
    // Of the version 2 nobody is left.
    assert_eq!(usher.client().unwrap().get("/v2").unwrap().status, 503);
    reload(&mut usher, &config);
    assert_eq!(asked(address), ["two".to_owned(), "three".to_owned()].into(), "a reload keeps it");
    let missing = Client::connect(usher.admin().unwrap()).unwrap().request(
        "PUT",
        "/clusters/other/endpoints",
        &[("Host", "localhost"), ("X-Usher-Admin", "1")],
        b"{}",
    );
    assert_eq!(missing.unwrap().status, 404);
}

#[test]
fn an_upgrade_keeps_what_was_done_by_hand() {
    let all = ["one", "two", "three"].map(named);
    let [one, two, three] = all.each_ref().map(|endpoint| endpoint.address().to_owned());
    let config = format!(
        "{CONFIG}endpoints = [\"{one}\", {{ address = \"{two}\", labels = {{ version = \"2\" }} }}]\n"
    );
    let line = Line::start(usher(&config));
    let dir = line.dir();
    let admin = line.admin();
    let endpoints = |more: &[&str]| {
        let done = run(&dir, &[&["endpoints"], more, &["--admin", &admin]].concat());
        assert_eq!(done.code, Some(0), "{done:?}");
        done.out
    };
    endpoints(&["set", "app", &one, "--state", "drain", "--weight", "7"]);
    endpoints(&["remove", "app", &two]);
    let said = endpoints(&["add", "app", &three, "--weight", "3", "--label", "version=2"]);
    assert!(said.contains(&format!("+{three}")), "{said}");
    let before = endpoints(&[]);
    assert!(before.contains("added by hand") && before.contains("removed by hand"), "{before}");
    let pid = line.pid();
    let done = line.upgrade();
    assert_eq!(done.code, Some(0), "{done:?}");
    line.has_ended(pid);
    assert_eq!(endpoints(&[]), before);
    assert_eq!(asked(line.listen()), ["three".to_owned()].into());
    // All can be taken back.
    endpoints(&["set", "app", &one, "--state", "ready", "--weight", "config"]);
    endpoints(&["remove", "app", &three]);
    endpoints(&["add", "app", &two]);
    becomes(line.listen(), &["one", "two"]);
    let refused = run(&dir, &["endpoints", "add", "app", "nowhere", "--admin", &admin]);
    assert!(refused.code == Some(1) && refused.err.contains("add the port: `nowhere:80`"), "{refused:?}");
}
