//! Programs: what they are told, and what their end means.

use std::time::Duration;

use super::FACTORY;
use crate::probes::testing::{ask, build, target};

fn script(text: &str) -> String {
    format!("command = ['/bin/sh', '-c', '''{text}''', 'name', 'one', 'two words']")
}

#[test]
fn the_status_tells() {
    let cases = [
        ("exit 0", ""),
        ("exit 3", "`/bin/sh` ended with status 3"),
        ("echo broken by me >&2; echo more >&2; exit 1", "`/bin/sh` ended with status 1: broken by me"),
        ("kill -TERM $$", "`/bin/sh` ended with signal: 15 (SIGTERM)"),
        // A full pipe does not stop it.
        ("head -c 1000000 /dev/zero | tr '\\0' 'x' >&2", ""),
        ("echo $1/$2 >&2; exit 1", "`/bin/sh` ended with status 1: one/two words"),
        (
            "echo $USHER_CLUSTER $USHER_NAME $USHER_ENDPOINT $USHER_ADDRESS $USHER_PORT $USHER_HOST >&2; exit 1",
            "`/bin/sh` ended with status 1: app first 192.0.2.1:80 192.0.2.1 80 app.internal",
        ),
    ];
    for (text, said) in cases {
        let target = target("192.0.2.1:80".parse::<std::net::SocketAddr>().unwrap());
        assert_eq!(ask(&*build(&FACTORY, &script(text)), &target), said, "{text}");
    }
}

#[test]
fn one_that_does_not_end_is_killed_with_its_children() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("children");
    let mut target = target("192.0.2.1:80".parse::<std::net::SocketAddr>().unwrap());
    target.timeout = Duration::from_millis(300);
    let text = format!("sleep 1000 & echo $! > {}; wait", file.display());
    let said = ask(&*build(&FACTORY, &script(&text)), &target);
    assert_eq!(said, "`/bin/sh` did not end within 300ms and was killed");
    let child: u32 = std::fs::read_to_string(file).unwrap().trim().parse().unwrap();
    let deadline = std::time::Instant::now() + crate::probes::testing::PATIENCE;
    // Killed; it may stay as a zombie where nobody waits for orphans.
    let is_gone = || {
        let state = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        state.is_empty() || state.contains(" Z ")
    };
    while !is_gone() {
        assert!(std::time::Instant::now() < deadline, "the child is still there");
        std::thread::yield_now();
    }
}

#[test]
fn one_that_is_not_there_is_said_so() {
    let probe = build(&FACTORY, "command = ['/nowhere/check']");
    let said = ask(&*probe, &target("192.0.2.1:80".parse::<std::net::SocketAddr>().unwrap()));
    assert!(said.starts_with("`/nowhere/check` cannot be started: No such file"), "{said}");
}
