//! The admin listener: what it may ask of the control thread, and its socket.

use std::io;
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, mpsc};

use usher_admin::{AdminServer as Server, Socket};
use usher_api::metrics::Registry;
use usher_config::BindAddress;
use usher_config::config::Admin;

use super::event::{Event, ReloadAnswer};
use crate::terminal::Failure;

/// The running admin listener.
pub(super) struct AdminServer {
    state: Arc<State>,
    // Dropped in this order: the server first, then the file of its socket.
    _server: Server,
    _file: Option<SocketFile>,
}

/// What is told to whoever asks.
struct State {
    phase: AtomicU8,
    events: mpsc::Sender<Event>,
}

const STARTING: u8 = 0;
const READY: u8 = 1;
const DRAINING: u8 = 2;

impl usher_admin::Control for State {
    fn reload(&self) -> ReloadAnswer {
        let gone = || "the process is ending".to_owned();
        let (answer, answered) = mpsc::channel();
        let event = Event::Reload { cause: "the admin listener", answer: Some(answer) };
        self.events.send(event).map_err(|_| gone())?;
        answered.recv().unwrap_or_else(|_| Err(gone()))
    }

    fn ready(&self) -> Result<(), String> {
        match self.phase.load(Ordering::Relaxed) {
            READY => Ok(()),
            DRAINING => Err("draining".to_owned()),
            _ => Err("starting".to_owned()),
        }
    }
}

impl AdminServer {
    /// Starts it, unless the config switches it off.
    pub(super) fn start(
        config: &Admin,
        registry: &Arc<Registry>,
        events: &mpsc::Sender<Event>,
    ) -> Result<Option<Self>, Failure> {
        let Admin::On(listener) = config else { return Ok(None) };
        let bind = &listener.bind.value;
        let failed = |error: io::Error| {
            let help = match error.kind() {
                io::ErrorKind::AddrInUse => "; another usher? choose another address, or `admin = \"off\"`",
                _ => "",
            };
            Failure::Message(format!("cannot listen on `{bind}` for `admin`: {error}{help}"))
        };
        let (socket, file) = socket(bind).map_err(failed)?;
        let state = Arc::new(State { phase: AtomicU8::new(STARTING), events: events.clone() });
        let server = Server::start(socket, registry.clone(), state.clone()).map_err(failed)?;
        Ok(Some(Self { state, _server: server, _file: file }))
    }

    /// From now on `/readyz` says yes.
    pub(super) fn ready(&self) {
        self.state.phase.store(READY, Ordering::Relaxed);
    }

    /// From now on `/readyz` says no.
    pub(super) fn draining(&self) {
        self.state.phase.store(DRAINING, Ordering::Relaxed);
    }
}

/// Whether both mean the same listener.
pub(super) fn is_same(one: &Admin, other: &Admin) -> bool {
    match (one, other) {
        (Admin::Off, Admin::Off) => true,
        (Admin::On(one), Admin::On(other)) => one.bind.value == other.bind.value,
        _ => false,
    }
}

fn socket(bind: &BindAddress) -> io::Result<(Socket, Option<SocketFile>)> {
    match bind {
        BindAddress::Unix(path) => {
            let listener = unix(path)?;
            Ok((Socket::Unix(listener), Some(SocketFile(path.clone()))))
        }
        BindAddress::Socket(address) => Ok((Socket::Tcp(TcpListener::bind(address)?), None)),
        BindAddress::Any(port) => {
            let everywhere = TcpListener::bind(("::", *port)).or_else(|error| match error.kind() {
                io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Err(error),
                _ => TcpListener::bind(("0.0.0.0", *port)),
            });
            Ok((Socket::Tcp(everywhere?), None))
        }
    }
}

/// A Unix socket; the file that a crash left is replaced, a living one is not.
fn unix(path: &Path) -> io::Result<UnixListener> {
    UnixListener::bind(path).or_else(|error| {
        let is_left_over = error.kind() == io::ErrorKind::AddrInUse
            && UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
        if !is_left_over {
            return Err(error);
        }
        std::fs::remove_file(path)?;
        UnixListener::bind(path)
    })
}

/// Removes the file of a socket.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
