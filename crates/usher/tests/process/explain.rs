//! `usher explain`

use std::fs;

use tempfile::tempdir;

use crate::harness::run;

const CONFIG: &str = r#"
[[listener]]
name = "web"
bind = ":8080"
[[listener]]
name = "inside"
bind = "127.0.0.1:8081"
[[route]]
name = "api"
host = "example.com"
path = "/api/*"
cluster = "api"
rewrite = { strip_prefix = "/api" }
[[route]]
name = "writes"
host = "example.com"
path = "/api/*"
method = "POST"
to = "127.0.0.1:3001"
[[route]]
name = "local"
listener = "inside"
to = "by-name.invalid:3002"
[cluster.api]
endpoints = ["127.0.0.1:3000"]
"#;

#[test]
fn says_what_would_happen() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("usher.toml"), CONFIG).unwrap();
    let cases = [
        (
            &["GET", "http://example.com/api/users?x=1"][..],
            &["web", "api", "GET /users?x=1", "127.0.0.1:3000", "writes"][..],
        ),
        (&["POST", "/api/x", "-H", "host: example.com"], &["writes", "127.0.0.1:3001"]),
        (&["GET", "http://other.example:8081/"], &["inside", "local", "by-name.invalid:3002"]),
        (&["GET", "http://other.example/", "--listener", "inside"], &["local"]),
        (&["GET", "http://other.example/"], &["404"]),
        (&["GET", "/%00", "-H", "host: example.com"], &["400"]),
    ];
    for (arguments, parts) in cases {
        let done = run(dir.path(), &[&["explain"], arguments].concat());
        assert_eq!((done.code, done.err.as_str()), (Some(0), "config: usher.toml\n"), "{done:?}");
        for part in parts {
            assert!(done.out.contains(part), "{part} is missing for {arguments:?}:\n{}", done.out);
        }
    }
}

#[test]
fn answers_in_json() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("usher.toml"), CONFIG).unwrap();
    let done =
        run(dir.path(), &["explain", "GET", "http://example.com/api/a", "--json", "--client", "192.0.2.1"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let answer: serde_json::Value = serde_json::from_str(&done.out).expect("is JSON");
    assert_eq!(answer["route"]["name"], "api", "{answer:#}");
    assert!(answer.to_string().contains("192.0.2.1"), "{answer:#}");
}

#[test]
fn refuses_what_cannot_be_asked() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("usher.toml"), CONFIG).unwrap();
    let cases = [
        (&["explain", "GET", "/", "--listener", "nope"][..], "there is no listener `nope`"),
        (&["explain", "GET", "http:///"], "no host"),
        (&["explain", "GET", "/", "--config", "nope.toml"], "no such file"),
    ];
    for (arguments, message) in cases {
        let done = run(dir.path(), arguments);
        assert_eq!(done.code, Some(1), "{done:?}");
        assert!(done.err.contains(message), "{done:?}");
    }
}
