//! The admin listener: what it may ask of the control thread, and its socket.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use usher_admin::{AdminServer as Server, Socket};
use usher_api::metrics::Registry;
use usher_config::BindAddress;
use usher_config::config::Admin;
use usher_net::{Address, Inherited};

use super::event::{Event, ReloadAnswer};
use super::inheritance::Inheritance;
use super::upgrade::Message;
use crate::terminal::Failure;

/// The running admin listener.
pub(super) struct AdminServer {
    state: Arc<State>,
    // Dropped in this order: the server first, then the file of its socket.
    server: Server,
    file: Option<SocketFile>,
    /// The file of an adopted socket, which is the other process's until that one has stopped.
    lent: Option<PathBuf>,
    /// The socket, to hand it over.
    kept: OwnedFd,
}

/// Its socket, on which nobody answers yet.
pub(super) struct BoundAdmin {
    bind: BindAddress,
    socket: Socket,
    file: Option<SocketFile>,
    lent: Option<PathBuf>,
}

impl BoundAdmin {
    /// Opens it, unless the config switches it off.
    pub(super) fn bind(config: &Admin, inheritance: &Inheritance) -> Result<Option<Self>, Failure> {
        let Admin::On(listener) = config else { return Ok(None) };
        let bind = listener.bind.value.clone();
        let (socket, file, lent) = match inheritance.streams(LABEL, &bind).into_iter().next() {
            Some(inherited) => adopted(inherited),
            None => {
                let (socket, file) = socket(&bind).map_err(|error| failure(&bind, &error))?;
                (socket, file, None)
            }
        };
        Ok(Some(Self { bind, socket, file, lent }))
    }

    /// Answers from now on; `/readyz` says yes.
    pub(super) fn serve(
        self,
        registry: &Arc<Registry>,
        events: &mpsc::Sender<Event>,
    ) -> Result<AdminServer, Failure> {
        let Self { bind, socket, file, lent } = self;
        let kept = match &socket {
            Socket::Tcp(socket) => socket.as_fd().try_clone_to_owned(),
            Socket::Unix(socket) => socket.as_fd().try_clone_to_owned(),
        };
        let state = Arc::new(State { is_draining: AtomicBool::new(false), events: events.clone() });
        let start = |kept| Ok((Server::start(socket, registry.clone(), state.clone())?, kept));
        let (server, kept) = kept.and_then(start).map_err(|error| failure(&bind, &error))?;
        Ok(AdminServer { state, server, file, lent, kept })
    }
}

fn failure(bind: &BindAddress, error: &io::Error) -> Failure {
    let help = match error.kind() {
        io::ErrorKind::AddrInUse => "; another usher? choose another address, or `admin = \"off\"`",
        _ => "",
    };
    Failure::Message(format!("cannot listen on `{bind}` for `admin`: {error}{help}"))
}

/// What the socket is called where it is handed over.
const LABEL: &str = "admin";
/// How long whoever asked for what ended the process may take to read the answer.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// What is told to whoever asks.
struct State {
    is_draining: AtomicBool,
    events: mpsc::Sender<Event>,
}

impl usher_admin::Control for State {
    fn reload(&self) -> ReloadAnswer {
        let gone = || "the process is ending".to_owned();
        let (answer, answered) = mpsc::channel();
        let event = Event::Reload { cause: "the admin listener", answer: Some(answer) };
        self.events.send(event).map_err(|_| gone())?;
        answered.recv().unwrap_or_else(|_| Err(gone()))
    }

    fn upgrade(&self) -> ReloadAnswer {
        let gone = || "the process is ending".to_owned();
        let (answer, answered) = mpsc::channel();
        let event = Event::Upgrade { cause: "the admin listener", answer: Some(answer) };
        self.events.send(event).map_err(|_| gone())?;
        answered.recv().unwrap_or_else(|_| Err(gone()))
    }

    fn ready(&self) -> Result<(), String> {
        if self.is_draining.load(Ordering::Relaxed) { Err("draining".to_owned()) } else { Ok(()) }
    }
}

impl AdminServer {
    /// The socket, for another process.
    pub(super) fn bequeath(&self) -> io::Result<Message> {
        let own = if self.file.is_some() { "own" } else { "foreign" };
        Ok((format!("listener {own} {LABEL}"), vec![self.kept.try_clone()?]))
    }

    /// Another process answers from now on: on this socket, if that was `taken`.
    pub(super) fn leave(&mut self, taken: &[String]) {
        if taken.iter().any(|label| label == LABEL)
            && let Some(mut file) = self.file.take()
        {
            file.0 = PathBuf::new();
        }
        self.server.leave();
    }

    /// The process that the socket came from has stopped.
    pub(super) fn own_file(&mut self) {
        if let Some(path) = self.lent.take() {
            self.file = Some(SocketFile(path));
        }
    }

    /// Ends it, after the answers that are under way if another process goes on.
    pub(super) fn end(self) {
        self.server.finish(LAST_ANSWERS);
    }

    /// From now on `/readyz` says no.
    pub(super) fn draining(&self) {
        self.state.is_draining.store(true, Ordering::Relaxed);
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

/// A socket that another process, or systemd, has opened.
fn adopted(inherited: Inherited) -> (Socket, Option<SocketFile>, Option<PathBuf>) {
    let (address, owns_file) = (inherited.address().clone(), inherited.owns_file());
    let descriptor = inherited.into_descriptor();
    match address {
        Address::Ip(_) => (Socket::Tcp(descriptor.into()), None, None),
        Address::Unix(path) => (Socket::Unix(descriptor.into()), None, owns_file.then_some(path)),
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
