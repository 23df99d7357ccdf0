//! The visitors: requests at random times of a fixed seed and a fixed rate, whatever became of those before (an open
//! loop), each timed from when it was *meant* to be sent.
//!
//! Nineteen of twenty are GET, which may be repeated; the others are POST. Connections are kept, and as a browser does
//! (RFC 9112 section 9.3.1), a GET on a kept connection that turns out to be closed before any byte of a response is
//! sent once more on a new one.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{sleep_until, timeout};

use super::endpoint::BODY;
use crate::http;
use crate::load::Arrivals;

/// A visitor who has waited for so long has gone.
const PATIENCE: Duration = Duration::from_secs(10);
/// Each of so many is a POST.
const POST_EACH: u64 = 20;
/// Bytes of a POST.
const ORDER: usize = 200;
/// Connections that are kept.
const MAX_KEPT: usize = 256;

/// What is asked, and when.
pub(super) struct Visits {
    pub(super) target: SocketAddr,
    /// Requests per second.
    pub(super) rate: u64,
    pub(super) start: Instant,
    pub(super) length: Duration,
}

/// What may be done with a request that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// GET: it may be repeated.
    Get,
    /// POST: it may not, unless nobody can have acted on it.
    Post,
}

impl Kind {
    fn of(number: u64) -> Self {
        if number % POST_EACH == POST_EACH - 1 { Self::Post } else { Self::Get }
    }

    pub(super) fn method(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// What a visitor saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A complete response with 200.
    Fine,
    /// Another status.
    Status(u16),
    /// A response that ended before its end.
    Cut,
    /// No response.
    Closed,
    /// A response with other bytes.
    Wrong,
    /// Nothing for so long that the visitor went away.
    TimedOut,
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) number: u64,
    /// When it was meant to be sent, from the start.
    pub(super) at: Duration,
    pub(super) took: Duration,
    pub(super) kind: Kind,
    pub(super) outcome: Outcome,
}

type Kept = Rc<RefCell<Vec<TcpStream>>>;

/// Sends them all, and waits for the last response.
pub(super) fn run(visits: &Visits) -> io::Result<Vec<Sample>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let samples = Rc::new(RefCell::new(Vec::new()));
    runtime.block_on(LocalSet::new().run_until(send_all(visits, samples.clone())));
    Ok(samples.take())
}

async fn send_all(visits: &Visits, samples: Rc<RefCell<Vec<Sample>>>) {
    let mut arrivals = Arrivals::new(visits.rate as f64);
    let (kept, mut under_way) = (Kept::default(), JoinSet::new());
    let expected: Rc<[u8]> = http::body(BODY).into();
    for number in 0.. {
        let at = arrivals.next();
        if at >= visits.length {
            break;
        }
        let meant = visits.start + at;
        sleep_until(meant.into()).await;
        let (kept, expected, samples, target) =
            (kept.clone(), expected.clone(), samples.clone(), visits.target);
        under_way.spawn_local(async move {
            let kind = Kind::of(number);
            let request = request(kind, number);
            let asked = ask(target, &request, (&kept, &expected));
            let outcome = timeout(PATIENCE, asked).await.unwrap_or(Outcome::TimedOut);
            samples.borrow_mut().push(Sample { number, at, took: meant.elapsed(), kind, outcome });
        });
        while under_way.try_join_next().is_some() {}
    }
    while under_way.join_next().await.is_some() {}
}

fn request(kind: Kind, number: u64) -> Vec<u8> {
    match kind {
        Kind::Get => http::get(&path(number), false),
        Kind::Post => [http::post(&path(number), ORDER), http::body(ORDER)].concat(),
    }
}

/// The path of a request, by which it is found in a log.
pub(super) fn path(number: u64) -> String {
    format!("/items/{number}")
}

async fn ask(target: SocketAddr, request: &[u8], (kept, expected): (&Kept, &[u8])) -> Outcome {
    let reused = take(kept);
    let again = reused.is_some() && request.starts_with(b"GET ");
    let outcome = match reused {
        Some(stream) => exchange(stream, request, (kept, expected)).await,
        None => fresh(target, request, (kept, expected)).await,
    };
    match outcome {
        Outcome::Closed if again => fresh(target, request, (kept, expected)).await,
        outcome => outcome,
    }
}

async fn fresh(target: SocketAddr, request: &[u8], rest: (&Kept, &[u8])) -> Outcome {
    match TcpStream::connect(target).await {
        Ok(stream) => exchange(stream, request, rest).await,
        Err(_) => Outcome::Closed,
    }
}

/// A kept connection that is not known to be closed.
fn take(kept: &Kept) -> Option<TcpStream> {
    let mut kept = kept.borrow_mut();
    while let Some(stream) = kept.pop() {
        let nothing = stream.try_read(&mut [0]);
        if nothing.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            return Some(stream);
        }
    }
    None
}

async fn exchange(mut stream: TcpStream, request: &[u8], (kept, expected): (&Kept, &[u8])) -> Outcome {
    let mut bytes = Vec::with_capacity(BODY + 1024);
    if stream.set_nodelay(true).is_err() || stream.write_all(request).await.is_err() {
        return Outcome::Closed;
    }
    let head = loop {
        match stream.read_buf(&mut bytes).await {
            Ok(1..) => {}
            _ if bytes.is_empty() => return Outcome::Closed,
            _ => return Outcome::Cut,
        }
        match http::response_head(&bytes) {
            Ok(Some(head)) => break head,
            Ok(None) => {}
            Err(_) => return Outcome::Wrong,
        }
    };
    if head.status != 200 {
        return Outcome::Status(head.status);
    }
    if head.length != Some(expected.len() as u64) {
        return Outcome::Wrong;
    }
    while bytes.len() < head.size + expected.len() {
        match stream.read_buf(&mut bytes).await {
            Ok(1..) => {}
            _ => return Outcome::Cut,
        }
    }
    if bytes[head.size..] != *expected {
        return Outcome::Wrong;
    }
    let mut kept = kept.borrow_mut();
    if !head.close && kept.len() < MAX_KEPT {
        kept.push(stream);
    }
    Outcome::Fine
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_twenty_is_a_post() {
        assert_eq!((0..1000).filter(|number| Kind::of(*number) == Kind::Post).count(), 50);
        assert!(request(Kind::Post, 7).starts_with(b"POST /items/7 HTTP/1.1\r\n"));
        assert!(request(Kind::Get, 7).starts_with(b"GET /items/7 HTTP/1.1\r\n"));
    }
}
