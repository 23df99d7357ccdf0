//! One thread that serves: a runtime of its own, its own sockets, clusters and connections.

use std::cell::RefCell;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use usher_api::metrics::WorkerMetrics;
use usher_engine::accept::{self, Stop};
use usher_engine::connection::IdleConnections;
use usher_engine::snapshot::{ListenerSpec, ResolvedEndpoint};
use usher_engine::udp::{PassedSession, Port};
use usher_engine::{Command, Drain, Snapshot, Worker};
use usher_net::datagrams::{self, BoundDatagrams};
use usher_net::quic::{BoundUdp, QuicListener, QuicOptions};
use usher_net::{Accepted, BoundSocket, Listener, SystemDialer, pin_to_core};

use super::event::Event;
use super::sockets::SocketId;
use crate::log;

/// Tasks that run before the runtime asks the kernel again. Higher means fewer system calls under load, at the price of
/// later notice of new bytes; a task here is a few microseconds.
const EVENT_INTERVAL: u32 = 61;
/// Tasks that run before orders from other threads are looked at.
const ORDER_INTERVAL: u32 = 61;
/// How often a draining worker looks whether its last connection is gone.
const DRAIN_CHECK: Duration = Duration::from_millis(5);

/// How long before the end of `timeouts.drain` a worker ends what has not ended, so that there is a record of it: a tenth
/// of that time, and this at most.
const CUT_AHEAD: Duration = Duration::from_millis(500);

/// What a worker is told.
pub(super) enum Order {
    /// Serve by this snapshot, on these sockets more, and no more on those.
    Change {
        /// The snapshot; none to stay with the one that serves.
        snapshot: Option<Arc<Snapshot>>,
        /// Sockets to accept from.
        open: Vec<Opened>,
        /// Sockets to close once their queues are empty.
        close: Vec<SocketId>,
    },
    /// A cluster's endpoints changed.
    Endpoints(Arc<str>, Arc<Vec<ResolvedEndpoint>>),
    /// Pass sessions of UDP on these sockets on to another process, and take nothing more.
    PassOn(Vec<SocketId>, mpsc::Sender<Vec<Passed>>),
    /// Go on with sessions of UDP that another process had on a socket.
    TakeOver(Passed),
    /// No more sessions come from another process: take datagrams.
    Alone,
    /// Say that you are there.
    Ping(mpsc::Sender<()>),
    /// Finish what is under way and end.
    Drain(Drain),
}

/// Sessions of UDP on one socket.
pub(super) struct Passed {
    /// The address.
    pub(super) id: SocketId,
    /// Which of its sockets.
    pub(super) number: usize,
    /// The sessions.
    pub(super) sessions: Vec<PassedSession>,
}

/// What a worker takes from.
pub(super) enum Source {
    /// Connections; and those of HTTP/3 by another socket, if that is spoken.
    Streams(BoundSocket, Option<BoundUdp>),
    /// Datagrams, of the socket of this number among those of the address. If it `waits`, sessions of another process come
    /// first.
    Datagrams { socket: BoundDatagrams, number: usize, waits: bool },
}

/// A socket of one worker.
pub(super) struct Opened {
    /// By which it is closed later.
    pub(super) id: SocketId,
    /// The socket.
    pub(super) source: Source,
    /// The listener.
    pub(super) spec: Arc<ListenerSpec>,
    /// The listener's number in the snapshot.
    pub(super) index: u32,
}

/// What a worker begins with.
pub(super) struct Seat {
    /// Its number.
    pub(super) index: usize,
    /// The core that it stays on.
    pub(super) core: Option<usize>,
    /// What it serves by.
    pub(super) snapshot: Arc<Snapshot>,
    /// Its counters.
    pub(super) metrics: Arc<WorkerMetrics>,
    /// Connections of all workers.
    pub(super) total: Arc<AtomicU32>,
    /// Where it tells that it ended.
    pub(super) events: mpsc::Sender<Event>,
}

/// A running worker.
pub(super) struct Hand {
    orders: UnboundedSender<Order>,
    thread: Option<JoinHandle<()>>,
}

impl Hand {
    /// Tells it something. A worker that has ended hears nothing, and has said so.
    pub(super) fn tell(&self, order: Order) {
        let _ = self.orders.send(order);
    }

    /// Waits for its end.
    pub(super) fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Starts a worker.
pub(super) fn start(seat: Seat) -> std::io::Result<Hand> {
    let (orders, told) = unbounded_channel();
    let body = move || {
        let mut end = End { events: seat.events.clone(), index: seat.index, in_order: false };
        match serve(seat, told) {
            Ok(()) => end.in_order = true,
            Err(error) => log::error(format_args!("worker {} cannot run: {error}", end.index)),
        }
    };
    let thread = thread::Builder::new().name("worker".to_owned()).spawn(body)?;
    Ok(Hand { orders, thread: Some(thread) })
}

/// Tells of a worker's end, however it comes.
struct End {
    events: mpsc::Sender<Event>,
    index: usize,
    in_order: bool,
}

impl Drop for End {
    fn drop(&mut self) {
        let _ = self.events.send(Event::WorkerEnded { index: self.index, in_order: self.in_order });
    }
}

fn serve(seat: Seat, told: UnboundedReceiver<Order>) -> std::io::Result<()> {
    if let Some(core) = seat.core
        && let Err(error) = pin_to_core(core)
    {
        log::warn(format_args!("worker {} cannot stay on core {core}: {error}", seat.index));
    }
    let _grants = usher_net::shortage::charge_in_grants();
    let runtime = Builder::new_current_thread()
        .enable_all()
        .event_interval(EVENT_INTERVAL)
        .global_queue_interval(ORDER_INTERVAL)
        .on_thread_park(usher_engine::worker::rests)
        .build_local(LocalOptions::default())?;
    runtime.block_on(async move {
        let Seat { snapshot, metrics, total, .. } = seat;
        let worker = Worker::new(SystemDialer::default(), snapshot, metrics, total, seed());
        let idle = IdleConnections::new(worker.clone())?;
        tokio::task::spawn_local(worker.clone().tend());
        tokio::task::spawn_local(idle.clone().run());
        Serving { worker, idle, doors: Rc::default(), ports: RefCell::default() }.obey(told).await;
        Ok(())
    })
}

/// A seed that differs between workers and processes; not secret.
fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// The accept loops that run, and how each is stopped.
type Doors = Rc<RefCell<Vec<(SocketId, Rc<Stop>)>>>;

/// Takes an accept loop out of the list when it ends, however it ends: a drain waits for the last.
struct Door {
    doors: Doors,
    stop: Rc<Stop>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.doors.borrow_mut().retain(|(_, stop)| !Rc::ptr_eq(stop, &self.stop));
    }
}

/// A listener of UDP: the address, which of its sockets, and who takes from it.
type Numbered = (SocketId, usize, Rc<Port<SystemDialer>>);
/// The same, while it is there.
type Known = (SocketId, usize, Weak<Port<SystemDialer>>);

/// A worker at work.
struct Serving {
    worker: Rc<Worker<SystemDialer>>,
    idle: Rc<IdleConnections<SystemDialer, Accepted>>,
    doors: Doors,
    /// Listeners of UDP: the address, which of its sockets, and who takes from it.
    ports: RefCell<Vec<Known>>,
}

impl Serving {
    /// Does what it is told until it has drained.
    async fn obey(&self, mut told: UnboundedReceiver<Order>) {
        // Without anybody who could say more, there is no time either.
        let mut drain = Drain { patience: Duration::ZERO, succeeded: false };
        while let Some(order) = told.recv().await {
            match order {
                Order::Change { snapshot, open, close } => {
                    if let Some(snapshot) = snapshot {
                        self.worker.apply(Command::Swap(snapshot));
                    }
                    open.into_iter().for_each(|opened| self.open(opened));
                    close.iter().for_each(|id| self.close(*id));
                }
                Order::Endpoints(cluster, resolved) => {
                    self.worker.apply(Command::Endpoints(cluster, resolved))
                }
                Order::Ping(answer) => {
                    let _ = answer.send(());
                }
                Order::PassOn(ids, answer) => {
                    let _ = answer.send(self.pass_on(&ids));
                }
                Order::TakeOver(passed) => {
                    let ports = self.ports();
                    let is_meant = |port: &&Numbered| (port.0, port.1) == (passed.id, passed.number);
                    if let Some((.., port)) = ports.iter().find(is_meant) {
                        port.adopt(passed.sessions);
                    }
                }
                Order::Alone => self.ports().iter().for_each(|(.., port)| port.open()),
                Order::Drain(how) => {
                    drain = how;
                    break;
                }
            }
        }
        self.drain(drain).await;
    }

    /// Listeners of UDP that are still there.
    fn ports(&self) -> Vec<Numbered> {
        let mut ports = self.ports.borrow_mut();
        ports.retain(|(.., port)| port.strong_count() > 0);
        ports.iter().filter_map(|(id, number, port)| Some((*id, *number, port.upgrade()?))).collect()
    }

    fn pass_on(&self, ids: &[SocketId]) -> Vec<Passed> {
        let all = self.ports().into_iter().filter(|(id, ..)| ids.contains(id));
        all.map(|(id, number, port)| Passed { id, number, sessions: port.hand_over() }).collect()
    }

    fn open(&self, opened: Opened) {
        let Opened { id, source, spec, index } = opened;
        match source {
            Source::Streams(socket, udp) => self.open_streams(id, (socket, udp), spec, index),
            Source::Datagrams { socket, number, waits } => {
                self.open_datagrams((id, number), (socket, waits), spec, index);
            }
        }
    }

    fn open_datagrams(
        &self,
        (id, number): (SocketId, usize),
        (socket, waits): (BoundDatagrams, bool),
        spec: Arc<ListenerSpec>,
        index: u32,
    ) {
        let socket = match datagrams::Door::new(socket) {
            Ok(socket) => socket,
            Err(error) => {
                log::error(format_args!("cannot take datagrams of listener `{}`: {error}", spec.name));
                return;
            }
        };
        let port = Port::new(self.worker.clone(), socket, (spec, index), waits);
        self.ports.borrow_mut().push((id, number, Rc::downgrade(&port)));
        let stop = Rc::new(Stop::default());
        self.doors.borrow_mut().push((id, stop.clone()));
        let door = Door { doors: self.doors.clone(), stop: stop.clone() };
        tokio::task::spawn_local(async move {
            let _door = door;
            port.run(stop).await;
        });
    }

    fn open_streams(
        &self,
        id: SocketId,
        (socket, udp): (BoundSocket, Option<BoundUdp>),
        spec: Arc<ListenerSpec>,
        index: u32,
    ) {
        let quic = udp.and_then(|udp| self.open_quic(udp, &spec));
        let listener = match Listener::new(socket, &spec.socket) {
            Ok(listener) => listener,
            Err(error) => {
                log::error(format_args!("cannot accept connections of listener `{}`: {error}", spec.name));
                return;
            }
        };
        let stop = Rc::new(Stop::default());
        self.doors.borrow_mut().push((id, stop.clone()));
        let door = Door { doors: self.doors.clone(), stop: stop.clone() };
        let (worker, idle) = (self.worker.clone(), self.idle.clone());
        tokio::task::spawn_local(async move {
            let _door = door;
            let both = async {
                if let Some((quic, end)) = quic {
                    let streams = accept::run(worker.clone(), idle, listener, spec.clone(), index, stop);
                    // The one is stopped when the other is.
                    let streams = async {
                        streams.await;
                        end.stop();
                    };
                    tokio::join!(streams, accept::run_quic(worker, quic, spec, index, end.clone()));
                } else {
                    accept::run(worker, idle, listener, spec, index, stop).await;
                }
            };
            both.await;
        });
    }

    fn open_quic(&self, udp: BoundUdp, spec: &ListenerSpec) -> Option<(QuicListener, Rc<Stop>)> {
        let tls = spec.tls.as_ref()?.quic.clone()?;
        let keys = self.worker.local().shared.trust.quic_keys()?;
        let options = QuicOptions {
            max_streams: spec.streams,
            idle_timeout: spec.timeouts.keep_alive,
            handshake_timeout: spec.timeouts.handshake,
            ..QuicOptions::new(keys)
        };
        match QuicListener::new(udp, tls, &options) {
            Ok(listener) => Some((listener, Rc::default())),
            Err(error) => {
                log::error(format_args!("cannot accept HTTP/3 on listener `{}`: {error}", spec.name));
                None
            }
        }
    }

    fn close(&self, id: SocketId) {
        self.doors.borrow().iter().filter(|(open, _)| *open == id).for_each(|(_, stop)| stop.stop());
    }

    /// Closes the doors, waits until nobody can come in, then until everybody has left. The control thread limits how
    /// long that may take.
    async fn drain(&self, drain: Drain) {
        self.doors.borrow().iter().for_each(|(_, stop)| stop.stop());
        let last = Instant::now() + (drain.patience - CUT_AHEAD.min(drain.patience / 10));
        let mut cut = false;
        // Who comes in from now on is served once, and told that the connection ends.
        self.worker.apply(Command::Drain(drain));
        while !self.doors.borrow().is_empty() || self.worker.connections() > 0 {
            tokio::time::sleep(DRAIN_CHECK).await;
            if !cut && Instant::now() >= last {
                cut = true;
                self.worker.apply(Command::Cut);
            }
        }
    }
}
