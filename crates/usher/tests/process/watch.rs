//! `watch = true`

use std::fs;
use std::io::Write;
use std::process::Command;
use std::thread;

use usher_testkit::{Client, Endpoint, Port, Reply};

use crate::harness::{PATIENCE, Running, status, until, usher};

const CONFIG: &str = "watch = true\nadmin = \"off\"\naccess_log = \"off\"\ninclude = \"sites/*.toml\"\n\
    [[listener]]\nbind = \"$LISTEN\"\n";
const SITE: &str = "[[route]]\npath = \"/a\"\nto = \"$ENDPOINT\"\n";

#[test]
fn a_changed_file_is_read() {
    let endpoint = Endpoint::start(|_| Reply::ok("hello")).unwrap();
    let mut usher = usher(CONFIG).endpoint(&endpoint).file("sites/a.toml", SITE).start().unwrap();
    let address = usher.listen().unwrap();
    usher.wait_for_output("serves", PATIENCE).unwrap();
    let sites = usher.dir().join("sites");

    // In place.
    let moved = usher.substitute(&SITE.replace("/a", "/moved")).unwrap();
    fs::write(sites.join("a.toml"), &moved).unwrap();
    until("the changed route", || status(address, "/moved") == 200);
    // A new file of the pattern.
    fs::write(sites.join("b.toml"), moved.replace("/moved", "/new")).unwrap();
    until("the new route", || status(address, "/new") == 200);
    // A bad one changes nothing; the repair is noticed, by rename as editors do it.
    fs::write(sites.join("b.toml"), "[[route").unwrap();
    usher.wait_for_output("reload of", PATIENCE).unwrap();
    assert_eq!(status(address, "/new"), 200);
    fs::write(sites.join("b.tmp"), moved.replace("/moved", "/repaired")).unwrap();
    fs::rename(sites.join("b.tmp"), sites.join("b.toml")).unwrap();
    until("the repaired route", || status(address, "/repaired") == 200);
    fs::remove_file(sites.join("b.toml")).unwrap();
    until("the removed route", || status(address, "/repaired") == 404);
}

#[test]
fn what_changes_while_the_config_is_read_is_noticed() {
    let (dir, port) = (tempfile::tempdir().unwrap(), Port::reserve().unwrap());
    let address = port.address();
    let config = |path: &str| {
        let config = format!(
            "watch = true\nadmin = \"off\"\naccess_log = \"off\"\ninclude = \"late.toml\"\n\
             [[listener]]\nbind = \"{address}\"\n[[route]]\npath = \"{path}\"\nrespond = \"ok\"\n"
        );
        fs::write(dir.path().join("usher.toml"), config).unwrap();
    };
    // A pipe: whoever opens it waits for the process that reads it, which has read the other file before.
    let late = dir.path().join("late.toml");
    assert!(Command::new("mkfifo").arg(&late).status().unwrap().success());
    let open = move || fs::OpenOptions::new().write(true).open(&late).unwrap();
    config("/a");
    let _usher = Running::start(dir.path(), &["run", "usher.toml"]);
    let mut pipe = open();
    config("/another");
    let text = b"[[route]]\npath = \"/late\"\nrespond = \"ok\"\n";
    pipe.write_all(text).unwrap();
    drop(pipe);
    until("it serves", || Client::connect(address).is_ok());
    // When it is read again.
    thread::spawn(move || open().write_all(text).unwrap());
    until("the change", || status(address, "/another") == 200);
}
