//! Clients that make a whole TLS handshake, ask for much, and then take a sip of it now and then.

use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};

use crate::load::tls::{Session, Tls};
use crate::works::Handshake;

/// What is asked for.
const REQUEST: &[u8] = b"GET /big HTTP/1.1\r\nHost: crowd\r\n\r\n";
/// What is taken at a time, and what the system receives before (bytes).
const SIP: usize = 512;
const RECEIVE: usize = 4 << 10;

/// A crowd of them.
pub(super) struct Encrypted {
    to: SocketAddr,
    tls: Tls,
    members: Vec<Option<Member>>,
    next: usize,
    pub(super) ended: u64,
}

struct Member {
    stream: TcpStream,
    session: Box<Session>,
    /// How much of the request was given to the session.
    asked: usize,
}

impl Encrypted {
    pub(super) fn new(to: SocketAddr, certificate: &Path, count: usize) -> io::Result<Self> {
        let tls = Tls::new(certificate, Handshake::Full, count)?;
        let members = std::iter::repeat_with(|| None).take(count).collect();
        Ok(Self { to, tls, members, next: 0, ended: 0 })
    }

    pub(super) fn standing(&self) -> usize {
        self.members.iter().flatten().count()
    }

    /// Lets the next `count` do a little each.
    pub(super) fn turn(&mut self, count: usize) {
        for _ in 0..count.min(self.members.len()) {
            self.next = (self.next + 1) % self.members.len();
            match &mut self.members[self.next] {
                None => self.members[self.next] = Member::begin(self.to, &self.tls, self.next).ok(),
                Some(member) => {
                    if !member.goes_on() {
                        self.members[self.next] = None;
                        self.ended += 1;
                    }
                }
            }
        }
    }
}

impl Member {
    fn begin(to: SocketAddr, tls: &Tls, index: usize) -> io::Result<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        sockopt::set_socket_recv_buffer_size(&socket, RECEIVE)?;
        match connect(&socket, &to) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Self { stream: socket.into(), session: tls.begin(index)?, asked: 0 })
    }

    /// Does a little; false if the other side has ended the connection.
    fn goes_on(&mut self) -> bool {
        let stepped = if self.session.is_handshaking() || self.asked < REQUEST.len() {
            self.step()
        } else {
            // What it says is of no interest, so it stays encrypted.
            match self.stream.read(&mut [0; SIP]) {
                Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
                other => other.map(drop),
            }
        };
        let early = |kind| matches!(kind, ErrorKind::WouldBlock | ErrorKind::NotConnected);
        stepped.map_or_else(|error| early(error.kind()), |()| true)
    }

    fn step(&mut self) -> io::Result<()> {
        self.session.flush(&mut self.stream)?;
        match self.session.read(&mut self.stream, &mut [0; 1]) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
        if !self.session.is_handshaking() {
            let rest = REQUEST.get(self.asked..).unwrap_or_default();
            self.asked += self.session.write(&mut self.stream, rest)?;
        }
        Ok(())
    }
}
