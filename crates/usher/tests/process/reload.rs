//! SIGHUP, `usher reload`, SIGUSR1.

use std::fs::{self, File};
use std::io::Write;
use std::process::{Command, Stdio};

use tempfile::tempdir;
use usher_testkit::{Client, Endpoint, Port, Reply, Signal};

use crate::harness::{PATIENCE, binary, reload, run, status, until, usher};

const ONE: &str = "admin = \"$ADMIN\"\naccess_log = \"off\"\n\
    [[listener]]\nbind = \"$LISTEN\"\n[[route]]\nname = \"a\"\npath = \"/a\"\nto = \"$ENDPOINT\"\n";
const TWO: &str = "[[listener]]\nname = \"second\"\nbind = \"$LISTEN[second]\"\n\
    [[route]]\nname = \"b\"\npath = \"/b\"\nto = \"$ENDPOINT\"\n";

fn endpoint() -> Endpoint {
    Endpoint::start(|_| Reply::ok("hello")).unwrap()
}

fn metrics(admin: std::net::SocketAddr) -> String {
    let mut client = Client::connect(admin).unwrap();
    client.request("GET", "/metrics", &[("Host", "localhost")], b"").unwrap().text()
}

#[test]
fn a_reload_adds_and_removes_routes_and_listeners() {
    let endpoint = endpoint();
    let mut usher = usher(ONE).endpoint(&endpoint).start().unwrap();
    let mut kept = usher.client().unwrap();
    assert_eq!(kept.get("/a").unwrap().status, 200);
    assert_eq!(kept.get("/b").unwrap().status, 404);

    reload(&mut usher, &format!("{ONE}{TWO}"));
    assert_eq!(kept.get("/b").unwrap().status, 200, "an open connection follows");
    let second = usher.listener("second").unwrap();
    assert_eq!(status(second, "/b"), 200);
    usher.wait_for_output("2 listeners (+second), 2 routes (+b)", PATIENCE).unwrap();

    reload(&mut usher, ONE);
    assert_eq!(kept.get("/a").unwrap().status, 200);
    assert_eq!(kept.get("/b").unwrap().status, 404);
    until("the removed listener to refuse", || Client::connect(second).is_err());
    assert_eq!(status(usher.listen().unwrap(), "/a"), 200);
}

#[test]
fn a_bad_config_changes_nothing() {
    let endpoint = endpoint();
    let mut usher = usher(ONE).endpoint(&endpoint).start().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let unbindable = format!("{ONE}{TWO}[[listener]]\nbind = \"{}\"\n", taken.local_addr().unwrap());
    for (bad, reason) in [
        ("[[route", "error"),
        (&*format!("{ONE}\nroutes = 1\n"), "routes"),
        (&*format!("{ONE}balance = 1\n"), "balance"),
        (&*unbindable, "in use"),
    ] {
        reload(&mut usher, bad);
        usher.wait_for_output(reason, PATIENCE).unwrap();
        assert_eq!(status(usher.listen().unwrap(), "/a"), 200);
        assert_eq!(status(usher.listen().unwrap(), "/b"), 404);
    }
    let second = usher.listener("second").unwrap();
    assert!(Client::connect(second).is_err(), "what was bound for a refused config is closed");
    let metrics = metrics(usher.admin().unwrap());
    let failed =
        metrics.lines().find(|line| line.starts_with("usher_reloads_total") && line.contains("fail"));
    assert!(failed.is_some_and(|line| line.ends_with(" 4")), "{failed:?}");
}

#[test]
fn the_command_reloads_and_reports() {
    let endpoint = endpoint();
    let mut usher = usher(ONE).endpoint(&endpoint).start().unwrap();
    let admin = usher.admin().unwrap().to_string();

    usher.write_config(&format!("{ONE}{TWO}")).unwrap();
    let done = run(usher.dir(), &["reload", "--admin", &admin]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.out.contains("reloaded") && done.out.contains("(+b)"), "{done:?}");
    assert_eq!(status(usher.listen().unwrap(), "/b"), 200);

    // Without --admin, the config in the folder says where.
    let done = run(usher.dir(), &["reload"]);
    assert_eq!(done.code, Some(0), "{done:?}");

    usher.write_config(&format!("{ONE}{TWO}tos = 1\n")).unwrap();
    for arguments in [&["reload", "--admin", &admin][..], &["reload"]] {
        let done = run(usher.dir(), arguments);
        assert_eq!(done.code, Some(1), "{done:?}");
        assert!(
            done.err.contains("did you mean `to`?") && done.err.contains("nothing has changed"),
            "{done:?}"
        );
    }
    assert_eq!(status(usher.listen().unwrap(), "/b"), 200);
}

#[test]
fn an_admin_that_changed_is_asked_at_its_old_address() {
    let endpoint = endpoint();
    let mut usher = usher(ONE).endpoint(&endpoint).start().unwrap();
    let admin = usher.admin().unwrap().to_string();
    let reserved = Port::reserve().unwrap();
    let other = reserved.address().to_string();
    usher.write_config(&ONE.replace("$ADMIN", &other)).unwrap();
    let done = run(usher.dir(), &["reload"]);
    assert_eq!(done.code, Some(1), "{done:?}");
    for part in [&*format!("asking usher at {other}, the `admin` of usher.toml"), "--admin ADDR", "kill -HUP"]
    {
        assert!(done.err.contains(part), "{part} is missing: {done:?}");
    }
    let done = run(usher.dir(), &["reload", "--admin", &admin]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.out.contains("`admin` holds after a restart"), "{done:?}");
}

/// What was read once stays; the files that it names are read again.
#[test]
fn standard_input_is_not_read_again() {
    let dir = tempdir().unwrap();
    fs::create_dir(dir.path().join("d")).unwrap();
    for (include, code, said) in
        [("", 1, "cannot be read again"), ("include = \"d/*.toml\"\n", 0, "reloaded the files that")]
    {
        let (port, reserved) = (Port::reserve().unwrap(), Port::reserve().unwrap());
        let admin = reserved.address().to_string();
        let config = format!(
            "{include}admin = \"{admin}\"\n[[listener]]\nbind = \"{}\"\n[[route]]\nrespond = \"x\"\n",
            port.address()
        );
        let log = dir.path().join("log");
        let mut command = Command::new(binary());
        command.args(["run", "--config", "-"]).current_dir(dir.path()).stdin(Stdio::piped());
        let mut child = command.stderr(File::create(&log).unwrap()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(config.as_bytes()).unwrap();
        until("the admin listener", || Client::connect(&admin).is_ok());
        let done = run(dir.path(), &["reload", "--admin", &admin]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(done.code, Some(code), "{done:?}");
        assert!([done.out, done.err].concat().contains(said), "{said} is missing");
        let log = fs::read_to_string(&log).unwrap();
        assert_eq!(log.contains("nothing has changed"), code == 1, "{log}");
    }
}

#[test]
fn a_pid_file_is_enough() {
    let endpoint = endpoint();
    let config = format!("pid_file = \"$DIR/usher.pid\"\n{ONE}");
    let mut usher = usher(&config).endpoint(&endpoint).start().unwrap();
    let file = usher.dir().join("usher.pid");
    let content = format!("{}\n", usher.pid());
    until("the pid_file", || fs::read_to_string(&file).is_ok_and(|found| found == content));
    usher.write_config(&format!("{config}{TWO}")).unwrap();
    let done = run(usher.dir(), &["reload", "--pid-file", "usher.pid"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    usher.wait_for_output("(+b)", PATIENCE).unwrap();
    usher.signal(Signal::Term).unwrap();
    assert!(usher.wait_exit(PATIENCE).unwrap().success());
    assert!(!file.exists());
}

#[test]
fn what_needs_a_restart_is_said() {
    let endpoint = endpoint();
    let mut usher = usher(ONE).endpoint(&endpoint).start().unwrap();
    reload(&mut usher, &format!("workers = 7\n{ONE}"));
    usher.wait_for_output("`workers` holds after a restart", PATIENCE).unwrap();
}

#[test]
fn other_socket_options_hold_at_once() {
    let endpoint = endpoint();
    let mut usher = usher(ONE).endpoint(&endpoint).start().unwrap();
    let mut kept = usher.client().unwrap();
    assert_eq!(kept.get("/a").unwrap().status, 200);
    reload(&mut usher, &ONE.replace("[[route]]", "backlog = 16\n[[route]]"));
    assert_eq!(kept.get("/a").unwrap().status, 200);
    assert_eq!(status(usher.listen().unwrap(), "/a"), 200);
}

#[test]
fn logs_are_opened_again() {
    let endpoint = endpoint();
    let config = ONE.replace(
        "access_log = \"off\"",
        "access_log = { path = \"$DIR/access.log\", format = \"{request.path}\" }",
    );
    let mut usher = usher(&config).endpoint(&endpoint).start().unwrap();
    let (log, old) = (usher.dir().join("access.log"), usher.dir().join("access.log.1"));
    let holds =
        |path: &std::path::Path, text: &str| fs::read_to_string(path).is_ok_and(|found| found.contains(text));
    assert_eq!(status(usher.listen().unwrap(), "/a"), 200);
    until("the first line", || holds(&log, "/a"));
    fs::rename(&log, &old).unwrap();
    usher.signal(Signal::Usr1).unwrap();
    usher.wait_for_output("opened again", PATIENCE).unwrap();
    until("the new file", || log.exists());
    assert_eq!(status(usher.listen().unwrap(), "/missing"), 404);
    until("the second line", || holds(&log, "/missing"));
    assert!(!holds(&old, "/missing"));
}
