//! A fake endpoint: an upstream server on loopback whose answers are scripted and that records every byte it is sent.

mod reply;
#[cfg(test)]
mod tests;

use reply::After;
pub use reply::Reply;

use crate::stream::{Cancel, Listener, Stream};
use crate::{Connection, Error, Kind, Request, Result, lock};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// More connections than this are refused by closing them: each has a thread.
const MAX_CONNECTIONS: usize = 4096;

/// How long a connection may stay without a request before its thread looks for the end of the test again.
const IDLE: Duration = Duration::from_secs(3600);

/// How long the last bytes of peers that are gone may take to be read.
const SETTLE: Duration = Duration::from_secs(2);

/// What is done with each connection, in its own thread: the connection, and its number from 0.
type Handler = dyn Fn(&mut Connection, usize, &State) -> Result<()> + Send + Sync;

/// What the endpoint has seen.
#[derive(Default)]
struct State {
    received: Mutex<Vec<Arc<Mutex<Vec<u8>>>>>,
    requests: Mutex<Vec<Request>>,
    requested: Condvar,
    faults: Mutex<Vec<Error>>,
    /// Connections whose threads run.
    active: AtomicUsize,
}

/// A running fake endpoint; dropping it ends its threads and connections.
pub struct Endpoint {
    address: String,
    state: Arc<State>,
    cancel: Cancel,
    acceptor: Option<JoinHandle<()>>,
}

impl Endpoint {
    /// Answers each request with what `handler` makes of it, on a free port of 127.0.0.1.
    pub fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Result<Self> {
        let (listener, address) = Listener::tcp()?;
        Ok(Self::spawn(listener, address, answering(handler)))
    }

    /// As [`Endpoint::start`], on a Unix socket at `path`.
    pub fn start_unix(
        path: impl AsRef<Path>,
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Result<Self> {
        let (listener, address) = Listener::unix(path.as_ref())?;
        Ok(Self::spawn(listener, address, answering(handler)))
    }

    /// Answers the first request with the first reply and so on, over all connections; the last one repeats.
    pub fn script(replies: Vec<Reply>) -> Result<Self> {
        if replies.is_empty() {
            return Err(Error::usage("a script needs at least one reply"));
        }
        let next = AtomicUsize::new(0);
        Self::start(move |_| {
            let at = next.fetch_add(1, Ordering::Relaxed).min(replies.len() - 1);
            replies.get(at).cloned().unwrap_or_default()
        })
    }

    /// Hands each connection to `handler` (with its number from 0) before anything is read; for what replies cannot
    /// say, such as an answer before the request. What the handler returns as an error is kept in
    /// [`Endpoint::faults`].
    pub fn raw(
        handler: impl Fn(&mut Connection, usize) -> Result<()> + Send + Sync + 'static,
    ) -> Result<Self> {
        let (listener, address) = Listener::tcp()?;
        let handler =
            move |connection: &mut Connection, number: usize, _: &State| handler(connection, number);
        Ok(Self::spawn(listener, address, Arc::new(handler)))
    }

    fn spawn(listener: Listener, address: String, handler: Arc<Handler>) -> Self {
        let (state, cancel) = (Arc::new(State::default()), Cancel::default());
        let (in_thread, ended) = (Arc::clone(&state), cancel.clone());
        let acceptor = std::thread::spawn(move || accept_all(&listener, &handler, &in_thread, &ended));
        Self { address, state, cancel, acceptor: Some(acceptor) }
    }

    /// The address as a config writes it: `127.0.0.1:PORT` or `unix:PATH`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The socket address; `None` for a Unix socket.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        self.address.parse().ok()
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        lock(&self.state.received).len()
    }

    /// Every byte received so far, per connection in the order of acceptance.
    pub fn received(&self) -> Vec<Vec<u8>> {
        lock(&self.state.received).iter().map(|bytes| lock(bytes).clone()).collect()
    }

    /// The requests received so far, in the order of their last bytes.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.state.requests).clone()
    }

    /// How many requests were received.
    pub fn request_count(&self) -> usize {
        lock(&self.state.requests).len()
    }

    /// Waits until `count` requests have been received.
    pub fn wait_for_requests(&self, count: usize, timeout: Duration) -> Result<Vec<Request>> {
        let deadline = Instant::now() + timeout;
        let mut requests = lock(&self.state.requests);
        while requests.len() < count {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let seen = requests.len();
                return Err(Error::new(
                    Kind::Timeout,
                    format!("{seen} of {count} requests came in {timeout:?}"),
                ));
            }
            let waited = self.state.requested.wait_timeout(requests, left);
            requests = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        Ok(requests.clone())
    }

    /// What went wrong on connections: requests that were malformed or cut short, answers that could not be sent.
    pub fn faults(&self) -> Vec<Error> {
        lock(&self.state.faults).clone()
    }

    /// Waits, within reason, for the ends of all connections: for peers that are gone.
    pub(crate) fn settle(&self) {
        let deadline = Instant::now() + SETTLE;
        while self.state.active.load(Ordering::Acquire) > 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Stops accepting and ends all connections.
    pub fn stop(&mut self) {
        self.cancel.raise();
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.stop();
    }
}

fn accept_all(listener: &Listener, handler: &Arc<Handler>, state: &Arc<State>, cancel: &Cancel) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    while !cancel.is_raised() {
        let Ok(stream) = listener.accept(Instant::now() + IDLE, cancel) else { continue };
        threads.retain(|thread| !thread.is_finished());
        if threads.len() < MAX_CONNECTIONS {
            let (handler, state, cancel) = (Arc::clone(handler), Arc::clone(state), cancel.clone());
            let number = lock(&state.received).len();
            let record = Arc::new(Mutex::new(Vec::new()));
            lock(&state.received).push(Arc::clone(&record));
            state.active.fetch_add(1, Ordering::AcqRel);
            threads.push(std::thread::spawn(move || {
                serve(stream, number, record, (&*handler, &state), cancel);
            }));
        }
    }
    for thread in threads {
        let _ = thread.join();
    }
}

fn serve(
    stream: Stream,
    number: usize,
    record: Arc<Mutex<Vec<u8>>>,
    (handler, state): (&Handler, &State),
    cancel: Cancel,
) {
    let mut connection = Connection::new(stream, cancel).recording(record);
    match handler(&mut connection, number, state) {
        Ok(()) => {}
        Err(error) if error.kind == Kind::Cancelled => {}
        Err(error) => lock(&state.faults).push(error),
    }
    state.active.fetch_sub(1, Ordering::AcqRel);
}

/// The handler that reads requests one after the other and gives each its reply.
fn answering(reply_to: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Arc<Handler> {
    Arc::new(move |connection: &mut Connection, _: usize, state: &State| {
        loop {
            connection.set_timeout(IDLE);
            let request = match connection.read_request() {
                Ok(request) => request,
                // The end of a connection between two requests is no fault.
                Err(error) if error.is_end() && error.received.is_empty() => return Ok(()),
                Err(error) => return Err(error),
            };
            lock(&state.requests).push(request.clone());
            state.requested.notify_all();
            let reply = reply_to(&request);
            if reply.play(connection, &request)? == After::Ended {
                return Ok(());
            }
        }
    })
}
