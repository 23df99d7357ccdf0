//! The load: one thread that keeps a number of connections busy and verifies every response.
//!
//! A batch is a closed loop (each connection or stream sends its next request when the last response is complete);
//! `open.rs` sends at a fixed rate, and `housekeeping.rs` tells which requests the kernel may have delayed meanwhile. A
//! response counts when its status is 200 and its body has the right length and the right bytes; everything else is an
//! error, and the first one is kept to be shown.
//!
//! - `http1.rs`, `connection.rs`, `tls.rs`: HTTP/1.1 over TCP and TLS, with epoll.
//! - `streams.rs`, `carrier.rs`: HTTP/2 and HTTP/3, with Usher's own clients.

mod carrier;
mod connection;
mod housekeeping;
mod http1;
mod open;
mod streams;
pub(crate) mod tls;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub(crate) use self::http1::Load;
pub(crate) use self::open::Arrivals;
use self::streams::Streams;
use self::tls::Tls;
use crate::http;
use crate::options::Flags;
use crate::works::{Door, Handshake};

/// A batch with more errors than this ends: the proxy is broken, not slow.
const MAX_ERRORS: u64 = 1000;

/// One kind of request and what its response must be.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// Head and body as HTTP/1.1 has them.
    request: Vec<u8>,
    /// Where in that the body begins.
    head: usize,
    /// The body that must come back.
    body: Vec<u8>,
    /// Whether each request has a connection of its own.
    close: bool,
    /// That it has shows by its end only: nothing between the two sides says so.
    unannounced: bool,
    /// Whether it is a gRPC call: lengths are not known before, and the status comes in the trailers.
    grpc: bool,
}

impl Job {
    fn new(head: &[u8], upload: &[u8], body: Vec<u8>) -> Self {
        Self {
            request: [head, upload].concat(),
            head: head.len(),
            body,
            close: false,
            unannounced: false,
            grpc: false,
        }
    }

    /// GET of a body of `size` bytes; with `close`, on a connection of its own.
    pub(crate) fn get(path: &str, size: usize, close: bool) -> Self {
        Self { close, ..Self::new(&http::get(path, close), &[], http::body(size)) }
    }

    /// GET on a connection of its own, of which the response does not say that it ends.
    pub(crate) fn get_unannounced(path: &str, size: usize) -> Self {
        Self { unannounced: true, ..Self::get(path, size, true) }
    }

    /// POST of a body of `size` bytes to `/sink`.
    pub(crate) fn upload(size: usize) -> Self {
        Self::new(&http::post("/sink", size), &http::body(size), b"ok".to_vec())
    }

    /// A unary gRPC call.
    pub(crate) fn grpc() -> Self {
        let message = http::grpc_message();
        Self { grpc: true, ..Self::new(&http::grpc(), &message, message.clone()) }
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

    /// Counts what of `total` has not come.
    fn lose(&mut self, total: u64) {
        let lost = total.saturating_sub(self.done + self.errors);
        if lost > 0 {
            self.first_error.get_or_insert_with(|| format!("{lost} responses did not come in time"));
            self.errors += lost;
        }
    }
}

/// Where a proxy is, and how to speak with it.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) door: Door,
    /// The certificate that it shows (PEM), where the door has TLS.
    pub(crate) certificate: PathBuf,
}

/// Connections to one proxy, over whichever protocol.
pub(crate) enum Client {
    /// HTTP/1.1.
    Single(Load),
    /// HTTP/2 and HTTP/3.
    Streams(Streams),
}

impl Client {
    /// Opens `connections` to `target`; each carries `streams` requests at once, where the protocol can do that.
    pub(crate) fn open(target: &Target, connections: usize, streams: usize) -> io::Result<Self> {
        let tls = |handshake| Tls::new(&target.certificate, handshake, connections);
        Ok(match target.door {
            Door::Http | Door::Tcp => Self::Single(Load::open(target.address, connections)?),
            Door::Https(handshake) => {
                Self::Single(Load::open_with(target.address, connections, Some(tls(handshake)?))?)
            }
            Door::H2 | Door::H2c | Door::H3 => Self::Streams(Streams::open(target, connections, streams)?),
        })
    }

    /// Sends `total` requests, until `deadline`.
    pub(crate) fn batch(&mut self, job: &Job, total: u64, deadline: Instant) -> io::Result<Batch> {
        match self {
            Self::Single(load) => load.batch(job, total, deadline),
            Self::Streams(streams) => Ok(streams.batch(job, total, deadline)),
        }
    }

    /// One request on each connection, at most `at_once` at a time.
    pub(crate) fn one_each(&mut self, job: &Job, at_once: usize, deadline: Instant) -> io::Result<Batch> {
        match self {
            Self::Single(load) => load.one_each(job, at_once, deadline),
            Self::Streams(streams) => Ok(streams.one_each(job, at_once, deadline)),
        }
    }
}

/// `usher-bench load ADDRESS …`: a closed loop by hand, for looking at one proxy with a profiler.
pub(crate) fn main(arguments: &[String]) -> io::Result<()> {
    let mut flags = Flags::new(arguments);
    let name = flags.value("--work")?.unwrap_or_else(|| "1k-128".to_owned());
    let work =
        crate::works::named(&name).ok_or_else(|| io::Error::other(format!("there is no work `{name}`")))?;
    let usual = u64::try_from(work.connections).unwrap_or(u64::MAX);
    let connections = flags.number("--connections")?.unwrap_or(usual);
    let requests = flags.number("--requests")?.unwrap_or(work.requests);
    let seconds = flags.number("--seconds")?.unwrap_or(60);
    let certificate = flags.value("--certificate")?.map_or_else(PathBuf::new, PathBuf::from);
    let address =
        flags.positional().ok_or_else(|| io::Error::other("which address? `load 127.0.0.1:8080`"))?;
    flags.finish()?;
    let parsed = address.parse();
    let address = parsed.map_err(|_| io::Error::other(format!("`{address}` is no socket address")))?;
    let connections = usize::try_from(connections).map_err(io::Error::other)?;
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let target = Target { address, door: work.door, certificate };
    let mut client = Client::open(&target, connections, work.streams)?;
    if work.door == Door::Https(Handshake::Resumed) {
        // Each connection needs a ticket first; what comes without counts as an error.
        client.batch(&work.job(), usual.saturating_mul(2), deadline)?;
    }
    let batch = client.batch(&work.job(), requests, deadline)?;
    let rate = batch.done as f64 / batch.elapsed.as_secs_f64();
    println!("{} done, {} errors, {rate:.0} requests/s", batch.done, batch.errors);
    match batch.first_error {
        Some(error) => Err(io::Error::other(error)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
