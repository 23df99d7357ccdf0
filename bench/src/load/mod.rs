//! The load: one thread that keeps a number of connections busy and verifies every response.
//!
//! `Load::batch` is the closed loop (each connection sends its next request when the last response is complete);
//! `open.rs` sends at a fixed rate. A response counts when its status is 200 and its body has the right length and
//! begins with the right bytes; everything else is an error, and the first one is kept to be shown.

mod connection;
mod open;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::time::Timespec;

use self::connection::{Connection, Step};
use crate::http;
use crate::options::Flags;

/// Bytes read at once.
const READ_SIZE: usize = 256 * 1024;
/// A batch with more errors than this ends: the proxy is broken, not slow.
const MAX_ERRORS: u64 = 1000;
/// Connections from one source address; the next 127.0.0.x takes over, so that ports never run out.
const PER_SOURCE: usize = 5000;

/// One kind of request and what its response must be.
pub(crate) struct Job {
    request: Vec<u8>,
    /// The body that must come back.
    body: Vec<u8>,
    /// Whether each request has a connection of its own.
    close: bool,
}

impl Job {
    /// GET of a body of `size` bytes; with `close`, on a connection of its own.
    pub(crate) fn get(path: &str, size: usize, close: bool) -> Self {
        Self { request: http::get(path, close), body: http::body(size), close }
    }

    /// POST of a body of `size` bytes to `/sink`.
    pub(crate) fn upload(size: usize) -> Self {
        Self { request: http::post("/sink", size), body: b"ok".to_vec(), close: false }
    }
}

/// What a batch of requests came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    /// Responses that were complete and right.
    pub(crate) done: u64,
    /// Requests that failed.
    pub(crate) errors: u64,
    /// What the first failure was.
    pub(crate) first_error: Option<String>,
    /// From the first request to the last response.
    pub(crate) elapsed: Duration,
}

impl Batch {
    fn fail(&mut self, error: &io::Error) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| error.to_string());
    }
}

/// Connections to one proxy.
pub(crate) struct Load {
    target: SocketAddr,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    events: Vec<Event>,
    scratch: Vec<u8>,
}

impl Load {
    /// Opens `count` connections to `target`.
    pub(crate) fn open(target: SocketAddr, count: usize) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let (connections, events) = (Vec::with_capacity(count), Vec::with_capacity(512));
        let mut load = Self { target, epoll, connections, events, scratch: vec![0; READ_SIZE] };
        for index in 0..count {
            let connection = load.connect(index)?;
            load.connections.push(connection);
        }
        Ok(load)
    }

    fn connect(&self, index: usize) -> io::Result<Connection> {
        let source = 1 + u8::try_from(index / PER_SOURCE).unwrap_or(u8::MAX - 1);
        let source = (source > 1).then(|| Ipv4Addr::new(127, 0, 0, source));
        let connection = Connection::open(self.target, source)?;
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.epoll, connection.stream(), EventData::new_u64(index as u64), flags)?;
        Ok(connection)
    }

    /// Sends `total` requests over all connections, each the next as its response is complete, until `deadline`.
    pub(crate) fn batch(&mut self, job: &Job, total: u64, deadline: Instant) -> io::Result<Batch> {
        self.batch_over(job, total, deadline, 0..self.connections.len())
    }

    /// One request on each connection, at most `at_once` at a time.
    pub(crate) fn one_each(&mut self, job: &Job, at_once: usize, deadline: Instant) -> io::Result<Batch> {
        let mut sum = Batch::default();
        for start in (0..self.connections.len()).step_by(at_once) {
            let end = self.connections.len().min(start + at_once);
            let part = self.batch_over(job, (end - start) as u64, deadline, start..end)?;
            sum.done += part.done;
            sum.errors += part.errors;
            sum.first_error = sum.first_error.or(part.first_error);
            sum.elapsed += part.elapsed;
        }
        Ok(sum)
    }

    fn batch_over(
        &mut self,
        job: &Job,
        total: u64,
        deadline: Instant,
        over: std::ops::Range<usize>,
    ) -> io::Result<Batch> {
        let start = Instant::now();
        let mut batch = Batch::default();
        let mut left = total;
        for index in over {
            self.next(index, job, &mut left, &mut batch)?;
        }
        while batch.done + batch.errors < total {
            if Instant::now() > deadline || batch.errors > MAX_ERRORS {
                let lost = total - batch.done - batch.errors;
                batch.first_error.get_or_insert_with(|| format!("{lost} responses did not come in time"));
                batch.errors += lost;
                break;
            }
            for index in self.wait()? {
                self.advance(index, job, &mut left, &mut batch)?;
            }
        }
        batch.elapsed = start.elapsed();
        Ok(batch)
    }

    /// Goes on with one connection, and with its next requests for as long as they need no waiting.
    fn advance(&mut self, index: usize, job: &Job, left: &mut u64, batch: &mut Batch) -> io::Result<()> {
        match self.connections[index].advance(job, &mut self.scratch) {
            Ok(Step::Pending) => return Ok(()),
            Ok(Step::Done { reusable: true }) => batch.done += 1,
            Ok(Step::Done { reusable: false }) => {
                batch.done += 1;
                self.connections[index] = self.connect(index)?;
            }
            Err(error) => {
                if self.connections[index].busy() {
                    batch.fail(&error);
                }
                self.connections[index] = self.connect(index)?;
            }
        }
        self.next(index, job, left, batch)
    }

    fn next(&mut self, index: usize, job: &Job, left: &mut u64, batch: &mut Batch) -> io::Result<()> {
        if *left == 0 {
            return Ok(());
        }
        *left -= 1;
        if let Err(error) = self.connections[index].send(job) {
            batch.fail(&error);
            self.connections[index] = self.connect(index)?;
        }
        Ok(())
    }

    /// Waits up to a second; marks which connections can go on, and names them.
    fn wait(&mut self) -> io::Result<Vec<usize>> {
        self.events.clear();
        let tick = Timespec { tv_sec: 1, tv_nsec: 0 };
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&tick)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut ready = Vec::with_capacity(self.events.len());
        for event in &self.events {
            let index = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
            if let Some(connection) = self.connections.get_mut(index) {
                connection.mark(event.flags);
                ready.push(index);
            }
        }
        Ok(ready)
    }
}

/// `usher-bench load ADDRESS …`: a closed loop by hand, for looking at one proxy with a profiler.
pub(crate) fn main(arguments: &[String]) -> io::Result<()> {
    let mut flags = Flags::new(arguments);
    let connections = flags.number("--connections")?.unwrap_or(128);
    let requests = flags.number("--requests")?.unwrap_or(100_000);
    let seconds = flags.number("--seconds")?.unwrap_or(60);
    let name = flags.value("--work")?.unwrap_or_else(|| "1k-128".to_owned());
    let target =
        flags.positional().ok_or_else(|| io::Error::other("which address? `load 127.0.0.1:8080`"))?;
    flags.finish()?;
    let target = target.parse().map_err(|_| io::Error::other(format!("`{target}` is no socket address")))?;
    let work =
        crate::works::named(&name).ok_or_else(|| io::Error::other(format!("there is no work `{name}`")))?;
    let connections = usize::try_from(connections).map_err(io::Error::other)?;
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let batch = Load::open(target, connections)?.batch(&work.job(), requests, deadline)?;
    let rate = batch.done as f64 / batch.elapsed.as_secs_f64();
    println!("{} done, {} errors, {rate:.0} requests/s", batch.done, batch.errors);
    match batch.first_error {
        Some(error) => Err(io::Error::other(error)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
