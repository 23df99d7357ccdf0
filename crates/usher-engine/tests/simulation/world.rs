//! One worker in a world without sockets, with time that passes when nobody has anything to do.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use tokio::task::{JoinHandle, LocalSet, spawn_local};
use usher_api::metrics::Registry;
use usher_config::{Input, LoadOptions};
use usher_engine::connection::{self, Door};
use usher_engine::snapshot::{Builder, Built};
use usher_engine::{Command, Worker};
use usher_extensions::balancers::BALANCERS;
use usher_extensions::filters::FILTERS;
use usher_net::{Address, Dialer};

use crate::net::{self, SimStream};
use crate::rng::Rng;

/// What becomes of a dial.
pub(crate) enum Dialed {
    /// A connection, whose other end is in the endpoint's hands, after a while.
    Connected(SimStream, Duration),
    Refused,
    /// No answer ever.
    Silent,
}

/// Answers dials by the port of their address.
pub(crate) type Reception = Rc<dyn Fn(u16) -> Dialed>;

#[derive(Clone)]
pub(crate) struct SimDialer(Reception);

impl Dialer for SimDialer {
    type Stream = SimStream;

    async fn dial(&self, address: &Address) -> io::Result<SimStream> {
        let Address::Ip(address) = address else { return Err(io::ErrorKind::Unsupported.into()) };
        match (self.0)(address.port()) {
            Dialed::Connected(stream, after) => {
                if !after.is_zero() {
                    tokio::time::sleep(after).await;
                }
                Ok(stream)
            }
            Dialed::Refused => Err(io::ErrorKind::ConnectionRefused.into()),
            Dialed::Silent => std::future::pending().await,
        }
    }
}

/// A worker and what it serves by.
pub(crate) struct World {
    pub(crate) worker: Rc<Worker<SimDialer>>,
    pub(crate) registry: Arc<Registry>,
    built: RefCell<Built>,
    served: RefCell<Vec<JoinHandle<()>>>,
    pub(crate) dials: Rc<RefCell<HashMap<u16, usize>>>,
    clients: Cell<u16>,
}

/// Loads and builds a config.
pub(crate) fn build(config: &str, previous: Option<&Built>) -> Built {
    let filters: Vec<&str> = FILTERS.iter().map(|factory| factory.name).collect();
    let options = LoadOptions { format: None, env: &|_| None, known_filters: &filters };
    let input = Input::Text { name: "simulation.toml".into(), bytes: config.into() };
    let loaded = usher_config::load(input, &options).unwrap_or_else(|report| panic!("{report}"));
    let builder = Builder { filters: FILTERS, balancers: BALANCERS, probes: &[] };
    builder.build(&loaded, previous, None).unwrap_or_else(|report| panic!("{report}"))
}

impl World {
    pub(crate) fn new(config: &str, seed: u64, reception: Reception) -> Rc<Self> {
        let world = Self::untended(config, seed, reception);
        spawn_local(world.worker.clone().tend());
        world
    }

    /// Where large bodies wait so long for each of their turns.
    pub(crate) fn with_slow_turns(config: &str, reception: Reception, pause: Duration) -> Rc<Self> {
        Self::with_turns(config, reception, async move || tokio::time::sleep(pause).await)
    }

    /// Where a turn comes when `pause` gives something.
    pub(crate) fn with_turns(
        config: &str,
        reception: Reception,
        pause: impl AsyncFn() + 'static,
    ) -> Rc<Self> {
        let world = Self::untended(config, 1, reception);
        spawn_local(world.worker.clone().tend_with_turns(pause));
        world
    }

    fn untended(config: &str, seed: u64, reception: Reception) -> Rc<Self> {
        let built = build(config, None);
        let registry = Registry::new("0");
        let dials: Rc<RefCell<HashMap<u16, usize>>> = Rc::default();
        let counted = dials.clone();
        let reception = Rc::new(move |port| {
            *counted.borrow_mut().entry(port).or_default() += 1;
            reception(port)
        });
        let total = Arc::new(AtomicU32::new(0));
        let worker = Worker::new(
            SimDialer(reception),
            built.snapshot.clone(),
            registry.register_worker(),
            total,
            seed,
        );
        let built = RefCell::new(built);
        Rc::new(Self { worker, registry, built, served: RefCell::default(), dials, clients: Cell::new(0) })
    }

    /// A client's connection, with the proxy at its other end.
    pub(crate) fn connect(&self, capacity: usize, chaos: Option<Rng>) -> SimStream {
        let (client, server) = net::pair(capacity, chaos);
        self.clients.set(self.clients.get() + 1);
        let peer = SocketAddr::from(([192, 0, 2, 1], 10_000 + self.clients.get()));
        let local = SocketAddr::from(([127, 0, 0, 1], 8080));
        let listener = self.worker.local().shared.listeners[0].clone();
        let door = Door {
            listener,
            index: 0,
            peer: Some(peer),
            local: Some(local),
            is_fresh: true,
            is_known: false,
            session: None,
        };
        self.served.borrow_mut().push(spawn_local(connection::serve(self.worker.clone(), server, door)));
        client
    }

    /// Serves by another config from now on.
    pub(crate) fn reload(&self, config: &str) {
        let next = build(config, Some(&self.built.borrow()));
        self.worker.apply(Command::Swap(next.snapshot.clone()));
        *self.built.borrow_mut() = next;
    }

    pub(crate) fn dialed(&self, port: u16) -> usize {
        self.dials.borrow().get(&port).copied().unwrap_or(0)
    }

    /// Connections in pools now, of all endpoints.
    pub(crate) fn idle(&self) -> u64 {
        self.registry.read().endpoints.iter().map(|(_, metrics)| metrics.idle.get()).sum()
    }

    /// Requests under way at endpoints now, as the gauges have it.
    pub(crate) fn in_flight(&self) -> u64 {
        let reading = self.registry.read();
        let endpoints: u64 = reading.endpoints.iter().map(|(_, metrics)| metrics.in_flight.get()).sum();
        endpoints + reading.totals.requests.in_flight.get() + reading.totals.upstream.in_flight.get()
    }

    /// Requests that the proxy answered itself or broke off for this reason.
    pub(crate) fn reason(&self, reason: &str) -> u64 {
        let reading = self.registry.read();
        let reasons = reading.totals.requests.by_reason.iter();
        reasons.filter(|(name, _)| *name == reason).map(|(_, count)| count.get()).sum()
    }

    /// Requests that endpoints were sent.
    pub(crate) fn endpoint_requests(&self) -> u64 {
        self.registry.read().endpoints.iter().map(|(_, metrics)| metrics.requests.get()).sum()
    }

    /// Errors that are held against endpoints.
    ///
    /// # Panics
    /// If those by endpoint are not those by kind.
    pub(crate) fn endpoint_errors(&self) -> u64 {
        let reading = self.registry.read();
        let by_endpoint: u64 = reading.endpoints.iter().map(|(_, metrics)| metrics.errors.get()).sum();
        let by_kind: u64 = reading.totals.upstream.errors.iter().map(|(_, count)| count.get()).sum();
        assert_eq!(by_endpoint, by_kind);
        by_endpoint
    }

    /// Waits until every connection that was served has ended.
    ///
    /// # Panics
    /// If one panicked, or does not end within `limit`.
    pub(crate) async fn all_ended(&self, limit: Duration) {
        let served: Vec<_> = self.served.borrow_mut().drain(..).collect();
        let all = async {
            for one in served {
                one.await.expect("serving a connection panicked");
            }
        };
        tokio::time::timeout(limit, all).await.expect("a connection hangs");
    }
}

/// Runs a scene in virtual time, which may take an hour at most.
pub(crate) fn run<F: Future>(scene: impl FnOnce() -> F) -> F::Output {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        tokio::time::timeout(Duration::from_secs(3600), scene()).await.expect("hangs")
    })
}
