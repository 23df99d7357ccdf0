//! Sessions in virtual time, over loopback: what is sent there has arrived before time goes on.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::{Instant, sleep};
use usher_api::metrics::Registry;
use usher_config::{Input, LoadOptions};
use usher_extensions::balancers::BALANCERS;
use usher_extensions::filters::FILTERS;
use usher_net::datagrams::{Flow, bind_datagrams};
use usher_net::{Address, MemoryStream};

use super::reach::Kept;
use super::*;
use crate::snapshot::{Builder, Built};
use crate::worker::{Command, Drain};

/// UDP alone.
struct Sockets;

impl Dialer for Sockets {
    type Stream = MemoryStream;

    async fn dial(&self, _: &Address) -> io::Result<MemoryStream> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn dial_udp(&self, address: SocketAddr) -> io::Result<Flow> {
        Flow::connect(address)
    }
}

fn build(sessions: &str, endpoints: &[SocketAddr], previous: Option<&Built>) -> Built {
    let endpoints: Vec<String> = endpoints.iter().map(|one| format!("\"{one}\"")).collect();
    let text = format!(
        "[[listener]]\nname = \"l\"\nbind = \"127.0.0.1:1\"\nprotocol = \"udp\"\ncluster = \"c\"\n{sessions}\n\
         [cluster.c]\nendpoints = [{}]\n",
        endpoints.join(", ")
    );
    let options = LoadOptions { format: None, env: &|_| None, known_filters: &[] };
    let input = Input::Text { name: "test.toml".into(), bytes: text.into() };
    let loaded = usher_config::load(input, &options).unwrap_or_else(|report| panic!("{report}"));
    Builder { filters: FILTERS, balancers: BALANCERS, probes: &[] }.build(&loaded, previous, None).unwrap()
}

/// A worker, its listener, and what it serves by.
struct World {
    worker: Rc<Worker<Sockets>>,
    built: Built,
    bound: usher_net::datagrams::BoundDatagrams,
    stop: Rc<Stop>,
}

impl World {
    fn new(sessions: &str, endpoints: &[SocketAddr]) -> Self {
        let built = build(sessions, endpoints, None);
        let metrics = Registry::new("0").register_worker();
        let worker = Worker::new(Sockets, built.snapshot.clone(), metrics, Arc::default(), 1);
        spawn_local(worker.clone().tend());
        let bound = bind_datagrams("127.0.0.1:0".parse().unwrap(), (false, false), 1).unwrap().remove(0);
        Self { worker, built, bound, stop: Rc::default() }
    }

    /// Takes what comes, by a socket that others may have as well.
    fn port(&self, waits: bool) -> (Rc<Port<Sockets>>, JoinHandle<()>) {
        let socket = Socket::new(self.bound.try_clone().unwrap()).unwrap();
        let spec = self.worker.local().shared.listeners[0].clone();
        let port = Port::new(self.worker.clone(), socket, (spec, 0), waits);
        (port.clone(), spawn_local(port.run(self.stop.clone())))
    }

    async fn client(&self) -> UdpSocket {
        let client = socket().await;
        client.connect(self.bound.address()).await.unwrap();
        client
    }

    fn reload(&mut self, sessions: &str, endpoints: &[SocketAddr]) {
        self.built = build(sessions, endpoints, Some(&self.built));
        self.worker.apply(Command::Swap(self.built.snapshot.clone()));
    }

    fn open(&self) -> u64 {
        self.worker.metrics.udp.sessions.active.get()
    }

    fn broken(&self, reason: &'static str) -> u64 {
        self.worker.metrics.udp.sessions.by_reason.of(reason).get()
    }
}

async fn socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

async fn hear(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 2048];
    let (length, of) = socket.recv_from(&mut buffer).await.unwrap();
    (buffer[..length].to_vec(), of)
}

fn run<F: Future>(scene: impl FnOnce() -> F) -> F::Output {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, async { scene().await })
}

#[test]
fn silence_ends_a_session_and_a_datagram_in_either_direction_gives_more_time() {
    run(|| async {
        let endpoint = socket().await;
        let world = World::new("sessions = { idle = \"10m\" }", &[endpoint.local_addr().unwrap()]);
        let _port = world.port(false);
        let client = world.client().await;
        let mut first = None;
        for _ in 0..3 {
            client.send(b"a").await.unwrap();
            let (_, of) = hear(&endpoint).await;
            assert_eq!(*first.get_or_insert(of), of, "the same session");
            sleep(Duration::from_secs(9 * 60)).await;
            endpoint.send_to(b"b", of).await.unwrap();
            assert_eq!(hear(&client).await.0, b"b");
            sleep(Duration::from_secs(9 * 60)).await;
        }
        let begun = Instant::now();
        while world.open() > 0 {
            sleep(Duration::from_secs(1)).await;
        }
        assert!((59..=62).contains(&begun.elapsed().as_secs()), "{:?} in virtual time", begun.elapsed());
        let sessions = &world.worker.metrics.udp.sessions;
        let broken: u64 = sessions.by_reason.iter().map(|(_, one)| one.get()).sum();
        assert_eq!((sessions.opened.get(), broken), (1, 0));
        assert_eq!(world.worker.connections(), 0);
        client.send(b"a").await.unwrap();
        assert_ne!(Some(hear(&endpoint).await.1), first, "another session");
    });
}

#[test]
fn whoever_owes_answers_when_nothing_is_said_has_failed() {
    run(|| async {
        let endpoint = socket().await;
        let rules = "sessions = { idle = \"10s\", responses = 2 }";
        let world = World::new(rules, &[endpoint.local_addr().unwrap()]);
        let _port = world.port(false);
        let (one, other) = (world.client().await, world.client().await);
        one.send(b"1").await.unwrap();
        let (_, of) = hear(&endpoint).await;
        endpoint.send_to(b"a", of).await.unwrap();
        endpoint.send_to(b"b", of).await.unwrap();
        assert_eq!((hear(&one).await.0, hear(&one).await.0), (b"a".to_vec(), b"b".to_vec()));
        sleep(Duration::from_millis(1)).await;
        assert_eq!(world.open(), 0, "all was answered");
        other.send(b"2").await.unwrap();
        let (_, of) = hear(&endpoint).await;
        endpoint.send_to(b"a", of).await.unwrap();
        hear(&other).await;
        sleep(Duration::from_secs(11)).await;
        assert_eq!((world.open(), world.broken("first_byte_timeout")), (0, 1));
    });
}

#[test]
fn after_so_many_datagrams_another_session_begins_and_answers_to_both_arrive() {
    run(|| async {
        let endpoint = socket().await;
        let world =
            World::new("sessions = { idle = \"10s\", requests = 2 }", &[endpoint.local_addr().unwrap()]);
        let _port = world.port(false);
        let client = world.client().await;
        for number in 0..5u8 {
            client.send(&[number]).await.unwrap();
        }
        let mut sessions = Vec::new();
        for number in 0..5u8 {
            let (bytes, of) = hear(&endpoint).await;
            assert_eq!(bytes, [number]);
            sessions.push(of);
        }
        assert!(sessions[0] == sessions[1] && sessions[2] == sessions[3], "{sessions:?}");
        assert!(sessions[1] != sessions[2] && sessions[3] != sessions[4], "{sessions:?}");
        assert_eq!(world.open(), 3);
        for of in [sessions[4], sessions[0], sessions[2]] {
            endpoint.send_to(b"answer", of).await.unwrap();
            assert_eq!(hear(&client).await.0, b"answer");
        }
        sleep(Duration::from_secs(11)).await;
        assert_eq!(world.open(), 0);
    });
}

#[test]
fn sessions_keep_their_endpoint_over_a_reload_and_move_to_another_listener_of_the_socket() {
    run(|| async {
        let (one, two) = (socket().await, socket().await);
        let mut world = World::new("", &[one.local_addr().unwrap()]);
        let (old, task) = world.port(false);
        let client = world.client().await;
        client.send(b"a").await.unwrap();
        let (_, of) = hear(&one).await;
        one.send_to(b"b", of).await.unwrap();
        hear(&client).await;
        world.reload("", &[two.local_addr().unwrap()]);
        client.send(b"c").await.unwrap();
        assert_eq!(hear(&one).await, (b"c".to_vec(), of), "pinned");
        let another = world.client().await;
        another.send(b"d").await.unwrap();
        let (_, of_two) = hear(&two).await;

        let (new, _task) = world.port(true);
        let passed = old.hand_over();
        assert_eq!(passed.len(), 2);
        // Nobody takes what comes meanwhile.
        another.send(b"e").await.unwrap();
        client.send(b"f").await.unwrap();
        sleep(Duration::from_secs(1)).await;
        new.adopt(passed);
        new.open();
        assert_eq!(hear(&two).await, (b"e".to_vec(), of_two), "the same socket");
        // The endpoint of the other is in the config no more: it begins anew.
        assert_eq!(hear(&two).await.0, b"f");
        world.stop.stop();
        task.await.unwrap();
        assert_eq!(world.open(), 2);
    });
}

#[test]
fn who_still_talks_at_the_end_of_the_drain_is_cut_off() {
    run(|| async {
        let endpoint = socket().await;
        let world = World::new("", &[endpoint.local_addr().unwrap()]);
        let (_, task) = world.port(false);
        let client = world.client().await;
        client.send(b"a").await.unwrap();
        let (_, of) = hear(&endpoint).await;
        world.stop.stop();
        world.worker.apply(Command::Drain(Drain { patience: Duration::from_secs(10), succeeded: false }));
        for _ in 0..20 {
            endpoint.send_to(b"b", of).await.unwrap();
            hear(&client).await;
            sleep(QUIET / 2).await;
            client.send(b"a").await.unwrap();
            hear(&endpoint).await;
        }
        assert_eq!(world.open(), 1);
        world.worker.apply(Command::Cut);
        task.await.unwrap();
        assert_eq!((world.open(), world.broken("draining")), (0, 1));
    });
}

#[test]
fn a_listener_that_is_gone_ends_however_long_its_endpoint_talks() {
    run(|| async {
        let endpoint = socket().await;
        let world = World::new("", &[endpoint.local_addr().unwrap()]);
        let (_, task) = world.port(false);
        let client = world.client().await;
        client.send(b"a").await.unwrap();
        let (_, of) = hear(&endpoint).await;
        world.stop.stop();
        for _ in 0..4 {
            endpoint.send_to(b"b", of).await.unwrap();
            sleep(QUIET / 2).await;
        }
        assert!(task.is_finished());
        assert_eq!(world.open(), 0);
    });
}

#[test]
fn sessions_at_rest_give_way_when_memory_is_short_and_those_that_wait_for_answers_stay() {
    for (sessions, expected) in [("", 2), ("sessions = { responses = 1 }", 0)] {
        run(|| async {
            let endpoint = socket().await;
            let world = World::new(sessions, &[endpoint.local_addr().unwrap()]);
            let _port = world.port(false);
            let (one, other) = (world.client().await, world.client().await);
            for client in [&one, &other] {
                client.send(b"a").await.unwrap();
                hear(&endpoint).await;
            }
            sleep(Duration::from_secs(2)).await;
            world.worker.deadlines.cut_idle(1000);
            // They go one after the other.
            sleep(Duration::from_millis(10)).await;
            assert_eq!(world.open(), 2 - expected as u64);
            assert_eq!(world.broken("first_byte_timeout"), 0);
        });
    }
}

/// Runs a scene in another process: what it sets holds for all of it.
fn alone(test: &str, scene: impl FnOnce()) {
    const ALONE: &str = "USHER_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return scene();
    }
    let (_, module) = module_path!().split_once("::").unwrap();
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args([&format!("{module}::{test}"), "--exact"]).env(ALONE, "1");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains(" 1 passed"), "{said}");
}

#[test]
fn no_session_begins_while_the_process_is_short_and_those_there_are_go_on() {
    let scene = || async {
        let endpoint = socket().await;
        let world = World::new("", &[endpoint.local_addr().unwrap()]);
        let _port = world.port(false);
        let (known, other) = (world.client().await, world.client().await);
        known.send(b"a").await.unwrap();
        let (_, of) = hear(&endpoint).await;
        // What the process has is so much of the ceiling (thousandths).
        let have = shortage::look().used;
        let at = |share: u64| {
            shortage::set_ceiling(None);
            shortage::set_ceiling(Some(have * 1000 / share));
            shortage::level()
        };
        assert_eq!(at(830), Level::Short);
        other.send(b"b").await.unwrap();
        known.send(b"c").await.unwrap();
        assert_eq!(hear(&endpoint).await, (b"c".to_vec(), of));
        endpoint.send_to(b"d", of).await.unwrap();
        assert_eq!(hear(&known).await.0, b"d");
        let dropped = world.worker.metrics.udp.dropped.of("memory").get();
        assert_eq!((world.open(), dropped), (1, 1));
        assert_eq!(at(750), Level::Tight);
        other.send(b"e").await.unwrap();
        assert_eq!(hear(&endpoint).await.0, b"e");
        assert_eq!(world.open(), 2);
    };
    alone("no_session_begins_while_the_process_is_short_and_those_there_are_go_on", || run(scene));
}

#[test]
fn another_endpoint_is_told_what_was_said_just_now_and_nothing_of_long_ago() {
    for (pause, expected) in [(0, &[&b"first"[..], b"second", b"third"][..]), (3600, &[b"third"])] {
        run(|| async {
            let (one, two) = (socket().await, socket().await);
            let endpoints = [one.local_addr().unwrap(), two.local_addr().unwrap()];
            let world = World::new("sessions = { idle = \"2h\" }", &endpoints);
            let _port = world.port(false);
            let client = world.client().await;
            client.send(b"first").await.unwrap();
            let is_one = tokio::select! {
                _ = hear(&one) => true,
                _ = hear(&two) => false,
            };
            let (gone, other) = if is_one { (one, two) } else { (two, one) };
            sleep(Duration::from_secs(pause)).await;
            drop(gone);
            // That nobody is there shows with this one.
            client.send(b"second").await.unwrap();
            sleep(Duration::from_secs(1)).await;
            client.send(b"third").await.unwrap();
            for bytes in expected {
                assert_eq!(hear(&other).await.0, *bytes, "after {pause} s");
            }
            assert_eq!(world.open(), 1, "the same session");
        });
    }
}

#[test]
fn one_that_waits_for_sessions_does_not_wait_for_ever() {
    run(|| async {
        let endpoint = socket().await;
        let world = World::new("", &[endpoint.local_addr().unwrap()]);
        let _port = world.port(true);
        let client = world.client().await;
        let begun = Instant::now();
        client.send(b"a").await.unwrap();
        hear(&endpoint).await;
        assert_eq!(begun.elapsed().as_secs(), LONGEST_WAIT.as_secs());
    });
}

#[test]
fn what_is_kept_for_another_endpoint_is_bounded() {
    let train = |bytes| Train { bytes, segment: 0, peer: None, local: None };
    let (small, large) = ([7; 100], vec![8; 60_000]);
    let mut kept = Kept::default();
    kept.keep(&[train(&large)]);
    assert!(kept.is_empty());
    for _ in 0..10_000 {
        kept.keep(&[train(&[]), train(&small)]);
    }
    assert!(kept.size() <= 4096 && kept.size() > 3900, "{}", kept.size());
}
