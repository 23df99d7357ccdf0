use std::sync::atomic::Ordering;

use std::net::IpAddr;

use usher_api::metrics::Registry;
use usher_config::{Input, LoadOptions};
use usher_extensions::balancers::BALANCERS;
use usher_extensions::filters::FILTERS;
use usher_net::{Address, MemoryStream};

use super::*;
use crate::snapshot::{Builder, Built};

/// Nobody dials here.
struct NoDialer;

impl Dialer for NoDialer {
    type Stream = MemoryStream;

    async fn dial(&self, _: &Address) -> std::io::Result<MemoryStream> {
        Err(std::io::ErrorKind::ConnectionRefused.into())
    }
}

fn build(limits: &str, previous: Option<&Built>) -> Built {
    let text = format!(
        "[limits]\n{limits}\n[[listener]]\nname = \"one\"\nbind = \"127.0.0.1:1\"\n\
         [[listener]]\nname = \"two\"\nbind = \"127.0.0.1:2\"\nlimits = {{ connections = 2 }}\n\
         [[route]]\nto = \"127.0.0.1:3\"\n"
    );
    let options = LoadOptions { format: None, env: &|_| None, known_filters: &[] };
    let input = Input::Text { name: "test.toml".into(), bytes: text.into() };
    let loaded = usher_config::load(input, &options).unwrap();
    Builder { filters: FILTERS, balancers: BALANCERS, probes: &[] }.build(&loaded, previous, None).unwrap()
}

fn worker(built: &Built, total: &Arc<AtomicU32>) -> Rc<Worker<NoDialer>> {
    Worker::new(NoDialer, built.snapshot.clone(), Registry::new("0").register_worker(), total.clone(), 1)
}

/// Claims a place on a listener by its index.
fn admit(worker: &Rc<Worker<NoDialer>>, listener: usize, client: &str) -> Result<Permit<NoDialer>, Refused> {
    let spec = worker.local().shared.listeners[listener].clone();
    worker.admit(client.parse::<IpAddr>().ok(), &spec)
}

#[test]
fn admits_so_many_connections_of_one_client() {
    let built = build("connections_per_client = 2", None);
    let worker = worker(&built, &Arc::default());
    let first = admit(&worker, 0, "192.0.2.1").ok().unwrap();
    let _second = admit(&worker, 0, "192.0.2.1").ok().unwrap();
    assert_eq!(admit(&worker, 0, "192.0.2.1").err(), Some(Refused::Client));
    let _other = admit(&worker, 0, "192.0.2.2").ok().unwrap();
    drop(first);
    assert!(admit(&worker, 0, "192.0.2.1").is_ok(), "a place is free again");
    assert_eq!(worker.connections(), 2);
}

#[test]
fn clients_without_an_address_are_not_limited_each() {
    let built = build("connections_per_client = 1", None);
    let worker = worker(&built, &Arc::default());
    let permits: Vec<_> = (0..3).map(|_| admit(&worker, 0, "a Unix socket")).collect();
    assert!(permits.iter().all(Result::is_ok));
}

#[test]
fn counts_all_connections_over_all_workers() {
    let built = build("connections = 3", None);
    let total = Arc::default();
    let workers = [worker(&built, &total), worker(&built, &total)];
    let permits: Vec<_> = (0..3).map(|number| admit(&workers[number % 2], 0, "192.0.2.1")).collect();
    assert!(permits.iter().all(Result::is_ok));
    for worker in &workers {
        assert_eq!(admit(worker, 0, "192.0.2.2").err(), Some(Refused::Total));
    }
    drop(permits);
    assert!(admit(&workers[0], 0, "192.0.2.2").is_ok());
    assert_eq!((workers[0].connections(), workers[1].connections()), (0, 0));
    assert_eq!(total.load(Ordering::Relaxed), 0);
}

#[test]
fn counts_the_connections_of_each_listener() {
    let built = build("", None);
    let worker = worker(&built, &Arc::default());
    let _both = [admit(&worker, 1, "192.0.2.1").ok().unwrap(), admit(&worker, 1, "192.0.2.1").ok().unwrap()];
    assert_eq!(admit(&worker, 1, "192.0.2.2").err(), Some(Refused::Total));
    assert!(admit(&worker, 0, "192.0.2.2").is_ok(), "the other listener has room");
}

#[test]
fn a_reload_forgets_no_connection() {
    let built = build("connections_per_client = 1", None);
    let worker = worker(&built, &Arc::default());
    let open = admit(&worker, 1, "192.0.2.1").ok().unwrap();
    let next = build("connections_per_client = 1", Some(&built));
    worker.apply(Command::Swap(next.snapshot.clone()));
    assert_eq!(admit(&worker, 1, "192.0.2.1").err(), Some(Refused::Client));
    drop(open);
    assert!(admit(&worker, 1, "192.0.2.1").is_ok());
}

#[test]
fn keeps_the_memory_of_few_exchanges() {
    let built = build("", None);
    let worker = worker(&built, &Arc::default());
    (0..POOLED_EXCHANGES + 10).for_each(|_| worker.give_exchange(Box::default()));
    assert_eq!(worker.exchanges.borrow().len(), POOLED_EXCHANGES);
}
