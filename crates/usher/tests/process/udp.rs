//! Listeners that carry UDP.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use usher_testkit::{Port, Signal, Usher};

use crate::harness::{PATIENCE, reload, run, udp_sockets, until, usher};
use crate::upgrade::Line;

/// The largest datagram over IPv4 (bytes).
const LARGEST: usize = 65_507;
/// How long an answer that does not come is waited for.
const SILENCE: Duration = Duration::from_millis(300);

/// An endpoint that answers with its name and what it was sent, until it is dropped.
struct Echo {
    address: SocketAddr,
    /// Whoever has sent something: the proxy's sockets.
    seen: Arc<Mutex<BTreeSet<SocketAddr>>>,
    received: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Echo {
    fn start(name: &'static str) -> Self {
        Self::on("127.0.0.1:0", name)
    }

    fn on(address: &str, name: &'static str) -> Self {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let address = socket.local_addr().unwrap();
        let (seen, received, stop): (Arc<Mutex<BTreeSet<SocketAddr>>>, Arc<AtomicU64>, Arc<AtomicBool>) =
            Default::default();
        let (to_seen, to_received, to_stop) = (seen.clone(), received.clone(), stop.clone());
        let answer = move || {
            let mut buffer = vec![0; LARGEST + 1];
            while !to_stop.load(Ordering::Relaxed) {
                let Ok((length, of)) = socket.recv_from(&mut buffer) else { continue };
                to_seen.lock().unwrap().insert(of);
                to_received.fetch_add(1, Ordering::Relaxed);
                let answer = [name.as_bytes(), &buffer[..length]].concat();
                let _ = socket.send_to(&answer, of);
            }
        };
        Self { address, seen, received, stop, thread: Some(thread::spawn(answer)) }
    }

    fn seen(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}

/// A client, to one address.
struct Visitor(UdpSocket);

impl Visitor {
    fn of(address: impl std::net::ToSocketAddrs) -> Self {
        let address = address.to_socket_addrs().unwrap().next().unwrap();
        let socket = UdpSocket::bind(if address.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" }).unwrap();
        // Only what comes from there is received.
        socket.connect(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    fn say(&self, what: &[u8]) {
        self.0.send(what).unwrap();
    }

    fn hear(&self) -> Vec<u8> {
        let mut buffer = vec![0; LARGEST + 1];
        let length = self.0.recv(&mut buffer).expect("an answer");
        buffer.truncate(length);
        buffer
    }

    fn ask(&self, what: &str) -> String {
        self.say(what.as_bytes());
        String::from_utf8(self.hear()).unwrap()
    }

    /// Nothing comes.
    fn is_ignored(&self, what: &str) -> bool {
        self.say(what.as_bytes());
        self.0.set_read_timeout(Some(SILENCE)).unwrap();
        let heard = self.0.recv(&mut [0; 10]);
        self.0.set_read_timeout(Some(PATIENCE)).unwrap();
        heard.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }
}

/// A listener of UDP on a port of its own.
fn listener(port: &Port, more: &str) -> String {
    format!("[[listener]]\nname = \"l\"\nbind = \"{}\"\nprotocol = \"udp\"\n{more}\n", port.address())
}

fn config(workers: usize, rest: &str) -> String {
    format!("workers = {workers}\nadmin = \"$ADMIN\"\naccess_log = \"access.log\"\n{rest}")
}

fn start(config: &str) -> Usher {
    let mut usher = usher(config).start().unwrap();
    // Its sockets are open.
    usher.wait_for_output(" serves ", PATIENCE).unwrap();
    usher
}

fn metric(usher: &Usher, name: &str) -> u64 {
    usher.metric(name).unwrap().unwrap_or_default() as u64
}

fn to(all: &[&Echo]) -> String {
    let all: Vec<String> = all.iter().map(|one| format!("\"{}\"", one.address)).collect();
    format!("to = [{}]", all.join(", "))
}

#[test]
fn each_client_stays_at_one_endpoint_for_a_session() {
    let (one, two, port) = (Echo::start("1"), Echo::start("2"), Port::reserve().unwrap());
    let sessions = "sessions = { idle = \"2s\" }";
    let mut usher = start(&config(2, &listener(&port, &format!("{}\n{sessions}", to(&[&one, &two])))));
    usher.wait_for_output(&format!("listener l: udp://{}", port.address()), PATIENCE).unwrap();
    let visitors: Vec<Visitor> = (0..20).map(|_| Visitor::of(port.address())).collect();
    let first: Vec<String> = visitors.iter().map(|visitor| visitor.ask("a")).collect();
    for _ in 0..3 {
        let again: Vec<String> = visitors.iter().map(|visitor| visitor.ask("a")).collect();
        assert_eq!(again, first);
    }
    assert!(first.contains(&"1a".to_owned()) && first.contains(&"2a".to_owned()), "{first:?}");
    assert_eq!(one.seen() + two.seen(), 20, "a socket for each");
    assert_eq!(metric(&usher, "usher_udp_sessions_total"), 20);
    until("the sessions to end", || metric(&usher, "usher_udp_sessions_active") == 0);
    for (name, count) in
        [("received_datagrams", 80), ("sent_datagrams", 80), ("received_bytes", 80), ("sent_bytes", 160)]
    {
        assert_eq!(metric(&usher, &format!("usher_udp_{name}_total")), count, "{name}");
    }
    assert_eq!(metric(&usher, "usher_connections_active"), 0);
    let log = || fs::read_to_string(usher.dir().join("access.log")).unwrap_or_default();
    until("a line for each session", || log().lines().count() == 20);
    for part in
        ["\"client\":\"127.0.0.1\"", "\"version\":\"UDP\"", "\"received\":4,\"sent\":8", "\"retries\":0"]
    {
        assert!(
            log().lines().all(|line| line.contains(part) && !line.contains("reason")),
            "{part} in {}",
            log()
        );
    }
}

#[test]
fn an_endpoint_that_is_not_there_is_passed_over_and_one_that_dies_is_left() {
    let (dead, port) = (Port::reserve().unwrap(), Port::reserve().unwrap());
    let (one, two) = (Echo::start("1"), Echo::start("2"));
    let targets = format!("to = [\"{}\", \"{}\", \"{}\"]", dead.address(), one.address, two.address);
    let usher = start(&config(1, &listener(&port, &targets)));
    // Nobody asks twice: what was refused is sent to another.
    let visitors: Vec<Visitor> = (0..9).map(|_| Visitor::of(port.address())).collect();
    let first: Vec<String> = visitors.iter().map(|visitor| visitor.ask("a")).collect();
    assert!(first.contains(&"1a".to_owned()) && first.contains(&"2a".to_owned()), "{first:?}");
    assert_eq!(metric(&usher, "usher_udp_sessions_total"), 9);
    drop(one);
    // That it is gone shows with the first datagram, which is lost with it.
    for visitor in &visitors {
        visitor.0.set_read_timeout(Some(SILENCE)).unwrap();
        let mut answer = [0; 10];
        visitor.say(b"b");
        if visitor.0.recv(&mut answer).is_err() {
            visitor.0.set_read_timeout(Some(PATIENCE)).unwrap();
            assert_eq!(visitor.ask("c"), "2c");
        }
    }
    let broken = "usher_udp_sessions_broken_total{reason=\"disconnected\"}";
    let left = first.iter().filter(|answer| *answer == "1a").count() as u64;
    assert_eq!(metric(&usher, broken), left);
    let log = fs::read_to_string(usher.dir().join("access.log")).unwrap_or_default();
    assert!(log.contains("\"reason\":\"disconnected\""), "{log}");
}

#[test]
fn datagrams_of_every_size_pass_whole() {
    let (echo, port) = (Echo::start(""), Port::reserve().unwrap());
    let usher = start(&config(1, &listener(&port, &to(&[&echo]))));
    let visitor = Visitor::of(port.address());
    for size in [0, 1, 512, 1472, 9000, LARGEST] {
        let sent: Vec<u8> = (0..size).map(|at| at as u8).collect();
        visitor.say(&sent);
        assert!(visitor.hear() == sent, "{size} bytes");
    }
    assert_eq!(metric(&usher, "usher_udp_sessions_total"), 1);
}

#[test]
fn answers_leave_from_where_the_client_has_sent_to() {
    let (echo, port) = (Echo::start(""), Port::reserve().unwrap());
    let six = UdpSocket::bind("[::1]:0").is_ok();
    let number = port.number();
    for bind in ["", "0.0.0.0"] {
        let more = to(&[&echo]);
        let _usher = start(&config(
            2,
            &format!("[[listener]]\nbind = \"{bind}:{number}\"\nprotocol = \"udp\"\n{more}\n"),
        ));
        for address in ["127.0.0.1", "127.0.0.2", "127.1.2.3"] {
            assert_eq!(Visitor::of((address, number)).ask("x"), "x", "{address} of `{bind}`");
        }
        if six && bind.is_empty() {
            assert_eq!(Visitor::of(("::1", number)).ask("x"), "x");
        }
        // The same client to two addresses: two sessions.
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        for address in ["127.0.0.4", "127.0.0.5"] {
            socket.send_to(b"y", (address, number)).unwrap();
            let (_, of) = socket.recv_from(&mut [0; 10]).unwrap();
            assert_eq!(of.ip().to_string(), address);
        }
    }
}

#[test]
fn each_datagram_tells_who_the_client_is_if_the_endpoint_wants_to_know() {
    let (endpoint, port) = (UdpSocket::bind("127.0.0.1:0").unwrap(), Port::reserve().unwrap());
    endpoint.set_read_timeout(Some(PATIENCE)).unwrap();
    let cluster =
        format!("[cluster.c]\nendpoints = \"{}\"\nproxy_protocol = \"v2\"\n", endpoint.local_addr().unwrap());
    for bind in ["127.0.0.1", ""] {
        let listener = format!(
            "[[listener]]\nbind = \"{bind}:{}\"\nprotocol = \"udp\"\ncluster = \"c\"\n",
            port.number()
        );
        let _usher = start(&config(1, &format!("{listener}{cluster}")));
        let visitor = Visitor::of(port.address());
        let own = visitor.0.local_addr().unwrap().port();
        for text in ["first", "second"] {
            visitor.say(text.as_bytes());
            let mut buffer = [0; 100];
            let (length, of) = endpoint.recv_from(&mut buffer).unwrap();
            let ends = [[127, 0, 0, 1], [127, 0, 0, 1]].concat();
            let ports = [own.to_be_bytes(), port.number().to_be_bytes()].concat();
            let head = [b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c", &ends[..], &ports[..]].concat();
            assert_eq!(&buffer[..length], [&head[..], text.as_bytes()].concat());
            endpoint.send_to(b"answer", of).unwrap();
            assert_eq!(visitor.hear(), b"answer");
        }
    }
}

#[test]
fn endpoints_may_be_of_ipv6() {
    if UdpSocket::bind("[::1]:0").is_err() {
        return;
    }
    let (echo, port) = (Echo::on("[::1]:0", "6"), Port::reserve().unwrap());
    let _usher = start(&config(1, &listener(&port, &to(&[&echo]))));
    assert_eq!(Visitor::of(port.address()).ask("x"), "6x");
}

#[test]
fn a_session_with_all_its_answers_has_ended() {
    let (one, two, port) = (Echo::start("1"), Echo::start("2"), Port::reserve().unwrap());
    let sessions = "sessions = { idle = \"1h\", responses = 1, requests = 1 }";
    let usher = start(&config(1, &listener(&port, &format!("{}\n{sessions}", to(&[&one, &two])))));
    let visitor = Visitor::of(port.address());
    // Each datagram for itself, although one client has sent them all at once.
    (0..10).for_each(|_| visitor.say(b"a"));
    let mut answers: Vec<Vec<u8>> = (0..10).map(|_| visitor.hear()).collect();
    answers.sort();
    assert_eq!(answers, [vec![b"1a".to_vec(); 5], vec![b"2a".to_vec(); 5]].concat());
    until("the sessions to end", || metric(&usher, "usher_udp_sessions_active") == 0);
    assert_eq!(metric(&usher, "usher_udp_sessions_total"), 10);
}

#[test]
fn an_endpoint_that_says_too_little_has_failed() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (echo, port) = (Echo::start("1"), Port::reserve().unwrap());
    let sessions = "sessions = { idle = \"1s\", responses = 1 }";
    let cluster = format!(
        "[cluster.c]\nendpoints = [\"{}\", \"{}\"]\noutliers = {{ failures = 1, ejection = \"1m\" }}\n",
        silent.local_addr().unwrap(),
        echo.address,
    );
    let usher =
        start(&config(1, &format!("{}{cluster}", listener(&port, &format!("cluster = \"c\"\n{sessions}")))));
    let visitors: Vec<Visitor> = (0..4).map(|_| Visitor::of(port.address())).collect();
    visitors.iter().for_each(|visitor| visitor.say(b"a"));
    let broken = "usher_udp_sessions_broken_total{reason=\"first_byte_timeout\"}";
    until("the silent one to be noticed", || metric(&usher, broken) == 2);
    for _ in 0..4 {
        assert_eq!(Visitor::of(port.address()).ask("b"), "1b", "the other one is left out");
    }
}

#[test]
fn there_are_only_so_many_sessions() {
    let (echo, port) = (Echo::start(""), Port::reserve().unwrap());
    let base = to(&[&echo]);
    let limited = |limits: &str| config(1, &listener(&port, &format!("{base}\n{limits}")));
    let mut usher = start(&limited("limits = { connections = 2 }"));
    let visitors: Vec<Visitor> = (0..3).map(|_| Visitor::of(port.address())).collect();
    assert_eq!((visitors[0].ask("a"), visitors[1].ask("a")), ("a".into(), "a".into()));
    assert!(visitors[2].is_ignored("a"));
    assert_eq!(visitors[0].ask("still here"), "still here");
    let dropped = |usher: &Usher, why: &str| {
        metric(usher, &format!("usher_udp_dropped_datagrams_total{{reason=\"{why}\"}}"))
    };
    assert_eq!(dropped(&usher, "limit"), 1);
    let log = || fs::read_to_string(usher.dir().join("access.log")).unwrap_or_default();
    until("a line about it", || log().contains("\"reason\":\"limit\""));
    let place = |limits: &str| limited(limits).replace("$ADMIN", &usher.admin().unwrap().to_string());
    let (per_client, rate) =
        (place("limits = { connections_per_client = 1 }"), place("sessions = { rate = \"1/d\" }"));
    reload(&mut usher, &per_client);
    assert_eq!(visitors[2].ask("a"), "a");
    assert!(Visitor::of(port.address()).is_ignored("a"));
    assert_eq!(dropped(&usher, "client_limit"), 1);
    reload(&mut usher, &rate);
    assert_eq!(Visitor::of(port.address()).ask("a"), "a");
    assert!(Visitor::of(port.address()).is_ignored("a"));
    assert_eq!(dropped(&usher, "rate"), 1);
}

#[test]
fn a_session_leaves_an_endpoint_that_is_taken_out_by_hand() {
    let (one, two, port) = (Echo::start("1"), Echo::start("2"), Port::reserve().unwrap());
    let cluster = format!("[cluster.c]\nendpoints = [\"{}\", \"{}\"]\n", one.address, two.address);
    let usher = start(&config(1, &format!("{}{cluster}", listener(&port, "cluster = \"c\""))));
    let visitor = Visitor::of(port.address());
    let (first, other) = match &*visitor.ask("a") {
        "1a" => (&one, "2b"),
        _ => (&two, "1b"),
    };
    let admin = usher.admin().unwrap().to_string();
    let state = |state: &str| {
        let arguments = ["endpoints", "--admin", &admin, "c", &first.address.to_string(), "--state", state];
        let done = run(usher.dir(), &arguments);
        assert_eq!(done.code, Some(0), "{done:?}");
    };
    state("drain");
    assert_ne!(visitor.ask("b"), other, "who is there may stay");
    assert_eq!(Visitor::of(port.address()).ask("b"), other);
    state("disable");
    assert_eq!(visitor.ask("b"), other);
    assert_eq!(metric(&usher, "usher_udp_sessions_broken_total{reason=\"endpoint_out\"}"), 1);
}

/// Sends numbered datagrams, one after another's answer, until `stop`; gives how many.
fn talk(visitor: &Visitor, stop: &AtomicBool, name: &str) -> u64 {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        assert_eq!(visitor.ask(&format!("{number}")), format!("{name}{number}"));
        thread::sleep(Duration::from_millis(2));
    }
    number
}

#[test]
fn a_reload_leaves_sessions_alone() {
    let (one, two, port) = (Echo::start("1"), Echo::start("2"), Port::reserve().unwrap());
    let mut usher = start(&config(2, &listener(&port, &to(&[&one]))));
    let admin = usher.admin().unwrap().to_string();
    let reloaded = |text: &str| config(2, text).replace("$ADMIN", &admin);
    let visitors: Vec<Visitor> = (0..4).map(|_| Visitor::of(port.address())).collect();
    visitors.iter().for_each(|visitor| assert_eq!(visitor.ask("begin"), "1begin"));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let talks: Vec<_> =
            visitors.iter().map(|visitor| scope.spawn(|| talk(visitor, &stop, "1"))).collect();
        for _ in 0..5 {
            reload(&mut usher, &reloaded(&listener(&port, &to(&[&two]))));
            assert_eq!(Visitor::of(port.address()).ask("new"), "2new");
            reload(&mut usher, &reloaded(&listener(&port, &to(&[&one]))));
        }
        stop.store(true, Ordering::Relaxed);
        talks.into_iter().for_each(|talk| assert!(talk.join().unwrap() > 0));
    });
    assert_eq!(one.seen(), 4, "a session each");
    // Under another name it begins anew, at the same address.
    let renamed = listener(&port, &to(&[&two])).replace("\"l\"", "\"other\"");
    reload(&mut usher, &reloaded(&renamed));
    until("the other listener", || visitors[0].ask("a") == "2a");
    // Whoever comes when it is gone is refused by the system.
    reload(&mut usher, &reloaded("[[listener]]\nbind = \"127.0.0.1:0\"\n[[route]]\nrespond = \"else\"\n"));
    until("the socket to be closed", || UdpSocket::bind(port.address()).is_ok());
}

#[test]
fn sessions_go_on_in_the_process_that_takes_over() {
    let (one, two, port) = (Echo::start(""), Echo::start(""), Port::reserve().unwrap());
    let mut line = Line::start(usher(&config(2, &listener(&port, &to(&[&one, &two])))));
    line.usher.wait_for_output(" serves ", PATIENCE).unwrap();
    let visitors: Vec<Visitor> = (0..16).map(|_| Visitor::of(port.address())).collect();
    visitors.iter().for_each(|visitor| assert_eq!(visitor.ask("begin"), "begin"));
    let stop = AtomicBool::new(false);
    let said: u64 = thread::scope(|scope| {
        let talks: Vec<_> = visitors.iter().map(|visitor| scope.spawn(|| talk(visitor, &stop, ""))).collect();
        for _ in 0..3 {
            let before = line.pid();
            let done = line.upgrade();
            assert_eq!(done.code, Some(0), "{done:?}\n{}", line.output());
            assert_eq!(Visitor::of(port.address()).ask("new"), "new");
            line.has_ended(before);
        }
        stop.store(true, Ordering::Relaxed);
        talks.into_iter().map(|talk| talk.join().unwrap()).sum()
    });
    assert_eq!(one.seen() + two.seen(), 16 + 3, "the same sockets towards endpoints\n{}", line.output());
    let received = one.received.load(Ordering::Relaxed) + two.received.load(Ordering::Relaxed);
    assert_eq!(received, said + 16 + 3, "each datagram once");
}

#[test]
fn workers_that_are_new_after_an_upgrade_have_sockets_where_no_client_is_known() {
    let echo = Echo::start("");
    for (sessions, sockets) in [("", 1), ("sessions = { responses = 1, requests = 1 }", 3)] {
        let port = Port::reserve().unwrap();
        let text =
            |workers: usize| config(workers, &listener(&port, &format!("{}\n{sessions}", to(&[&echo]))));
        let mut line = Line::start(usher(&text(1)));
        line.usher.wait_for_output(" serves ", PATIENCE).unwrap();
        assert_eq!(Visitor::of(port.address()).ask("before"), "before");
        line.usher.write_config(&text(3).replace("$ADMIN", &line.admin())).unwrap();
        let done = line.upgrade();
        assert_eq!(done.code, Some(0), "{done:?}\n{}", line.output());
        assert_eq!(udp_sockets(port.address()), sockets);
        for _ in 0..20 {
            assert_eq!(Visitor::of(port.address()).ask("after"), "after");
        }
    }
}

#[test]
fn the_end_waits_until_nothing_is_said() {
    let (echo, port) = (Echo::start(""), Port::reserve().unwrap());
    let drain = "[timeouts]\ndrain = \"15s\"\n";
    let mut usher = start(&config(1, &format!("{drain}{}", listener(&port, &to(&[&echo])))));
    let visitor = Visitor::of(port.address());
    assert_eq!(visitor.ask("a"), "a");
    usher.signal(Signal::Term).unwrap();
    usher.wait_for_output("finishing what is under way", PATIENCE).unwrap();
    assert_eq!(visitor.ask("last words"), "last words");
    assert_eq!(usher.wait_exit(PATIENCE).unwrap().code(), Some(0), "{}", usher.output());
}
