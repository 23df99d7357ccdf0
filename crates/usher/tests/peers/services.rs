//! Services by their SRV records, with dnsmasq as the name server, in a network of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use rustix::process::Signal;
use tempfile::tempdir;
use usher_testkit::Usher;

use crate::dnsmasq::{Load, becomes, in_a_network, name_server};
use crate::nginx::Nginx;
use crate::peer::{PATIENCE, Peer, until, usher};

const NGINX: &str = r#"
    server {
        listen ADDRESS;
        listen 0.0.0.0:8080;
        listen 0.0.0.0:8081;
        location / { return 200 "$server_addr:$server_port"; }
    }
"#;

const CONFIG: &str = r#"
workers = 2
access_log = "off"
admin = "$ADMIN"
[[listener]]
bind = "$LISTEN"
[[route]]
cluster = "app"
[cluster.app]
endpoints = ["srv:_web._tcp.example.com"]
dns = { min_ttl = "100ms" }
"#;

const HOSTS: &str = "127.0.0.2 a.example.com\n127.0.0.3 b.example.com\n127.0.0.5 c.example.com\n";

/// Records of one answer: more than a datagram of DNS holds.
const MANY: usize = 120;

#[test]
fn services_are_followed_while_requests_come() {
    in_a_network("services::services_are_followed_while_requests_come", inside);
}

/// dnsmasq with a file of addresses, which it reads again when told, and one of records.
struct Names {
    program: PathBuf,
    hosts: PathBuf,
    records: PathBuf,
    process: Option<Peer>,
}

impl Names {
    /// Answers with these records from now on: `target,port,priority,weight` of each.
    fn serve(&mut self, records: &[&str]) {
        self.stop();
        let line = |record: &&str| format!("srv-host=_web._tcp.example.com{record}\n");
        fs::write(&self.records, records.iter().map(line).collect::<String>()).unwrap();
        let pid = self.hosts.with_extension("pid");
        let more = ["--local-ttl=1".to_owned(), format!("--addn-hosts={}", self.hosts.display())];
        self.process = Some(name_server(&self.program, (&self.records, &pid), more));
    }

    /// Other addresses from now on.
    fn move_hosts(&self, hosts: &str) {
        fs::write(&self.hosts, hosts).unwrap();
        self.process.as_ref().unwrap().signal(Signal::HUP);
    }

    fn queries(&self, kind: &str) -> usize {
        self.process.as_ref().unwrap().output().matches(&format!("query[{kind}] ")).count()
    }

    fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.signal(Signal::TERM);
            process.wait(PATIENCE);
        }
    }
}

fn inside(dnsmasq: &Path, _: &Path) {
    let dir = tempdir().unwrap();
    let (hosts, records) = (dir.path().join("hosts"), dir.path().join("records"));
    let mut names = Names { program: dnsmasq.to_owned(), hosts, records, process: None };
    fs::write(&names.hosts, HOSTS).unwrap();
    names.serve(&[",a.example.com,8080,5,10", ",b.example.com,8081,9,0"]);
    let _nginx = Nginx::start_with(NGINX).expect("was found");
    let mut usher = usher(CONFIG).start().unwrap();
    let address = usher.listen().unwrap();
    becomes(address, "/", &["127.0.0.2:8080"]);
    let (stop, served, failed) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        let load = Load { stop: &stop, served: &served, failed: &failed };
        let other = Load { ..load };
        scope.spawn(move || other.run(address));
        changes(&mut names, &mut usher);
        drop(load);
    });
    assert_eq!(failed.load(Ordering::Relaxed), 0, "after {} requests", served.load(Ordering::Relaxed));
    assert!(served.load(Ordering::Relaxed) > 0);
    ends(&mut names, &mut usher);
}

/// Hosts move, and records come, go and change their groups.
fn changes(names: &mut Names, usher: &mut Usher) {
    let address = usher.listen().unwrap();
    names.move_hosts(&HOSTS.replace("127.0.0.2", "127.0.0.4"));
    becomes(address, "/", &["127.0.0.4:8080"]);
    names.serve(&[",a.example.com,8080,5,10", ",c.example.com,8081,5,10"]);
    becomes(address, "/", &["127.0.0.4:8080", "127.0.0.5:8081"]);
    names.serve(&[",a.example.com,8080,9,10", ",c.example.com,8081,5,10"]);
    becomes(address, "/", &["127.0.0.5:8081"]);
    // Whoever is gone stays where it was: it may be the name server that is wrong.
    names.serve(&[]);
    usher.wait_for_output("cannot resolve `srv:_web._tcp.example.com`: ", PATIENCE).unwrap();
    usher.wait_for_output("going on with ", PATIENCE).unwrap();
    until("a question in vain", || names.queries("SRV") > 1);
    becomes(address, "/", &["127.0.0.5:8081"]);
}

/// One answer is too long for a datagram, and one says that there is no such service.
fn ends(names: &mut Names, usher: &mut Usher) {
    let record = |port: usize| format!(",a.example.com,{port},1,1");
    let many: Vec<String> = (1..=MANY).map(|number| record(9000 + number)).collect();
    names.serve(&many.iter().map(String::as_str).collect::<Vec<_>>());
    until("all of many endpoints", || usher.metric("usher_cluster_endpoints").unwrap() == Some(MANY as f64));
    names.serve(&[""]);
    becomes(usher.listen().unwrap(), "/", &["503"]);
    names.serve(&[",c.example.com,8080,0,0"]);
    becomes(usher.listen().unwrap(), "/", &["127.0.0.5:8080"]);
    let output = usher.output();
    assert!(output.contains("cluster app: 2 endpoints (+127.0.0.5:8081, -127.0.0.3:8081)"), "{output}");
    assert!(output.contains("as `srv:_web._tcp.example.com` resolves to others"), "{output}");
    assert!(!output.contains(" reloaded "), "{output}");
}
