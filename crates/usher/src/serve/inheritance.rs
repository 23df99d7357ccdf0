//! What was there before this process: the sockets of the process that it takes over from, and what that one knew; or
//! systemd's sockets.

use std::cell::RefCell;
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;

use usher_config::BindAddress;
use usher_net::quic::UdpGroup;
use usher_net::{Address, Inherited, activated};

use crate::log;

/// What nobody has asked for yet, and what was taken.
#[derive(Debug, Default)]
pub(super) struct Inheritance {
    streams: RefCell<Vec<Inherited>>,
    datagrams: RefCell<Vec<UdpGroup>>,
    /// Sockets of UDP that are not of HTTP/3, as far as is known.
    udp: RefCell<Vec<Inherited>>,
    /// Labels of what was taken.
    taken: RefCell<Vec<String>>,
    known: Vec<serde_json::Value>,
    is_systemds: bool,
    is_predecessors: bool,
}

impl Inheritance {
    /// What another process of Usher hands over.
    pub(super) fn of_predecessor(
        streams: Vec<Inherited>,
        datagrams: Vec<UdpGroup>,
        (udp, known): (Vec<Inherited>, Vec<serde_json::Value>),
    ) -> Self {
        Self {
            streams: streams.into(),
            udp: udp.into(),
            datagrams: datagrams.into(),
            known,
            is_predecessors: true,
            ..Self::default()
        }
    }

    /// What the process before knew: of endpoints, also what its administrators wanted of them, of names, and of shifts.
    pub(super) fn known(&self) -> Vec<serde_json::Value> {
        self.known.clone()
    }

    /// Whether another process still serves on them.
    pub(super) fn is_predecessors(&self) -> bool {
        self.is_predecessors
    }

    /// What systemd has opened for this process, if it has.
    pub(super) fn of_systemd() -> Self {
        let (mut streams, mut udp) = (Vec::new(), Vec::new());
        for one in activated() {
            match one {
                Ok(socket) if socket.is_stream() => streams.push(socket),
                Ok(socket) => udp.push(socket),
                Err((name, error)) => {
                    log::warn(format_args!("the socket `{name}` that systemd passed is not used: {error}"));
                }
            }
        }
        Self { streams: streams.into(), udp: udp.into(), is_systemds: true, ..Self::default() }
    }

    /// Takes the sockets for an address of a config: those that the process before had for the same (`label`), or else
    /// those that listen there. None if there are none.
    pub(super) fn streams(&self, label: &str, bind: &BindAddress) -> Vec<Inherited> {
        self.take(&self.streams, label, bind)
    }

    /// The same for sockets of a listener of UDP.
    pub(super) fn udp(&self, label: &str, bind: &BindAddress) -> Vec<Inherited> {
        self.take(&self.udp, label, bind)
    }

    /// Sockets of UDP that systemd has opened at an address, for HTTP/3.
    pub(super) fn systemds_udp(&self, address: SocketAddr) -> Option<Vec<OwnedFd>> {
        let found = if self.is_systemds { self.udp("", &BindAddress::Socket(address)) } else { Vec::new() };
        let found: Vec<OwnedFd> = found.into_iter().map(Inherited::into_descriptor).collect();
        (!found.is_empty()).then_some(found)
    }

    fn take(&self, all: &RefCell<Vec<Inherited>>, label: &str, bind: &BindAddress) -> Vec<Inherited> {
        let mut all = all.borrow_mut();
        let is_named = |one: &Inherited| !self.is_systemds && one.label() == label;
        let first = all.iter().find(|one| is_named(one)).or_else(|| all.iter().find(|one| fits(one, bind)));
        let Some(address) = first.map(|first| first.address().clone()) else { return Vec::new() };
        let (taken, left) = all.drain(..).partition(|one| *one.address() == address);
        *all = left;
        let labels = taken.iter().map(|one: &Inherited| one.label().to_owned());
        self.taken.borrow_mut().extend(labels);
        taken
    }

    /// Takes the sockets of HTTP/3 at an address.
    pub(super) fn datagrams(&self, address: std::net::SocketAddr) -> Option<UdpGroup> {
        let mut all = self.datagrams.borrow_mut();
        let found = all.iter().position(|group| group.address() == address)?;
        Some(all.swap_remove(found))
    }

    /// Whether a process that still serves has this port too, so that no other can be in the way.
    pub(super) fn has_port(&self, port: u16) -> bool {
        let has = |one: &Inherited| matches!(one.address(), Address::Ip(address) if address.port() == port);
        !self.is_systemds && self.streams.borrow().iter().any(has)
    }

    /// What was taken so far, by the labels of its giver.
    pub(super) fn taken(&self) -> Vec<String> {
        self.taken.borrow().clone()
    }

    /// Closes what nobody took, and says so if it came from systemd.
    pub(super) fn close_rest(&self) {
        self.datagrams.take();
        let rest = self.streams.take().into_iter().chain(self.udp.take());
        for socket in rest.filter(|_| self.is_systemds) {
            log::warn(format_args!(
                "the socket `{}` at {} that systemd passed is the `bind` of no listener; it is closed here",
                socket.label(),
                socket.address()
            ));
        }
    }
}

/// Whether a socket listens where a config says.
fn fits(socket: &Inherited, bind: &BindAddress) -> bool {
    match (socket.address(), bind) {
        (Address::Ip(found), BindAddress::Socket(wanted)) => found == wanted,
        (Address::Ip(found), BindAddress::Any(port)) => {
            let is_everywhere = if found.is_ipv6() { !socket.is_only_v6() } else { !has_ipv6() };
            found.port() == *port && found.ip().is_unspecified() && is_everywhere
        }
        (Address::Unix(found), BindAddress::Unix(wanted)) => found == wanted,
        _ => false,
    }
}

/// Whether `:80` can be IPv6 and IPv4 in one here.
fn has_ipv6() -> bool {
    UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn inherited(socket: TcpListener, label: &str) -> Inherited {
        Inherited::new(socket.into(), label, false).unwrap()
    }

    #[test]
    fn each_socket_goes_to_who_wants_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let unix = UnixListener::bind(&path).unwrap();
        let any = if has_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
        let all = ["127.0.0.1:0", "127.0.0.1:0", any, "0.0.0.0:0"];
        let [one, other, any, four] = all.map(|address| TcpListener::bind(address).unwrap());
        let [at_one, at_other, at_any, at_four] =
            [&one, &other, &any, &four].map(|socket| socket.local_addr().unwrap());
        let twice = one.try_clone().unwrap();
        let all = vec![
            inherited(one, "main 127.0.0.1:0"),
            inherited(twice, "main 127.0.0.1:0"),
            inherited(other, "second"),
            inherited(any, "third"),
            inherited(four, "IPv4 only"),
            Inherited::new(unix.into(), "fourth", true).unwrap(),
        ];
        let inheritance = Inheritance::of_predecessor(all, Vec::new(), Default::default());
        let take = |label: &str, bind: &str| {
            let bind: BindAddress = bind.parse().unwrap();
            let taken = inheritance.streams(label, &bind);
            taken.iter().map(|one| one.address().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(take("main 127.0.0.1:0", "127.0.0.1:0"), [at_one.to_string(), at_one.to_string()]);
        assert_eq!(take("renamed", &at_other.to_string()), [at_other.to_string()]);
        assert_eq!(take("renamed", &at_other.to_string()), [""; 0], "it is taken");
        assert_eq!(take("any", &format!("127.0.0.1:{}", at_any.port())), [""; 0], "another address");
        assert!(inheritance.has_port(at_any.port()));
        assert_eq!(take("any", &format!(":{}", at_any.port())), [at_any.to_string()]);
        let found = if has_ipv6() { Vec::new() } else { vec![at_four.to_string()] };
        assert_eq!(take("any", &format!(":{}", at_four.port())), found, "half of what is wanted");
        assert_eq!(take("IPv4", &at_four.to_string()).len(), usize::from(has_ipv6()));
        assert_eq!(take("unix", &format!("unix:{}", path.display())), [format!("unix:{}", path.display())]);
        assert_eq!(inheritance.taken().len(), 6);
    }
}
