//! HTTP/2 and HTTP/3: a number of connections, and on each a number of streams that are kept busy.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Instant;

use tokio::runtime::{LocalOptions, LocalRuntime};
use tokio::task::spawn_local;
use usher_net::quic::QuicConnector;
use usher_wire::{h2, h3};

use super::carrier::{self, Carrier, Message};
use super::{Batch, Job, MAX_ERRORS, Target};
use crate::works::Door;

/// Connections to one proxy that carry streams.
pub(crate) struct Streams {
    clients: Vec<Client>,
    door: Door,
    /// Requests at once on each.
    each: usize,
    /// Whatever drives the connections of HTTP/3, as long as there are any.
    _quic: QuicConnector,
    /// The last one to go: all others live in it.
    runtime: LocalRuntime,
}

#[derive(Clone)]
enum Client {
    H2(h2::Client),
    H3(h3::Client),
}

/// How many requests there are.
#[derive(Clone, Copy)]
struct Share {
    /// Of all loops together.
    total: u64,
    /// Of each loop.
    most: u64,
}

/// What the streams of a batch share.
struct Shared {
    message: Message,
    left: Cell<u64>,
    batch: RefCell<Batch>,
}

impl Streams {
    /// Opens `connections` to `target`, for `each` requests at once on every one of them.
    pub(super) fn open(target: &Target, connections: usize, each: usize) -> io::Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
        let quic = carrier::quic()?;
        let clients = runtime.block_on(async {
            let mut clients = Vec::with_capacity(connections);
            for _ in 0..connections {
                clients.push(match target.door {
                    Door::H3 => Client::H3(carrier::h3(target, &quic).await?),
                    _ => Client::H2(carrier::h2(target).await?),
                });
            }
            io::Result::Ok(clients)
        })?;
        Ok(Self { clients, door: target.door, each, _quic: quic, runtime })
    }

    /// Sends `total` requests over all connections, each stream followed by the next, until `deadline`.
    pub(super) fn batch(&mut self, job: &Job, total: u64, deadline: Instant) -> Batch {
        let clients = self.clients.iter().flat_map(|client| std::iter::repeat_n(client, self.each));
        self.run(clients.cloned().collect(), job, Share { total, most: u64::MAX }, deadline)
    }

    /// One request on each connection, at most `at_once` at a time.
    pub(super) fn one_each(&mut self, job: &Job, at_once: usize, deadline: Instant) -> Batch {
        let mut sum = Batch::default();
        for clients in self.clients.chunks(at_once.max(1)) {
            let share = Share { total: clients.len() as u64, most: 1 };
            let part = self.run(clients.to_vec(), job, share, deadline);
            sum.done += part.done;
            sum.errors += part.errors;
            sum.first_error = sum.first_error.or(part.first_error);
            sum.elapsed += part.elapsed;
        }
        sum
    }

    /// A loop of requests for each of these.
    fn run(&self, clients: Vec<Client>, job: &Job, share: Share, deadline: Instant) -> Batch {
        let start = Instant::now();
        let message = match Message::new(job, self.door) {
            Ok(message) => message,
            Err(error) => {
                let mut batch = Batch::default();
                batch.fail(&error);
                return batch;
            }
        };
        let batch = RefCell::default();
        let shared = Rc::new(Shared { message, left: Cell::new(share.total), batch });
        self.runtime.block_on(async {
            let tasks: Vec<_> = clients
                .into_iter()
                .map(|client| {
                    let shared = Rc::clone(&shared);
                    match client {
                        Client::H2(client) => spawn_local(shared.keep_busy(client, share.most)),
                        Client::H3(client) => spawn_local(shared.keep_busy(client, share.most)),
                    }
                })
                .collect();
            for mut task in tasks {
                if tokio::time::timeout_at(deadline.into(), &mut task).await.is_err() {
                    task.abort();
                }
            }
        });
        let mut batch = shared.batch.take();
        batch.lose(share.total);
        batch.elapsed = start.elapsed();
        batch
    }
}

impl Shared {
    /// Sends requests one after the other, at most `most`, as long as there are any to send.
    async fn keep_busy(self: Rc<Self>, carrier: impl Carrier, most: u64) {
        for _ in 0..most {
            let left = self.left.get();
            if left == 0 || self.batch.borrow().errors > MAX_ERRORS {
                return;
            }
            self.left.set(left - 1);
            match carrier::exchange(&carrier, &self.message).await {
                Ok(()) => self.batch.borrow_mut().done += 1,
                Err(error) => self.batch.borrow_mut().fail(&error),
            }
        }
    }
}
