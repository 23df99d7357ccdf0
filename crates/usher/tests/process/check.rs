//! `usher check`: messages and exit codes.

use std::fs;

use tempfile::tempdir;

use crate::harness::{run, run_with_input};

const GOOD: &str = "[[route]]\nto = \"127.0.0.1:3000\"\n";
const BAD: &str =
    "[[route]]\nto = \"127.0.0.1:3000\"\nrewrit = { strip_prefix = \"/a\" }\n\n[[listener]]\nbind = 80\n";

#[test]
fn a_good_config_is_ok() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("usher.toml"), GOOD).unwrap();
    let done = run(dir.path(), &["check"]);
    assert_eq!(
        (done.code, done.out.as_str()),
        (Some(0), "usher.toml: ok, 1 listener, 1 route, 1 cluster\n"),
        "{done:?}"
    );
    fs::write(
        dir.path().join("site.yaml"),
        "route:\n  - to: 127.0.0.1:3000\n  - path: /a\n    to: 127.0.0.1:3001\n",
    )
    .unwrap();
    for arguments in [&["check", "--config", "site.yaml"][..], &["check", "site.yaml"]] {
        let done = run(dir.path(), arguments);
        assert_eq!(
            (done.code, done.out.as_str()),
            (Some(0), "site.yaml: ok, 1 listener, 2 routes, 2 clusters\n"),
            "{done:?}"
        );
    }
}

#[test]
fn without_a_config_nothing_is_served() {
    let dir = tempdir().unwrap();
    for arguments in [&["run"][..], &["check"], &["explain", "GET", "/"], &["reload"]] {
        let done = run(dir.path(), arguments);
        assert_eq!((done.code, done.out.as_str()), (Some(1), ""), "{arguments:?}: {done:?}");
        for part in ["`usher.toml`", "`/etc/usher/usher.toml`", "--config FILE", "usher init"] {
            assert!(done.err.contains(part), "{arguments:?}, {part} is missing: {done:?}");
        }
    }
}

#[test]
fn prints_what_several_files_amount_to() {
    let dir = tempdir().unwrap();
    let users = "basic_auth = { users = { ada = \"${NO_SUCH_HASH:-$2y$05$abcdefghijklmnopqrstuuYzM3bEHD1U1UBA3SHNNBTZZWbEZ9cQe}\" } }";
    let main = format!("include = \"d/*.toml\"\nworkers = \"${{NO_SUCH_NUMBER:-3}}\"\n[defaults]\n{users}\n");
    fs::create_dir(dir.path().join("d")).unwrap();
    fs::write(dir.path().join("usher.toml"), main).unwrap();
    fs::write(dir.path().join("d/a.toml"), GOOD).unwrap();
    let done = run(dir.path(), &["check", "--print"]);
    let expected = "workers = 3\n\n[[listener]]\nbind = \":80\"\n\n[[route]]\nto = \"127.0.0.1:3000\"\n\n\
        [defaults]\nbasic_auth = { users = { ada = \"***\" } }\n";
    assert_eq!((done.code, done.out.as_str()), (Some(0), expected), "{done:?}");
    assert!(done.err.contains("usher.toml: ok"), "{done:?}");
    let done = run(dir.path(), &["check", "--print=json", "usher.toml"]);
    let json: serde_json::Value = serde_json::from_str(&done.out).expect("is JSON");
    assert_eq!((&json["workers"], &json["include"]), (&3.into(), &serde_json::Value::Null), "{json:#}");
}

#[test]
fn all_errors_come_at_once() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("bad.toml"), BAD).unwrap();
    let done = run(dir.path(), &["check", "-c", "bad.toml"]);
    assert_eq!(done.code, Some(1));
    assert_eq!(done.out, "");
    for part in ["bad.toml:3:1", "did you mean `rewrite`?", "bad.toml:6:8", "2 errors"] {
        assert!(done.err.contains(part), "{part} is missing:\n{}", done.err);
    }
    assert!(!done.err.contains('\x1b'), "no colour into a pipe");
}

#[test]
fn errors_of_building_are_reported_too() {
    let dir = tempdir().unwrap();
    let bad = "access_log = { format = \"{nothing.such}\" }\n[[route]]\ncluster = \"a\"\n[cluster.a]\nendpoints = [\"127.0.0.1:1\"]\nbalance = \"least_request\"\n";
    fs::write(dir.path().join("usher.toml"), bad).unwrap();
    let done = run(dir.path(), &["check"]);
    assert_eq!(done.code, Some(1));
    for part in ["nothing.such", "did you mean `least_requests`?", "2 errors"] {
        assert!(done.err.contains(part), "{part} is missing:\n{}", done.err);
    }
}

#[test]
fn standard_input_is_read() {
    let dir = tempdir().unwrap();
    let json = "{\"route\": [{\"to\": \"127.0.0.1:3000\"}]}";
    let cases = [
        (&["check", "-c", "-"][..], GOOD, 0),
        (&["check", "-c", "-"], json, 0),
        (&["check", "-c", "-", "--format", "yaml"], "route:\n  to: 127.0.0.1:1\n", 1),
        (&["check", "-c", "-", "--format", "yaml"], "route:\n  - to: 127.0.0.1:1\n", 0),
        (&["check", "-c", "-"], BAD, 1),
    ];
    for (arguments, input, code) in cases {
        let done = run_with_input(dir.path(), arguments, input);
        assert_eq!(done.code, Some(code), "{input}\n{done:?}");
        let shown = if code == 0 { &done.out } else { &done.err };
        assert!(shown.contains("<stdin>"), "{shown}");
    }
}

#[test]
fn a_wrong_command_line_is_2_and_a_missing_file_1() {
    let dir = tempdir().unwrap();
    let cases = [
        (&["chek"][..], 2),
        (&["check", "--nope"], 2),
        (&["check", "--format", "ini"], 2),
        (&["proxy"], 2),
        (&["proxy", "--listen", "localhost:80", "--to", "3000"], 2),
        (&["explain", "GET"], 2),
        (&["check", "a.toml", "--config", "b.toml"], 2),
        (&["check", "--print=yaml"], 2),
        (&["check", "nope.toml"], 1),
        (&["run", "nope.toml"], 1),
        (&["check", "-c", "nope.toml"], 1),
        (&["run", "-c", "nope.toml"], 1),
        (&["reload", "--pid-file", "nope.pid"], 1),
        (&["reload", "--admin", "127.0.0.1:1"], 1),
        (&["--version"], 0),
        (&["help", "run"], 0),
    ];
    for (arguments, code) in cases {
        let done = run(dir.path(), arguments);
        assert_eq!(done.code, Some(code), "{arguments:?}: {done:?}");
        assert_eq!(done.out.is_empty(), code != 0, "{arguments:?}: {done:?}");
    }
}

#[test]
fn an_address_in_use_is_named() {
    let dir = tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config = format!("admin = \"off\"\n[[listener]]\nbind = \"{address}\"\n{GOOD}");
    fs::write(dir.path().join("usher.toml"), config).unwrap();
    let done = run(dir.path(), &["run"]);
    assert_eq!(done.code, Some(1));
    assert!(done.err.contains(&format!("cannot listen on `{address}`")), "{}", done.err);
    assert!(done.err.contains("in use"), "{}", done.err);
}
