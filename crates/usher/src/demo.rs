//! What `usher` serves when it is told nothing: two small endpoints in this process, behind a balanced route.

mod answer;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::origin::Origin;
use crate::terminal::Failure;

/// Where the demo listens if nobody else does; else the next free one of these.
const PORTS: std::ops::RangeInclusive<u16> = 8080..=8089;
/// Likewise for its admin listener.
const ADMIN_PORTS: std::ops::RangeInclusive<u16> = 9180..=9189;
/// Connections at once to one endpoint; more are closed. Usher itself is the only client.
const MAX_CONNECTIONS: usize = 512;
/// Bytes of a request's head, and of a body that is read and thrown away.
const MAX_HEAD: usize = 64 << 10;
const MAX_THROWN_AWAY: u64 = 16 << 20;
/// How long an endpoint waits for a request, and for the rest of one.
const IDLE: Duration = Duration::from_secs(90);
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Stack of a connection's thread (bytes).
const STACK: usize = 256 << 10;
/// What the endpoints are called.
const NAMES: [&str; 2] = ["left", "right"];

/// The running endpoints, and what serves them. They end with the process.
#[derive(Debug)]
pub(crate) struct Demo {
    endpoints: Vec<(&'static str, SocketAddr)>,
    listen: SocketAddr,
    admin: Option<SocketAddr>,
}

impl Demo {
    /// Starts the endpoints and finds free ports.
    pub(crate) fn start() -> Result<Self, Failure> {
        let mut endpoints = Vec::new();
        for name in NAMES {
            let address =
                endpoint(name).map_err(|error| Failure::of("cannot start a demo endpoint", error))?;
            endpoints.push((name, address));
        }
        Ok(Self { endpoints, listen: free_port()?, admin: free(ADMIN_PORTS) })
    }

    /// Looks for free ports again, as another process was faster; false if that changes nothing.
    pub(crate) fn move_on(&mut self) -> bool {
        let Ok(listen) = free_port() else { return false };
        let before = (self.listen, self.admin);
        (self.listen, self.admin) = (listen, free(ADMIN_PORTS));
        before != (self.listen, self.admin)
    }

    /// The demo's config.
    pub(crate) fn origin(&self) -> Origin {
        let endpoint =
            |(name, address): &(&str, SocketAddr)| json!({ "address": address.to_string(), "name": name });
        let config = json!({
            "admin": self.admin.map_or("off".to_owned(), |admin| admin.to_string()),
            "access_log": "stdout",
            "limits": { "connections": 1000 },
            "listener": [{ "name": "demo", "bind": self.listen.to_string() }],
            "route": [{ "name": "demo", "cluster": "demo" }],
            "cluster": { "demo": { "endpoints": self.endpoints.iter().map(endpoint).collect::<Vec<_>>() } },
        });
        let bytes = format!("{config:#}").into_bytes();
        Origin::Text { name: "<demo>", bytes, format: Some(usher_config::Format::Json) }
    }

    /// What to try next.
    pub(crate) fn hints(&self) -> String {
        let Self { listen, admin, .. } = self;
        let moved = match listen.port() {
            port if port == *PORTS.start() => String::new(),
            port => format!("port {} is taken, so the demo is on {port}\n", PORTS.start()),
        };
        let metrics = admin.map(|admin| format!("  curl http://{admin}/metrics\n")).unwrap_or_default();
        format!(
            "{moved}there is no usher.toml here or in /etc/usher, so this is a demo: two endpoints in this process behind one route\n\
             try next:\n  curl http://{listen}/        again and again: the endpoints take turns\n  \
             curl -H 'accept: application/json' http://{listen}/what/they/see?q=1\n{metrics}  \
             usher init                         a config of your own, then `usher run`\n"
        )
    }
}

fn free_port() -> Result<SocketAddr, Failure> {
    free(PORTS).ok_or_else(|| {
        let ports = format!("{} to {}", PORTS.start(), PORTS.end());
        let message = format!("the demo finds no free port on 127.0.0.1: {ports} are taken");
        Failure::Message(format!("{message}; `usher init` writes a config of your own"))
    })
}

/// The first port of a range on which nobody listens.
fn free(mut ports: std::ops::RangeInclusive<u16>) -> Option<SocketAddr> {
    let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    ports.find(|port| TcpListener::bind(address(*port)).is_ok()).map(address)
}

/// Starts an endpoint on a port that the system chooses.
fn endpoint(name: &'static str) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::Builder::new()
        .name(format!("demo-{name}"))
        .stack_size(STACK)
        .spawn(move || accept(name, &listener))?;
    Ok(address)
}

fn accept(name: &'static str, listener: &TcpListener) {
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        let Ok((stream, _)) = listener.accept() else {
            thread::sleep(Duration::from_millis(50));
            continue;
        };
        if open.fetch_add(1, Ordering::Relaxed) >= MAX_CONNECTIONS {
            open.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let place = Place(open.clone());
        // If no thread can be had, the connection is closed, and so is its place given back.
        let _ = thread::Builder::new().name(format!("demo-{name}")).stack_size(STACK).spawn(move || {
            let _place = place;
            let _ = serve(name, stream);
        });
    }
}

/// Gives a connection's place back.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Answers requests until one has a body: that is thrown away, and with it the connection.
fn serve(name: &str, mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(IDLE))?;
    let mut input = Vec::new();
    loop {
        let Some(end) = head(&mut stream, &mut input)? else { return Ok(()) };
        let request = answer::Request::parse(&input[..end]);
        input.drain(..end);
        stream.write_all(&answer::render(name, &request))?;
        if request.has_body {
            return throw_away(stream);
        }
    }
}

/// Reads until a head is whole; gives its length. None at the end of the connection.
fn head(stream: &mut TcpStream, input: &mut Vec<u8>) -> std::io::Result<Option<usize>> {
    let mut buffer = [0; 4096];
    loop {
        if let Some(at) = input.windows(4).position(|four| four == b"\r\n\r\n") {
            return Ok(Some(at + 4));
        }
        let count = stream.read(&mut buffer)?;
        if count == 0 || input.len() > MAX_HEAD {
            return Ok(None);
        }
        input.extend_from_slice(buffer.get(..count).unwrap_or_default());
    }
}

/// Reads a body to its end, so that the close does not destroy the answer.
fn throw_away(stream: TcpStream) -> std::io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(LAST_WORDS))?;
    std::io::copy(&mut stream.take(MAX_THROWN_AWAY), &mut std::io::sink()).map(|_| ())
}
