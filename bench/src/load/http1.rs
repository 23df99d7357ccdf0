//! HTTP/1.1 over TCP or TLS: one thread, epoll, and a number of connections that it keeps busy.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::time::Timespec;

use super::connection::{Connection, Step};
use super::tls::Tls;
use super::{Batch, Job, MAX_ERRORS};

/// Bytes read at once.
const READ_SIZE: usize = 256 * 1024;
/// Connections from one source address; the next 127.0.0.x takes over, so that ports never run out.
const PER_SOURCE: usize = 5000;

/// Connections of HTTP/1.1 to one proxy.
pub(crate) struct Load {
    target: SocketAddr,
    tls: Option<Tls>,
    pub(super) epoll: OwnedFd,
    pub(super) connections: Vec<Connection>,
    events: Vec<Event>,
    pub(super) scratch: Vec<u8>,
}

impl Load {
    /// Opens `count` connections to `target`.
    pub(crate) fn open(target: SocketAddr, count: usize) -> io::Result<Self> {
        Self::open_with(target, count, None)
    }

    /// The same, with TLS over them if `tls` says how.
    pub(super) fn open_with(target: SocketAddr, count: usize, tls: Option<Tls>) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let (connections, events) = (Vec::with_capacity(count), Vec::with_capacity(512));
        let mut load = Self { target, tls, epoll, connections, events, scratch: vec![0; READ_SIZE] };
        for index in 0..count {
            let connection = load.connect(index)?;
            load.connections.push(connection);
        }
        Ok(load)
    }

    pub(super) fn connect(&self, index: usize) -> io::Result<Connection> {
        let source = 1 + u8::try_from(index / PER_SOURCE).unwrap_or(u8::MAX - 1);
        let source = (source > 1).then(|| Ipv4Addr::new(127, 0, 0, source));
        let tls = self.tls.as_ref().map(|tls| tls.begin(index)).transpose()?;
        let connection = Connection::open(self.target, source, tls)?;
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
                batch.lose(total);
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
    pub(super) fn wait(&mut self) -> io::Result<Vec<usize>> {
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
