//! Another process takes over: no request fails, and one that cannot start changes nothing.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use rustix::process::{Pid, Signal as Number, kill_process};
use usher_testkit::{Builder, Client, Endpoint, Reply, Result, Signal, Usher};

use crate::harness::{Done, PATIENCE, Running, binary, run, status, until, usher};

/// A process and those that take over from it, one after another; all of them end with it, also when a test fails.
pub(crate) struct Line {
    pub(crate) usher: Usher,
}

impl Line {
    pub(crate) fn start(builder: Builder) -> Self {
        Self { usher: builder.start().unwrap() }
    }

    fn successors(&self) -> Vec<u32> {
        successors(&self.usher.output())
    }

    /// The process that serves now.
    pub(crate) fn pid(&self) -> u32 {
        serving(&self.usher.output()).unwrap_or_else(|| self.usher.pid())
    }

    fn signal(&self, signal: Number) {
        kill_process(Pid::from_raw(self.pid() as i32).unwrap(), signal).unwrap();
    }

    pub(crate) fn listen(&self) -> SocketAddr {
        self.usher.listen().unwrap()
    }

    pub(crate) fn output(&self) -> String {
        self.usher.output()
    }

    pub(crate) fn dir(&self) -> std::path::PathBuf {
        self.usher.dir().to_owned()
    }

    pub(crate) fn admin(&self) -> String {
        self.usher.admin().unwrap().to_string()
    }

    /// `usher upgrade`
    pub(crate) fn upgrade(&self) -> Done {
        let admin = self.usher.admin().unwrap().to_string();
        run(self.usher.dir(), &["upgrade", "--admin", &admin])
    }

    pub(crate) fn has_ended(&self, pid: u32) {
        until(&format!("process {pid} to end"), || has_ended(pid));
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // The first one first: whoever it is just starting then ends by itself.
        let _ = self.usher.signal(Signal::Kill);
        self.successors().into_iter().for_each(kill_successor);
    }
}

/// All processes that were started to take over, by the log.
pub(crate) fn successors(log: &str) -> Vec<u32> {
    let number = |line: &str| {
        let (before, _) = line.split_once(" is started, to take over")?;
        before.rsplit(' ').next()?.parse().ok()
    };
    log.lines().filter_map(number).collect()
}

/// The last process that has taken over, by the log.
pub(crate) fn serving(log: &str) -> Option<u32> {
    let (before, _) = log.rsplit_once(" has taken over from process ")?;
    before.rsplit(' ').next()?.parse().ok()
}

/// Kills a process that was started to take over; not another one that has its number now.
pub(crate) fn kill_successor(pid: u32) {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    if String::from_utf8_lossy(&environment).contains("USHER_TAKES_OVER_FROM=") {
        let _ = kill_process(Pid::from_raw(pid as i32).unwrap(), Number::KILL);
    }
}

/// Gone, or waiting for a parent that looks.
pub(crate) fn has_ended(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
}

/// `workers` differ from process to process.
fn config(workers: usize) -> String {
    format!(
        "workers = {workers}\nadmin = \"$ADMIN\"\npid_file = \"usher.pid\"\naccess_log = \"access.log\"\n\
         timeouts.drain = \"15s\"\n\
         [[listener]]\nname = \"main\"\nbind = [\"$LISTEN\", \"unix:$DIR/usher.sock\"]\n\
         [[route]]\nto = \"$ENDPOINT\"\n"
    )
}

/// An endpoint that remembers nothing: the one of the kit keeps every byte.
fn endpoint() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
    address
}

/// Answers requests without bodies, which come one at a time.
fn answer(mut stream: TcpStream) {
    let (mut head, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        head.extend_from_slice(&buffer[..count]);
        if head.ends_with(b"\r\n\r\n") {
            head.clear();
            if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").is_err() {
                return;
            }
        }
    }
}

/// Lets the threads of a test end, also if the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn no_request_fails_while_processes_take_over() {
    let mut line = Line::start(usher(&config(2)).endpoint_address("", &endpoint()));
    let addresses = [line.listen().to_string(), format!("unix:{}/usher.sock", line.usher.dir().display())];
    let first = line.pid();
    let (stop, served) = (AtomicBool::new(false), [const { AtomicU64::new(0) }; 4]);
    let failures = thread::scope(|scope| {
        let stop = &stop;
        let go_on = move || !stop.load(Ordering::Relaxed);
        let kept = |address: String, count| {
            move || -> Result<()> {
                while go_on() {
                    let mut client = Client::connect(&address)?;
                    let mut goes_on = true;
                    while goes_on && go_on() {
                        let response = client.get("/")?;
                        assert_eq!(response.status, 200);
                        goes_on = response.fields.get("connection").is_none_or(|value| value != "close");
                        AtomicU64::fetch_add(count, 1, Ordering::Relaxed);
                    }
                }
                Ok(())
            }
        };
        let anew = |address: String, count| {
            move || -> Result<()> {
                while go_on() {
                    assert_eq!(Client::connect(&address)?.get("/")?.status, 200);
                    AtomicU64::fetch_add(count, 1, Ordering::Relaxed);
                }
                Ok(())
            }
        };
        let mut threads = Vec::new();
        for (address, count) in addresses.iter().zip([&served[..2], &served[2..]]) {
            threads.push(scope.spawn(kept(address.clone(), &count[0])));
            threads.push(scope.spawn(anew(address.clone(), &count[1])));
        }
        let end = Stop(stop);
        // More workers than before, then fewer, then as many.
        for workers in [3, 1, 1] {
            let before = (line.pid(), served.each_ref().map(|count| count.load(Ordering::Relaxed)));
            line.usher.write_config(&config(workers)).unwrap();
            let done = line.upgrade();
            assert_eq!(done.code, Some(0), "{done:?}");
            assert!(done.out.contains("has taken over"), "{done:?}");
            line.has_ended(before.0);
            until("everybody to be served by the next", || {
                served.iter().zip(before.1).all(|(now, before)| now.load(Ordering::Relaxed) > before + 50)
            });
        }
        drop(end);
        let ends = threads.into_iter().map(|thread| thread.join().expect("no status but 200").err());
        ends.collect::<Vec<_>>()
    });
    assert!(failures.iter().all(Option::is_none), "{failures:?}");
    let output = line.usher.output();
    assert_eq!(output.matches("ended; every connection was finished").count(), 3, "{output}");
    // The last one's number is in the file, and it has the sockets, whose file it removes.
    let dir = line.usher.dir().to_path_buf();
    assert_eq!(fs::read_to_string(dir.join("usher.pid")).unwrap(), format!("{}\n", line.pid()));
    assert_ne!(line.pid(), first);
    line.signal(Number::TERM);
    line.has_ended(line.pid());
    assert!(!dir.join("usher.pid").exists() && !dir.join("usher.sock").exists());
    let lines = fs::read_to_string(dir.join("access.log")).unwrap().lines().count() as u64;
    let all: u64 = served.iter().map(|count| count.load(Ordering::Relaxed)).sum();
    assert_eq!(lines, all, "each is logged once");
}

#[test]
fn what_does_not_start_changes_nothing() {
    let endpoint = Endpoint::start(|_| Reply::ok("hello")).unwrap();
    let mut line = Line::start(usher(&config(2)).endpoint(&endpoint));
    let first = line.pid();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = taken.local_addr().unwrap().to_string();
    let cases = [
        (config(2).replace("[[route]]", "[[rout]]"), "route"),
        (config(2).replace("[\"$LISTEN\"", &format!("[\"{other}\", \"$LISTEN\"")), other.as_str()),
    ];
    for (bad, why) in cases {
        line.usher.write_config(&bad).unwrap();
        let done = line.upgrade();
        assert_eq!(done.code, Some(1), "{done:?}");
        assert!(
            done.err.contains("upgrade refused, nothing has changed") && done.err.contains(why),
            "{done:?}"
        );
        line.successors().into_iter().for_each(|pid| line.has_ended(pid));
        assert_eq!(status(line.listen(), "/"), 200);
        assert_eq!(status(format!("unix:{}/usher.sock", line.usher.dir().display()), "/"), 200);
        assert_eq!(fs::read_to_string(line.usher.dir().join("usher.pid")).unwrap(), format!("{first}\n"));
    }
    assert_eq!(line.pid(), first);
    // By the signal the same, and then a good one.
    line.signal(Number::USR2);
    let refusals = |line: &Line| line.usher.output().matches("upgrade refused").count();
    until("the refusal", || refusals(&line) == 3);
    line.usher.write_config(&config(2)).unwrap();
    line.signal(Number::USR2);
    line.has_ended(first);
    assert_eq!(status(line.listen(), "/"), 200);
}

/// What is told by a signal, or by a changed file, is not told twice.
#[test]
fn a_reload_that_an_upgrade_held_up_is_done_when_that_fails() {
    let endpoint = Endpoint::start(|_| Reply::ok("hello")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (program, gate) = (dir.path().join("usher"), dir.path().join("gate"));
    std::os::unix::fs::symlink(binary(), &program).unwrap();
    let before = config(1).replace("[[route]]", "[[route]]\npath = \"/old\"");
    let mut line = Line::start(usher(&before).binary(&program).endpoint(&endpoint));
    let first = line.pid();
    // What takes over does not begin before the gate is there, and then never.
    fs::remove_file(&program).unwrap();
    let script = format!("#!/bin/sh\nwhile [ ! -e '{}' ]; do sleep 0.01; done\nexit 1\n", gate.display());
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    line.signal(Number::USR2);
    until("the other process", || !line.successors().is_empty());
    line.usher.write_config(&before.replace("/old", "/new")).unwrap();
    line.signal(Number::HUP);
    until("the refusal", || line.output().contains("nothing has changed (SIGHUP)"));
    assert_eq!((status(line.listen(), "/old"), status(line.listen(), "/new")), (200, 404));
    fs::write(&gate, "").unwrap();
    until("the new config", || status(line.listen(), "/new") == 200);
    assert_eq!(line.pid(), first);
    assert!(line.output().contains("upgrade refused, nothing has changed"), "{}", line.output());
}

#[test]
fn a_tunnel_lasts_until_the_drain_ends() {
    let endpoint = Endpoint::start(|_| Reply::upgrade_echo("websocket")).unwrap();
    let mut line = Line::start(usher(&config(2)).endpoint(&endpoint));
    let first = line.pid();
    let mut client = line.usher.client().unwrap();
    client.set_timeout(PATIENCE);
    client
        .send(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(client.read_exact(1).unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    let echo = |client: &mut Client| {
        client.send("x").unwrap();
        assert_eq!(client.read_exact(1).unwrap(), b"x");
    };
    echo(&mut client);
    line.usher.write_config(&config(2)).unwrap();
    assert_eq!(line.upgrade().code, Some(0));
    assert_ne!(line.pid(), first);
    (0..20).for_each(|_| echo(&mut client));
    assert!(!has_ended(first), "it serves the tunnel");
    // A second one may take over meanwhile.
    assert_eq!(line.upgrade().code, Some(0));
    echo(&mut client);
    drop(client);
    line.has_ended(first);
}

#[test]
fn what_cannot_be_started_again_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut demo = Running::start(dir.path(), &[]);
    let admin = demo.word_after("admin: ");
    let done = run(dir.path(), &["upgrade", "--admin", &admin]);
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.err.contains("cannot upgrade") && done.err.contains("<demo>"), "{done:?}");
}

#[test]
fn one_that_comes_too_late_does_not_serve() {
    let dir = tempfile::tempdir().unwrap();
    let (_ours, theirs) = usher_net::handover::Channel::pair().unwrap();
    let mut command = Command::new(binary());
    // No process has this number, so it is not the parent's.
    command
        .args(["proxy", "--listen", "127.0.0.1:0", "--to", "127.0.0.1:1"])
        .env("USHER_TAKES_OVER_FROM", "2147483647");
    let done = command.current_dir(dir.path()).stdin(theirs).output().unwrap();
    let text = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(1), "{text}");
    assert!(text.contains("process 2147483647, which was to be taken over from, is gone"), "{text}");
}
