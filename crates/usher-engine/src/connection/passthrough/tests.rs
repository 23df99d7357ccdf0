use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::task::{JoinHandle, LocalSet, spawn_local, yield_now};
use tokio::time::sleep;
use usher_api::metrics::Registry;
use usher_config::{Input, LoadOptions};
use usher_extensions::balancers::BALANCERS;
use usher_extensions::filters::FILTERS;
use usher_net::{Address, Dialer, MemoryStream};

use crate::connection::{self, Door};
use crate::snapshot::{Builder, Built};
use crate::worker::{Command, Drain, Worker};

mod tcp;

/// What a stream in memory holds, in bytes.
const CAPACITY: usize = 64 << 10;

/// Port 9 refuses, and port 10 never answers; the other end of every other connection is kept, by port.
#[derive(Clone, Default)]
struct Endpoints(Rc<RefCell<Vec<(u16, DuplexStream)>>>, Rc<Cell<u32>>);

impl Dialer for Endpoints {
    type Stream = MemoryStream;

    async fn dial(&self, address: &Address) -> io::Result<MemoryStream> {
        let Address::Ip(address) = address else { return Err(io::ErrorKind::Unsupported.into()) };
        self.1.set(self.1.get() + 1);
        if address.port() == 9 {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        if address.port() == 10 {
            std::future::pending::<()>().await;
        }
        let (ours, theirs) = duplex(CAPACITY);
        self.0.borrow_mut().push((address.port(), theirs));
        Ok(ours.into())
    }
}

fn build(text: &str, previous: Option<&Built>) -> Built {
    let options = LoadOptions { format: None, env: &|_| None, known_filters: &[] };
    let input = Input::Text { name: "test.toml".into(), bytes: text.into() };
    let loaded = usher_config::load(input, &options).unwrap();
    Builder { filters: FILTERS, balancers: BALANCERS, probes: &[] }.build(&loaded, previous, None).unwrap()
}

/// A message that names a host, as a TLS client begins with (RFC 8446 section 4.1.2), in one record.
fn hello(name: &str) -> Vec<u8> {
    let behind = |len: usize, bytes: &[u8]| [&(len as u16).to_be_bytes()[..], bytes].concat();
    let name = [&[0][..], &behind(name.len(), name.as_bytes())].concat();
    let list = behind(name.len(), &name);
    let extension = [&[0, 0][..], &behind(list.len(), &list)].concat();
    let extensions = behind(extension.len(), &extension);
    let body = [&[3, 3][..], &[7; 32], &[0], &[0, 2, 0x13, 1], &[1, 0], &extensions].concat();
    let message = [&[1, 0][..], &behind(body.len(), &body)].concat();
    [&[22, 3, 1][..], &behind(message.len(), &message)].concat()
}

/// A worker, its endpoints, and what it serves by.
struct World {
    worker: Rc<Worker<Endpoints>>,
    endpoints: Endpoints,
    built: Built,
}

impl World {
    fn new(config: &str) -> Self {
        let (built, endpoints) = (build(config, None), Endpoints::default());
        let metrics = Registry::new("0").register_worker();
        let snapshot = built.snapshot.clone();
        let worker = Worker::new(endpoints.clone(), snapshot, metrics, Arc::default(), 1);
        Self { worker, endpoints, built }
    }

    fn reload(&mut self, config: &str) {
        self.built = build(config, Some(&self.built));
        self.worker.apply(Command::Swap(self.built.snapshot.clone()));
    }

    /// A client's connection to the first listener, and the task that serves it.
    fn connect(&self) -> (DuplexStream, JoinHandle<()>) {
        let (client, server) = duplex(CAPACITY);
        let listener = self.worker.local().shared.listeners[0].clone();
        let peer = "192.0.2.1:50000".parse().ok();
        let door =
            Door { listener, index: 0, peer, local: None, is_fresh: true, is_known: false, session: None };
        let server = MemoryStream::from(server);
        (client, spawn_local(connection::serve(self.worker.clone(), server, door)))
    }

    /// The port that was connected to, once there is one, and the endpoint's end.
    async fn dialed(&self) -> Option<(u16, DuplexStream)> {
        for _ in 0..100 {
            if let Some(dialed) = self.endpoints.0.borrow_mut().pop() {
                return Some(dialed);
            }
            yield_now().await;
        }
        None
    }
}

fn run<F: Future>(scene: impl FnOnce() -> F) -> F::Output {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, async { scene().await })
}

const LISTENER: &str = "automatic_https = false\n[[listener]]\nname = \"l\"\nbind = \"127.0.0.1:1\"\n";
const ROUTE: &str = "[[route]]\nto = \"127.0.0.1:8\"\n";

/// The config with these hosts passed on to a port of their own each.
fn passing(hosts: &[(&str, u16)]) -> String {
    let rules =
        hosts.iter().map(|(host, port)| format!("{{ host = \"{host}\", to = \"127.0.0.1:{port}\" }}"));
    let rules: Vec<String> = rules.collect();
    format!("{LISTENER}tls = {{ passthrough = [{}] }}\n", rules.join(", "))
}

#[test]
fn goes_to_the_most_specific_host_and_byte_for_byte() {
    run(|| async {
        let hosts = [("*.test", 1), ("mail.a.test", 2), ("*.a.test", 3)];
        let world = World::new(&format!("{}{ROUTE}", passing(&hosts)));
        for (name, port) in
            [("mail.a.test", 2), ("x.a.test", 3), ("a.test", 1), ("MAIL.A.TEST", 2), ("mail.a.test.", 2)]
        {
            let (mut client, _task) = world.connect();
            let hello = hello(name);
            // In two pieces, as a network may deliver it.
            client.write_all(&hello[..20]).await.unwrap();
            yield_now().await;
            client.write_all(&hello[20..]).await.unwrap();
            let (to, mut endpoint) = world.dialed().await.expect(name);
            assert_eq!(to, port, "{name}");
            let mut came = vec![0; hello.len()];
            endpoint.read_exact(&mut came).await.unwrap();
            assert_eq!(came, hello, "{name}");
            endpoint.write_all(b"answer").await.unwrap();
            let mut answer = [0; 6];
            client.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"answer", "{name}");
        }
        // One that nobody passes on is answered here: there is no certificate for it.
        let (mut client, _task) = world.connect();
        client.write_all(&hello("test")).await.unwrap();
        let mut alert = [0; 7];
        client.read_exact(&mut alert).await.unwrap();
        assert_eq!(alert, [21, 3, 3, 0, 2, 2, 112], "unrecognized_name");
    });
}

/// Clusters go by number, and those of two configs differ.
#[test]
fn a_reload_before_the_first_message_sends_nobody_elsewhere() {
    let proxied = "proxy_protocol = { trusted = [\"192.0.2.0/24\"] }\n";
    let one = format!("{}{proxied}{ROUTE}", passing(&[("mail.test", 1)]));
    let another = "[cluster.another]\nendpoints = \"127.0.0.1:7\"\n";
    let gone = "automatic_https = false\n[[listener]]\nname = \"other\"\nbind = \"127.0.0.1:2\"\n";
    let cases = [
        (format!("{one}{another}"), Some(1)),
        (format!("{}{proxied}{ROUTE}{another}", passing(&[("mail.test", 2)])), Some(2)),
        (format!("{gone}{ROUTE}{another}"), None),
    ];
    for (next, port) in cases {
        run(|| async {
            let mut world = World::new(&one);
            let (mut client, _task) = world.connect();
            yield_now().await;
            world.reload(&next);
            client.write_all(b"PROXY TCP4 198.51.100.7 192.0.2.9 1234 443\r\n").await.unwrap();
            client.write_all(&hello("mail.test")).await.unwrap();
            let dialed = world.dialed().await.map(|(port, _)| port);
            assert_eq!(dialed, port, "{next}");
        });
    }
}

#[test]
fn another_endpoint_is_tried_and_then_the_client_is_let_go() {
    run(|| async {
        let to = |to: &str| {
            format!("{LISTENER}tls = {{ passthrough = [{{ host = \"a.test\", to = {to} }}] }}\n{ROUTE}")
        };
        let world = World::new(&to("[\"127.0.0.1:9\", \"127.0.0.1:2\"]"));
        for _ in 0..2 {
            let (mut client, _task) = world.connect();
            client.write_all(&hello("a.test")).await.unwrap();
            assert_eq!(world.dialed().await.map(|(port, _)| port), Some(2));
        }
        let world = World::new(&to("\"127.0.0.1:9\""));
        let (mut client, task) = world.connect();
        client.write_all(&hello("a.test")).await.unwrap();
        task.await.unwrap();
        assert_eq!(world.endpoints.1.get(), 1);
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
    });
}

/// Whoever asks for something small does not stand behind hundreds of handshakes.
#[test]
fn handshakes_take_turns() {
    const CLIENTS: usize = 40;
    run(|| async {
        let world = World::new(&format!("{}{ROUTE}", passing(&[("mail.test", 1)])));
        spawn_local(world.worker.clone().tend_with_turns(async || sleep(Duration::from_secs(1)).await));
        yield_now().await;
        let answered = Rc::new(Cell::new(0));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let ((mut client, _task), answered) = (world.connect(), answered.clone());
                spawn_local(async move {
                    client.write_all(&hello("test")).await.unwrap();
                    client.read_exact(&mut [0; 7]).await.unwrap();
                    answered.set(answered.get() + 1);
                })
            })
            .collect();
        for _ in 0..100 {
            yield_now().await;
        }
        assert_eq!(answered.get(), 2, "before others had a turn");
        for client in clients {
            client.await.unwrap();
        }
        assert_eq!(answered.get(), CLIENTS);
    });
}
