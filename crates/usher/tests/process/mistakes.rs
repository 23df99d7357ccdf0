//! A config with mistakes: all are told at once, and nothing serves by it.

use std::fs;
use std::path::Path;

use tempfile::tempdir;
use usher_testkit::{Authority, Endpoint, Reply};

use crate::harness::{Done, reload, run, status, until, usher};

const GOOD: &str = "admin = \"off\"\naccess_log = \"off\"\n[[listener]]\nbind = \"$LISTEN\"\n\
    [[route]]\nto = \"$ENDPOINT\"\n";

fn check(dir: &Path, config: &str) -> Done {
    fs::write(dir.join("usher.toml"), config).unwrap();
    run(dir, &["check"])
}

/// The first line of each finding.
fn findings(done: &Done) -> Vec<&str> {
    let lines = done.err.lines();
    lines.filter(|line| line.starts_with("error: ") || line.starts_with("warning: ")).collect()
}

/// The file is emptied, as some editors do for a moment, or by mistake.
#[test]
fn an_emptied_config_takes_nothing_down() {
    let endpoint = Endpoint::start(|_| Reply::ok("hello")).unwrap();
    let mut usher = usher(GOOD).endpoint(&endpoint).start().unwrap();
    let address = usher.listen().unwrap();
    assert_eq!(status(address, "/"), 200);
    for config in ["", "include = \"sites/*.toml\"\n", "watch = true\n[[listener]]\nbind = \"127.0.0.1:0\"\n"]
    {
        let before = usher.output().matches("no routes: nothing would be served").count();
        reload(&mut usher, config);
        until("the refusal", || {
            usher.output().matches("no routes: nothing would be served").count() > before
        });
        assert_eq!(status(address, "/"), 200, "{config}");
    }
    let dir = tempdir().unwrap();
    for command in ["check", "run", "explain"] {
        fs::write(dir.path().join("usher.toml"), "").unwrap();
        let arguments = if command == "explain" { &[command, "GET", "/"][..] } else { &[command] };
        let done = run(dir.path(), arguments);
        assert_eq!(done.code, Some(1), "{done:?}");
        assert!(done.err.contains("no routes: nothing would be served"), "{done:?}");
    }
    // Those of included files count.
    fs::create_dir(dir.path().join("sites")).unwrap();
    fs::write(dir.path().join("sites/a.toml"), "[[route]]\nto = \"127.0.0.1:1\"\n").unwrap();
    let done = check(dir.path(), "include = \"sites/*.toml\"\n[[listener]]\nbind = \"127.0.0.1:1\"\n");
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{done:?}");
}

#[test]
fn the_port_that_nobody_named_is_told() {
    let dir = tempdir().unwrap();
    let done = check(dir.path(), "[[route]]\nto = \"127.0.0.1:1\"\n");
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.err.contains("no `[[listener]]` is given, so there is `:80`, on all addresses"), "{done:?}");
}

/// What loading finds (an unknown key, a wrong value), what building finds (files, variables, balancers), and what the
/// access log finds.
#[test]
fn mistakes_of_all_kinds_come_at_once() {
    let dir = tempdir().unwrap();
    let done = check(
        dir.path(),
        "workers = 0\naccess_log = { format = \"a {nothing.such}\" }\n\
         [[route]]\nhots = \"x\"\nto = \"127.0.0.1:1\"\nerror_pages = { 404 = \"nope.html\" }\n\
         [[route]]\npath = \"/a/*\"\nto = \"127.0.0.1:1\"\nbasic_auth = { file = \"nobody.htpasswd\" }\n\
         [[route]]\npath = \"/b/*\"\nrespond = { file = \"page.html\" }\n\
         [[route]]\npath = \"/d/*\"\ncluster = \"c\"\n\
         [cluster.c]\nendpoints = \"127.0.0.1:1\"\nbalance = \"roundrobin\"\n",
    );
    assert_eq!(done.code, Some(1), "{done:?}");
    let parts = [
        "`0` is out of range",
        "{nothing.such}",
        "unknown key `hots`",
        "nope.html",
        "nobody.htpasswd",
        "page.html",
        "`roundrobin`",
    ];
    for part in parts {
        assert!(findings(&done).iter().any(|line| line.contains(part)), "{part} is missing:\n{}", done.err);
    }
    assert_eq!(findings(&done).len(), parts.len(), "{}", done.err);
    // The variable alone is marked.
    assert!(done.err.contains("                         ^^^^^^^^^^^^^^\n"), "{}", done.err);
}

/// What is only wrong because of a mistake that is told already is not told.
#[test]
fn a_mistake_has_no_echoes() {
    let dir = tempdir().unwrap();
    let endpoints = "[cluster.a]\nendpoints = \"127.0.0.1:1\"\n";
    let cases = [
        // A target that cannot be read, or whose name is misspelt, is still one.
        ("[[route]]\ncluster = 5\n", vec!["expected a text"]),
        ("[[route]]\nclutser = \"a\"\n", vec!["unknown key `clutser`"]),
        ("[[route]]\nto = \"${NO_SUCH_VARIABLE}\"\n", vec!["`NO_SUCH_VARIABLE` is not set"]),
        ("[[route]]\nsplit = { between = [{ cluster = \"a\" }] }\n", vec!["the target has no `weight`"]),
        ("[defaults]\nredirct = \"/x\"\n[[route]]\n", vec!["unknown key `redirct`"]),
        ("[bundle.b]\nredirct = \"/x\"\n[[route]]\nuse = \"b\"\n", vec!["unknown key `redirct`"]),
        // A cluster with a mistake exists.
        ("[[route]]\ncluster = \"b\"\n[cluster.b]\n", vec!["`endpoints` is required"]),
        ("[[route]]\ncluster = \"b\"\n[cluster.b]\nendpoints = [5]\n", vec!["`5` is not the address"]),
        // A route that lost its condition does not take others' requests.
        (
            "[[route]]\nhost = 5\nto = \"127.0.0.1:1\"\n[[route]]\nto = \"127.0.0.1:2\"\n",
            vec!["expected a text"],
        ),
        // A file is not looked for under a name with a variable that is not set.
        (
            "[[route]]\nto = \"127.0.0.1:1\"\nerror_pages = { 404 = \"${NO_SUCH_DIR}/x\" }\n",
            vec!["`NO_SUCH_DIR` is not set"],
        ),
        // A real one beside it is told.
        ("workers = \"x\"\n[[route]]\npath = \"/x\"\n", vec!["whole number", "sends requests nowhere"]),
        ("[[rout]]\nto = \"127.0.0.1:1\"\n", vec!["unknown key `rout`"]),
    ];
    for (config, expected) in cases {
        let done = check(dir.path(), &format!("{config}{endpoints}"));
        let found = findings(&done);
        let fits = found.len() == expected.len() && found.iter().zip(&expected).all(|(a, b)| a.contains(b));
        assert!(fits, "{config}\nexpected {expected:?}\n{}", done.err);
    }
}

/// Those of every kind, one after another: none of them becomes what serves.
#[test]
fn nothing_serves_by_a_config_with_mistakes() {
    let endpoint = Endpoint::start(|_| Reply::ok("hello")).unwrap();
    let mut usher = usher(GOOD).endpoint(&endpoint).start().unwrap();
    let address = usher.listen().unwrap();
    let moved = GOOD.replace("to =", "path = \"/moved\"\nto =");
    for mistake in ["hots = \"x\"\n", "limits = 5\n", "[[listener]]\nbind = 80\n", "[nonsense]\n"] {
        reload(&mut usher, &format!("{moved}{mistake}"));
        assert_eq!(status(address, "/"), 200, "{mistake}");
    }
    reload(&mut usher, &moved);
    assert_eq!((status(address, "/"), status(address, "/moved")), (404, 200));
}

/// What people bring along from nginx.
#[test]
fn habits_of_other_servers_are_noticed() {
    let dir = tempdir().unwrap();
    let slash = "matches this one path only";
    let cases = [
        ("path = \"/\"", vec![slash, "write `/*`"]),
        ("path = \"/api/\"", vec![slash, "write `/api/*`"]),
        ("host = \"a.x\"\npath = \"/api/\"", vec![slash]),
        ("path = \"/\"\nto = \"127.0.0.1:1\"\n[[route]]\npath = \"/*\"", vec![]),
        ("path = \"/a/\"\nto = \"127.0.0.1:1\"\n[[route]]\npath = \"/a/{b}\"", vec![]),
        ("path = \"/a/\"\nto = \"127.0.0.1:1\"\n[[route]]\npath = \"~/a/.*\"", vec![]),
        ("path = \"/a/b/\"\nto = \"127.0.0.1:1\"\n[[route]]\npath = \"/a/*\"", vec![]),
        ("host = \"a.x\"\npath = \"/\"\nto = \"127.0.0.1:1\"\n[[route]]\nhost = \"*.x\"", vec![]),
        ("host = \"a.x\"\npath = \"/\"\nto = \"127.0.0.1:1\"\n[[route]]\nhost = \"b.x\"", vec![slash]),
        ("path = [\"/\", \"/index.html\"]", vec![]),
        ("path = \"/\"\nmethod = \"POST\"", vec![]),
        ("path = '~\\.php$'", vec!["`~\\.php$` matches no path", "write `~.*\\.php`"]),
        ("path = '~^api/.*'", vec!["matches no path", "write `~/api/.*`"]),
        ("path = '~.*\\.php$'", vec![]),
        ("path = '~\\.?x|/y'", vec![]),
        ("host = \"_\"", vec!["no client asks for the host `_`", "leave out `host`"]),
        (
            "headers = { request = { set = { X-A = \"$remote_addr\", X-B = \"a $http_user_agent\" } } }",
            vec![
                "`$remote_addr` is plain text here",
                "write `{client.ip}`",
                "write `{request.header.user-agent}`",
            ],
        ),
        ("respond = \"costs $5, 100 $hosts\"", vec![]),
    ];
    for (route, expected) in cases {
        let to = if route.contains("respond") { "" } else { "to = \"127.0.0.1:1\"\n" };
        let done = check(dir.path(), &format!("[[listener]]\nbind = \":1\"\n[[route]]\n{route}\n{to}"));
        assert_eq!(done.code, Some(0), "{route}: {done:?}");
        for part in &expected {
            assert!(done.err.contains(part), "{route}: {part} is missing:\n{}", done.err);
        }
        assert_eq!(expected.is_empty(), done.err.is_empty(), "{route}:\n{}", done.err);
    }
    let cases = [
        ("host = \"http://a.x\"\nto = \"127.0.0.1:1\"", "leave out `http://`"),
        ("respond = '{\"ok\":true}'", "= help: for a literal brace write `{{`; known are"),
        ("to = \"127.0.0.1:1\"\nrate_limit = { rate = \"10r/s\" }", "write `10/s`"),
    ];
    for (route, part) in cases {
        let done = check(dir.path(), &format!("[[route]]\n{route}\n"));
        assert_eq!(done.code, Some(1), "{route}: {done:?}");
        assert!(done.err.contains(part), "{route}: {part} is missing:\n{}", done.err);
    }
}

/// Certificates that clients refuse, that nobody shows, and hosts that have none.
#[test]
fn what_nobody_can_reach_over_tls_is_told() {
    let (dir, authority) = (tempdir().unwrap(), Authority::new("tests").unwrap());
    let leaf = authority.server(&["a.test", "*.a.test"]).unwrap();
    fs::write(dir.path().join("a.pem"), &leaf.cert).unwrap();
    fs::write(dir.path().join("a.key"), &leaf.key).unwrap();
    fs::write(dir.path().join("ca.pem"), authority.pem()).unwrap();
    let certificate = "[[certificate]]\ncert = \"a.pem\"\nkey = \"a.key\"\n";
    let secure = "[[listener]]\nbind = \"127.0.0.1:1\"\n";
    let to = "to = \"127.0.0.1:2\"\n";
    let off = "automatic_https = false\n";
    let cases = [
        (format!("{off}{secure}tls = true\n[[route]]\n{to}"), vec!["there is no certificate"]),
        (format!("{secure}tls = true\n[[route]]\nhost = \"~.*\"\n{to}"), vec!["there is no certificate"]),
        (
            format!("{secure}tls = true\n[[route]]\nhost = \"*.b.org\"\n{to}"),
            vec!["no certificate can be obtained"],
        ),
        (
            format!(
                "{off}{secure}tls = true\n{certificate}[[route]]\nhost = [\"x.a.test\", \"b.test\"]\n{to}"
            ),
            vec!["no certificate is for `b.test`"],
        ),
        (
            format!(
                "{off}{secure}tls = true\n{certificate}default = true\n[[route]]\nhost = \"b.test\"\n{to}"
            ),
            vec![],
        ),
        (
            format!("{secure}{certificate}[[route]]\nhost = \"a.test\"\n{to}"),
            vec!["no listener shows this certificate"],
        ),
        (
            format!("{secure}tls = true\n{certificate}[[route]]\nclient_certificate = true\n{to}"),
            vec!["no listener of this route asks clients for a certificate"],
        ),
        (
            format!("{secure}tls = true\n{certificate}[[route]]\nclient_certificate = \"optional\"\n{to}"),
            vec![],
        ),
        (
            format!(
                "{secure}tls = {{ client_certificate = \"ca.pem\" }}\n{certificate}[[route]]\nclient_certificate = true\n{to}"
            ),
            vec![],
        ),
    ];
    for (config, expected) in cases {
        let done = check(dir.path(), &config);
        let found = findings(&done);
        let fits = found.len() == expected.len() && found.iter().zip(&expected).all(|(a, b)| a.contains(b));
        assert!(fits && done.code == Some(0), "{config}\nexpected {expected:?}\n{}", done.err);
        assert_eq!(done.err.matches(" --> usher.toml:").count(), expected.len(), "{}", done.err);
    }
    let alone = format!(
        "[automatic_https]\nchallenges = \"dns-01\"\n{secure}tls = true\n[[route]]\nhost = \"a.org\"\n{to}"
    );
    let done = check(dir.path(), &alone);
    assert!(done.code == Some(1) && done.err.contains("who writes the records of `dns-01`"), "{done:?}");
}

/// A broken certificate does not hide what else is wrong.
#[test]
fn mistakes_in_certificates_come_with_the_others() {
    let done = check(
        tempdir().unwrap().path(),
        "[[listener]]\nbind = \"127.0.0.1:1\"\ntls = true\n[[certificate]]\ncert = \"nope.pem\"\nkey = \"nope.key\"\n\
         [[route]]\nhost = \"a b\"\nto = \"127.0.0.1:2\"\n",
    );
    for part in ["cannot read `nope.pem`", "`a b` is not a pattern", "2 errors"] {
        assert!(done.err.contains(part), "{part} is missing:\n{}", done.err);
    }
}
