//! dnsmasq as the name server, in a network of its own: the only way to be port 53 of the system's settings.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::tempdir;
use usher_testkit::{Client, Result, Usher};

use crate::nginx::Nginx;
use crate::peer::{PATIENCE, Peer, find, until, usher};

const NAMESPACES: &[&str] = &["--net", "--mount", "--pid", "--fork", "--kill-child"];

/// Set in the process that runs within the namespaces, to the file that is `/etc/resolv.conf` there.
const INSIDE: &str = "USHER_TEST_INSIDE";

const RESOLV: &str = "nameserver 127.0.0.1\noptions timeout:2 attempts:1\n";

const ARGUMENTS: &[&str] = &[
    "--keep-in-foreground",
    "--user=root",
    "--no-resolv",
    "--no-hosts",
    "--local=/example.com/",
    "--listen-address=127.0.0.1",
    "--bind-interfaces",
    "--log-queries",
    "--log-facility=-",
];

/// Answers hold for a second if they come from the file, and for an hour where it stands behind the record.
const TIMES: &[&str] = &[
    "--local-ttl=1",
    "--host-record=slow.example.com,127.0.0.2,3600",
    "--cname=alias.example.com,slow.example.com,1",
];

const NGINX: &str = r#"
    server {
        listen ADDRESS;
        listen 0.0.0.0:8080;
        listen [::1]:8080;
        location / { return 200 "$server_addr"; }
    }
"#;

/// Addresses of `many`: more than a datagram of DNS holds, so that the question must be asked again over TCP.
const MANY: usize = 120;

/// Each has a route, a cluster and a name that are called so.
const NAMES: &[&str] = &["app", "slow", "alias", "late", "many", "six"];

fn config() -> String {
    let top = "workers = 2\naccess_log = \"off\"\n[[listener]]\nbind = \"$LISTEN\"\n";
    let part = |name: &&str| {
        format!(
            "[[route]]\npath = \"/{name}\"\ncluster = \"{name}\"\n[cluster.{name}]\n\
             endpoints = [\"{name}.example.com:8080\"]\ndns = {{ min_ttl = \"100ms\" }}\n"
        )
    };
    [top.to_owned()].into_iter().chain(NAMES.iter().map(part)).collect()
}

#[test]
fn answers_are_followed_while_requests_come() {
    in_a_network("dnsmasq::answers_are_followed_while_requests_come", inside);
}

/// Runs a part of a test, which has this name, in a network of its own; gives it dnsmasq, and the file that is
/// `/etc/resolv.conf` there.
pub(crate) fn in_a_network(test: &str, inside: fn(&Path, &Path)) {
    let (Some(dnsmasq), Some(ip)) = (find("dnsmasq", "dnsmasq-base"), find("ip", "iproute2")) else { return };
    if find("nginx", "nginx").is_none() {
        return;
    }
    if let Some(resolv) = std::env::var_os(INSIDE) {
        return inside(&dnsmasq, Path::new(&resolv));
    }
    if let Err(reason) = namespaces() {
        println!("skipped: a network of its own cannot be made (root can): {reason}");
        return;
    }
    let dir = tempdir().unwrap();
    let resolv = dir.path().join("resolv.conf");
    fs::write(&resolv, RESOLV).unwrap();
    let executable = std::env::current_exe().unwrap();
    let script = format!(
        "'{}' link set lo up && mount --bind '{}' /etc/resolv.conf && exec '{}' --exact {} --nocapture",
        ip.display(),
        resolv.display(),
        executable.display(),
        test
    );
    let mut command = Command::new("unshare");
    // Of their own are the network, what `/etc/resolv.conf` is, and the processes, all of which end with the first.
    command.args(NAMESPACES).args(["sh", "-c", &script]).env(INSIDE, &resolv);
    // What goes wrong inside shall say so there first.
    let out = Peer::start(&mut command).finish_within(4 * PATIENCE);
    assert!(out.contains("1 passed"), "{out}");
}

/// Whether namespaces can be made here, and why not.
fn namespaces() -> std::result::Result<(), String> {
    let output = Command::new("unshare").args(NAMESPACES).arg("true").stdin(Stdio::null()).output();
    let output = output.map_err(|error| error.to_string())?;
    let text = || Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    if output.status.success() { Ok(()) } else { text() }
}

/// Starts dnsmasq as the name server of `example.com`, with a file of settings, another one for its number, and more arguments.
pub(crate) fn name_server(
    program: &Path,
    (conf, pid): (&Path, &Path),
    more: impl IntoIterator<Item = String>,
) -> Peer {
    let mut command = Command::new(program);
    command.args(ARGUMENTS).args(more);
    command.arg(format!("--conf-file={}", conf.display())).arg(format!("--pid-file={}", pid.display()));
    let mut peer = Peer::start(&mut command);
    peer.line_after("started");
    peer
}

/// dnsmasq with a file of addresses.
struct Names {
    program: PathBuf,
    file: PathBuf,
    process: Option<Peer>,
}

impl Names {
    /// The addresses that change; the others stay.
    fn write(&self, lines: &str) {
        let many: String = (1..=MANY).map(|last| format!("127.0.1.{last} many.example.com\n")).collect();
        fs::write(&self.file, format!("{lines}::1 six.example.com\n{many}")).unwrap();
    }

    fn start(&mut self) {
        let (conf, pid) = (Path::new("/dev/null"), self.file.with_extension("pid"));
        let hosts = format!("--addn-hosts={}", self.file.display());
        let more = TIMES.iter().map(|one| (*one).to_owned()).chain([hosts]);
        self.process = Some(name_server(&self.program, (conf, &pid), more));
    }

    /// Ends it in order, as it has processes of its own for questions over TCP.
    fn stop(&mut self) {
        let mut process = self.process.take().expect("runs");
        process.signal(Signal::TERM);
        process.wait(PATIENCE);
    }

    /// Other addresses from now on; it reads the file again when told.
    fn change(&self, lines: &str) {
        self.write(lines);
        self.process.as_ref().unwrap().signal(Signal::HUP);
    }

    fn queries(&self, name: &str) -> usize {
        self.process.as_ref().unwrap().output().matches(&format!("query[A] {name} ")).count()
    }
}

/// Asks again and again, on kept and on new connections, and counts what is not 200.
pub(crate) struct Load<'a> {
    pub(crate) stop: &'a AtomicBool,
    pub(crate) served: &'a AtomicU64,
    pub(crate) failed: &'a AtomicU64,
}

impl Load<'_> {
    pub(crate) fn run(&self, address: SocketAddr) {
        while !self.stop.load(Ordering::Relaxed) {
            let Ok(mut client) = Client::connect(address) else { return };
            for _ in 0..10 {
                let is_served = client.get("/app").is_ok_and(|response| response.status == 200);
                let count = if is_served { self.served } else { self.failed };
                count.fetch_add(1, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

/// Ends the load, also if the test fails.
impl Drop for Load<'_> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn inside(dnsmasq: &Path, resolv: &Path) {
    let dir = tempdir().unwrap();
    let mut names = Names { program: dnsmasq.to_owned(), file: dir.path().join("hosts"), process: None };
    names.write("127.0.0.2 app.example.com\n");
    names.start();
    let _nginx = Nginx::start_with(NGINX).expect("was found");
    let mut usher = usher(&config()).start().unwrap();
    let address = usher.listen().unwrap();
    beginning(&names, &mut usher);
    let (stop, served, failed) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        let load = Load { stop: &stop, served: &served, failed: &failed };
        let other = Load { ..load };
        scope.spawn(move || other.run(address));
        changes(&mut names, &usher);
        absence(&mut names, &usher, resolv);
        drop(load);
    });
    assert_eq!(failed.load(Ordering::Relaxed), 0, "after {} requests", served.load(Ordering::Relaxed));
    assert!(served.load(Ordering::Relaxed) > 0);
    assert!(!usher.output().contains("reload"), "{}", usher.output());
}

/// What is known is served; a name that is not there takes down its own cluster only.
fn beginning(names: &Names, usher: &mut Usher) {
    let address = usher.listen().unwrap();
    for (target, expected) in [
        ("/app", "127.0.0.2"),
        ("/slow", "127.0.0.2"),
        ("/alias", "127.0.0.2"),
        ("/six", "::1"),
        ("/late", "503"),
    ] {
        becomes(address, target, &[expected]);
    }
    usher.wait_for_output("cannot resolve `late.example.com`: there is no such name", PATIENCE).unwrap();
    until("all of many addresses", || {
        let mut client = Client::connect(address).unwrap();
        let seen: BTreeSet<String> = (0..MANY).map(|_| client.get("/many").unwrap().text()).collect();
        seen.len() == MANY && seen.iter().all(|ip| ip.starts_with("127.0.1."))
    });
    assert!(names.queries("late.example.com") > 0);
}

/// Another answer, and a name that begins to be there. Each is asked for when its own time to live is over.
fn changes(names: &mut Names, usher: &Usher) {
    let address = usher.listen().unwrap();
    let before = names.queries("slow.example.com");
    names.change("127.0.0.3 app.example.com\n127.0.0.2 late.example.com\n");
    becomes(address, "/app", &["127.0.0.3"]);
    becomes(address, "/late", &["127.0.0.2"]);
    for name in ["app.example.com", "alias.example.com"] {
        until("more questions", || names.queries(name) >= 4);
    }
    assert_eq!(names.queries("slow.example.com"), before);
}

/// Without a name server all goes on as it is; when it is back, its answers count again.
fn absence(names: &mut Names, usher: &Usher, resolv: &Path) {
    let address = usher.listen().unwrap();
    names.stop();
    for name in ["app", "late", "six"] {
        let begin = format!("cannot resolve `{name}.example.com`: ");
        let goes_on = |line: &str| line.contains(&begin) && line.contains("going on with");
        until(&begin, || usher.output().lines().any(goes_on));
    }
    let now = |target| answers(address, target).unwrap();
    assert_eq!(now("/app"), ["127.0.0.3"]);
    assert_eq!(now("/slow"), ["127.0.0.2"]);
    assert_eq!(now("/late"), ["127.0.0.2"]);
    assert_eq!(now("/six"), ["::1"]);
    // One that starts meanwhile serves what it can, and the rest later; of its two name servers one never answers.
    fs::write(resolv, format!("nameserver 127.0.0.9\n{RESOLV}")).unwrap();
    let own = "[[route]]\npath = \"/own\"\nrespond = \"own\"\n";
    let second = self::usher(&format!("{}{own}", config())).start().unwrap();
    let second_address = second.listen().unwrap();
    assert_eq!(answers(second_address, "/own").unwrap(), ["own"]);
    assert_eq!(answers(second_address, "/app").unwrap(), ["503"]);

    // One name has two addresses then; another is gone, and keeps its last.
    names.write("127.0.0.2 app.example.com\n127.0.0.3 app.example.com\n");
    names.start();
    becomes(address, "/app", &["127.0.0.2", "127.0.0.3"]);
    becomes(second_address, "/app", &["127.0.0.2", "127.0.0.3"]);
    until("a question in vain", || names.queries("late.example.com") > 0);
    assert_eq!(now("/late"), ["127.0.0.2"]);
}

/// Waits until the endpoints that answer are these.
pub(crate) fn becomes(address: SocketAddr, target: &str, expected: &[&str]) {
    until(&format!("{expected:?} for {target}"), || {
        answers(address, target).is_ok_and(|seen| seen == expected)
    });
}

/// What different connections get: addresses of endpoints, or statuses that are not 200.
fn answers(address: SocketAddr, target: &str) -> Result<Vec<String>> {
    let mut seen = BTreeSet::new();
    for _ in 0..8 {
        let mut client = Client::connect(address)?;
        for _ in 0..4 {
            let response = client.get(target)?;
            let is_served = response.status == 200;
            seen.insert(if is_served { response.text() } else { response.status.to_string() });
        }
    }
    Ok(seen.into_iter().collect())
}
