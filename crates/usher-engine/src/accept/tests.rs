use std::io::Write as _;
use std::net::TcpStream;

use tokio::task::{LocalSet, spawn_local, yield_now};
use usher_api::metrics::Registry;
use usher_config::{Input, LoadOptions};
use usher_extensions::balancers::BALANCERS;
use usher_extensions::filters::FILTERS;
use usher_net::{ListenOptions, MemoryStream, SocketOptions, bind};

use super::*;
use crate::snapshot::Builder;

/// Nobody dials here.
struct NoDialer;

impl Dialer for NoDialer {
    type Stream = MemoryStream;

    async fn dial(&self, _: &Address) -> std::io::Result<MemoryStream> {
        Err(std::io::ErrorKind::ConnectionRefused.into())
    }
}

fn worker() -> Rc<Worker<NoDialer>> {
    let text = "[[listener]]\nbind = \"127.0.0.1:1\"\n[[route]]\nto = \"127.0.0.1:2\"\n";
    let options = LoadOptions { format: None, env: &|_| None, known_filters: &[] };
    let input = Input::Text { name: "test.toml".into(), bytes: text.into() };
    let loaded = usher_config::load(input, &options).unwrap();
    let builder = Builder { filters: FILTERS, balancers: BALANCERS, probes: &[] };
    let built = builder.build(&loaded, None, None).unwrap();
    Worker::new(NoDialer, built.snapshot, Registry::new("0").register_worker(), Arc::default(), 1)
}

fn listener() -> Listener {
    let address = Address::Ip("127.0.0.1:0".parse().unwrap());
    let bound = bind(&address, &ListenOptions::default(), 1).unwrap().remove(0);
    Listener::new(bound, &SocketOptions::default()).unwrap()
}

const CROWD: u32 = 200;

/// A crowd that has connected to a listener that nobody accepts from yet.
fn crowd(listener: &Listener) -> Vec<TcpStream> {
    let Address::Ip(address) = *listener.address() else { panic!("no port") };
    (0..CROWD).map(|_| TcpStream::connect(address).unwrap()).collect()
}

fn in_a_set<F: Future<Output = ()>>(scene: F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, scene);
}

/// How many may go on in a pass: four are taken in a turn, and sixteen are woken, with half as many of the next one.
const TAKEN: u32 = 6;
const WOKEN: u32 = 24;

/// Pass after pass, until `count` gives so many; never more at once than a turn has room for.
async fn some_at_a_time(most: u32, count: impl Fn() -> u32, until: u32) {
    let mut before = count();
    while before < until {
        yield_now().await;
        let now = count();
        assert!(now.saturating_sub(before) <= most, "{} at once", now - before);
        before = now;
    }
}

/// Each that comes, or speaks again, begins with some work, and whoever is there already does not stand behind all of it.
#[test]
fn of_a_crowd_some_are_taken_and_woken_in_each_pass() {
    in_a_set(async {
        let (worker, listener, stop) = (worker(), listener(), Rc::<Stop>::default());
        let mut crowd = crowd(&listener);
        let spec = worker.local().shared.listeners[0].clone();
        let idle = IdleConnections::new(worker.clone()).unwrap();
        spawn_local(worker.clone().tend());
        spawn_local(idle.clone().run());
        let taking = spawn_local(run(worker.clone(), idle, listener, spec, 0, stop.clone()));
        some_at_a_time(TAKEN, || worker.connections(), CROWD).await;
        let at_rest = || u32::try_from(worker.metrics.connections.idle.get()).unwrap();
        while at_rest() < CROWD {
            yield_now().await;
        }
        for client in &mut crowd {
            client.write_all(b"G").unwrap();
        }
        some_at_a_time(WOKEN, || CROWD - at_rest(), CROWD).await;
        stop.stop();
        taking.await.unwrap();
    });
}
