//! Syslog: each line a message in a datagram, of RFC 5424 over UDP (RFC 5426), as `syslog(3)` writes it on a local socket.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use usher_api::RecordView;
use usher_config::config::SyslogAddress;

use super::{Losses, Output};
use crate::sinks::access_log::clock::Clock;
use crate::sinks::access_log::options::Destination;

/// The longest message (bytes): what daemons take by default. Longer ones are cut.
const MAX_MESSAGE: usize = 8192;

/// A daemon that does not read is waited for so long.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// A daemon that did not take a message gets none for so long, so that a dead one costs little.
const RETRY_PERIOD: Duration = Duration::from_secs(1);

/// "Informational" (RFC 5424, table 2).
const SEVERITY: u8 = 6;

/// What stands before each message: over UDP `<PRI>1 TIME HOST TAG PID - - ` (RFC 5424, section 6.2).
///
/// On a local socket it is `<PRI>TAG[PID]: ` (RFC 3164, section 4.1): rsyslog and journald read nothing else there, and
/// would take `1` for the name of the program. That form's time has no zone, so it is left to the daemon's own clock.
pub(in super::super) struct SyslogHeader {
    before_time: Vec<u8>,
    /// If there is a time.
    after_time: Option<Vec<u8>>,
}

impl SyslogHeader {
    /// The header for a destination, if it is syslog.
    pub(in super::super) fn of(destination: &Destination) -> Option<Self> {
        let Destination::Syslog { facility, tag, address } = destination else { return None };
        let priority = facility.min(&23) * 8 + SEVERITY;
        let (host, tag, process) = (name(&host_name(), 255), name(tag, 48), std::process::id());
        let (before_time, after_time) = match address {
            SyslogAddress::Unix(_) => (format!("<{priority}>{tag}[{process}]: "), None),
            SyslogAddress::Udp(_) => {
                (format!("<{priority}>1 "), Some(format!(" {host} {tag} {process} - - ").into()))
            }
        };
        Some(Self { before_time: before_time.into(), after_time })
    }

    /// Appends it.
    pub(in super::super) fn write(&self, view: &RecordView<'_>, line: &mut Vec<u8>, clock: &mut Clock) {
        line.extend_from_slice(&self.before_time);
        if let Some(after_time) = &self.after_time {
            clock.rfc3339(view.started_unix_micros, line);
            line.extend_from_slice(after_time);
        }
    }
}

/// Printable ASCII without blanks (RFC 5424, section 6), or `-`.
fn name(text: &str, limit: usize) -> String {
    let name: String = text.chars().filter(char::is_ascii_graphic).take(limit).collect();
    if name.is_empty() { "-".to_owned() } else { name }
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::fs::read_to_string("/etc/hostname"))
        .unwrap_or_default()
}

/// Messages to a daemon.
struct Syslog<S> {
    name: String,
    connect: Box<dyn Fn() -> io::Result<S> + Send>,
    socket: Option<S>,
    /// When sending last failed.
    failed: Option<Instant>,
}

/// A socket of datagrams.
trait Datagrams: Send {
    fn send(&self, message: &[u8]) -> io::Result<usize>;
}

impl Datagrams for UnixDatagram {
    fn send(&self, message: &[u8]) -> io::Result<usize> {
        UnixDatagram::send(self, message)
    }
}

impl Datagrams for UdpSocket {
    fn send(&self, message: &[u8]) -> io::Result<usize> {
        UdpSocket::send(self, message)
    }
}

pub(super) fn unix(path: &Path) -> impl Output + use<> {
    let path: PathBuf = path.to_owned();
    let name = format!("syslog at `{}`", path.display());
    let connect = move || {
        let socket = UnixDatagram::unbound()?;
        socket.connect(&path)?;
        socket.set_write_timeout(Some(SEND_TIMEOUT))?;
        Ok(socket)
    };
    Syslog { name, connect: Box::new(connect), socket: None, failed: None }
}

pub(super) fn udp(address: SocketAddr) -> impl Output {
    let connect = move || {
        let any = match address {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = UdpSocket::bind(any)?;
        socket.connect(address)?;
        socket.set_write_timeout(Some(SEND_TIMEOUT))?;
        Ok(socket)
    };
    Syslog { name: format!("syslog at `{address}`"), connect: Box::new(connect), socket: None, failed: None }
}

impl<S: Datagrams> Syslog<S> {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => (self.connect)()?,
        };
        socket.send(message)?;
        self.socket = Some(socket);
        Ok(())
    }

    /// Sends; a daemon that was started anew has a new socket, which a second attempt finds.
    fn send_or_reconnect(&mut self, message: &[u8]) -> io::Result<()> {
        match self.send(message) {
            Err(cause) if cause.kind() != io::ErrorKind::WouldBlock => self.send(message),
            result => result,
        }
    }
}

impl<S: Datagrams> Output for Syslog<S> {
    fn put(&mut self, line: &[u8], losses: &mut Losses) {
        if self.failed.is_some_and(|failed| failed.elapsed() < RETRY_PERIOD) {
            losses.lines += 1;
            return;
        }
        let sent = self.send_or_reconnect(cut(line.strip_suffix(b"\n").unwrap_or(line)));
        self.failed = sent.is_err().then(Instant::now);
        if let Err(cause) = sent {
            losses.add(1, cause);
        }
    }

    fn finish(&mut self, _: &mut Losses) {}

    fn reopen(&mut self, _: &mut Losses) {
        (self.socket, self.failed) = (None, None);
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

/// The message up to its greatest length, without the half of a character at its end.
fn cut(message: &[u8]) -> &[u8] {
    let mut end = message.len().min(MAX_MESSAGE);
    while end < message.len() && end > 0 && message[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    &message[..end]
}
