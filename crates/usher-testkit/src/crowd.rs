//! A crowd of clients that are slow on purpose: each holds something of the proxy and gives back as little as it can.
//!
//! One thread moves all of them, a little at a time, without waiting for any. Who is ended comes again, as an attacker
//! would.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};

/// What a client of the crowd does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Asks for `/big` and takes [`SIP`] of it at a time.
    Reader,
    /// Sends a head with one huge field, up to [`HEAD`], and then a few bytes at a time, without end.
    Head,
    /// Announces a body of [`BODY`] for `/gather` and sends [`BITE`] of it at a time.
    Upload,
    /// Speaks HTTP/2, opens [`STREAMS`] streams for `/big`, and opens no window: not a byte of a body may be sent.
    Streams,
    /// Begins a TLS handshake and does not go on.
    Handshake,
}

/// What a [`Manner::Reader`] takes at a time (bytes).
pub const SIP: usize = 512;
/// What a [`Manner::Head`] sends quickly (bytes): less than the largest head that is taken.
pub const HEAD: usize = 30 << 10;
/// The body that a [`Manner::Upload`] announces (bytes), and how much of it comes at a time.
pub const BODY: usize = 1 << 20;
/// As above.
pub const BITE: usize = 16 << 10;
/// Streams of a [`Manner::Streams`].
pub const STREAMS: u32 = 8;
/// What the system receives for a client before it reads (bytes): as little as it allows.
const RECEIVE: usize = 4 << 10;

/// Clients that are slow on purpose.
#[derive(Debug)]
pub struct Crowd {
    members: Vec<Member>,
    /// Whose turn is next.
    next: usize,
    /// How often somebody was ended by the other side.
    pub ended: u64,
}

#[derive(Debug)]
struct Member {
    to: SocketAddr,
    manner: Manner,
    stream: Option<TcpStream>,
    /// Bytes sent on this connection.
    sent: usize,
}

impl Crowd {
    /// A crowd that is not there yet: so many of each kind, and where they go.
    pub fn new(kinds: &[(Manner, usize, SocketAddr)]) -> Self {
        let mut members = Vec::new();
        // Mixed, so that all kinds come at the same time.
        let most = kinds.iter().map(|(_, count, _)| *count).max().unwrap_or(0);
        for number in 0..most {
            for (manner, _, to) in kinds.iter().filter(|(_, count, _)| number < *count) {
                members.push(Member { to: *to, manner: *manner, stream: None, sent: 0 });
            }
        }
        Self { members, next: 0, ended: 0 }
    }

    /// How many have a connection, or ask for one.
    pub fn standing(&self) -> usize {
        self.members.iter().filter(|member| member.stream.is_some()).count()
    }

    /// Lets the next `count` do a little each.
    pub fn turn(&mut self, count: usize) {
        for _ in 0..count.min(self.members.len()) {
            self.next = (self.next + 1) % self.members.len();
            let member = &mut self.members[self.next];
            if member.stream.is_none() {
                (member.stream, member.sent) = (open(member.to).ok(), 0);
            } else if !member.goes_on() {
                member.stream = None;
                self.ended += 1;
            }
        }
    }
}

impl Member {
    /// Does a little; false if the other side has ended the connection.
    fn goes_on(&mut self) -> bool {
        let bytes = next(self.manner, self.sent);
        let Some(stream) = &mut self.stream else { return false };
        if !bytes.is_empty() {
            match stream.write(&bytes) {
                Ok(sent) => self.sent += sent,
                Err(error) if is_early(error.kind()) => return true,
                Err(_) => return false,
            }
        }
        let mut sip = [0; SIP];
        match stream.read(&mut sip) {
            Ok(read) => read > 0,
            Err(error) => is_early(error.kind()),
        }
    }
}

/// An endpoint that answers whatever it is asked with one large body, as fast as it is taken. It has one copy of it, and
/// a small thread for each connection, so that thousands may wait for more.
#[derive(Debug)]
pub struct Fountain {
    address: SocketAddr,
}

/// The stack of a connection's thread (bytes).
const STACK: usize = 64 << 10;
/// What the system sends ahead for each connection (bytes): what waits there is nobody's memory, and there are many.
const SEND: usize = 16 << 10;

impl Fountain {
    /// Serves bodies of `size` bytes on a port of its own until the process ends.
    ///
    /// # Errors
    /// When no socket can be opened.
    pub fn start(size: usize) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        sockopt::set_socket_send_buffer_size(&listener, SEND)?;
        rustix::net::listen(&listener, BACKLOG)?;
        let address = listener.local_addr()?;
        let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n").into_bytes();
        answer.resize(answer.len() + size, b'x');
        let answer: Arc<[u8]> = answer.into();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answer = answer.clone();
                let _ = thread::Builder::new().stack_size(STACK).spawn(move || gush(stream, &answer));
            }
        });
        Ok(Self { address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

/// Answers each head that comes, until the connection ends.
fn gush(mut stream: TcpStream, answer: &[u8]) {
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    while let Ok(read @ 1..) = stream.read(&mut piece) {
        head.extend_from_slice(&piece[..read]);
        if head.ends_with(b"\r\n\r\n") {
            head.clear();
            if stream.write_all(answer).is_err() {
                return;
            }
        }
    }
}

/// Nothing is wrong: it is not connected yet, or there is nothing to read.
fn is_early(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::NotConnected | ErrorKind::Interrupted)
}

/// A connection that may still be on its way: nobody waits for it.
fn open(to: SocketAddr) -> std::io::Result<TcpStream> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_recv_buffer_size(&socket, RECEIVE)?;
    match connect(&socket, &to) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(socket.into()),
        Err(error) => Err(error.into()),
    }
}

/// What a client sends next, after so many bytes.
fn next(manner: Manner, sent: usize) -> Vec<u8> {
    match manner {
        Manner::Reader => rest(b"GET /big HTTP/1.1\r\nHost: crowd\r\n\r\n", sent),
        Manner::Head => {
            let mut head = rest(b"GET / HTTP/1.1\r\nHost: crowd\r\nX-Huge: ", sent);
            let more = if sent < HEAD { HEAD / 4 } else { 1 };
            // A byte over the limit would end it.
            head.resize(if sent < HEAD + (1 << 10) { head.len() + more } else { 0 }, b'a');
            head
        }
        Manner::Upload => {
            let head = format!("POST /gather HTTP/1.1\r\nHost: crowd\r\nContent-Length: {BODY}\r\n\r\n");
            let mut bytes = rest(head.as_bytes(), sent);
            // All but the last piece, without which there is no request to answer.
            let more = if sent + BITE < BODY { BITE } else { 0 };
            bytes.resize(bytes.len() + more, b'b');
            bytes
        }
        Manner::Streams => rest(&streams(), sent),
        // The head of a record and of a hello (RFC 8446 sections 4 and 5.1) that are never completed.
        Manner::Handshake => rest(&[&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3][..], &[7; 40]].concat(), sent),
    }
}

fn rest(bytes: &[u8], sent: usize) -> Vec<u8> {
    bytes.get(sent..).unwrap_or_default().to_vec()
}

/// What a client of HTTP/2 says who takes no bodies (RFC 9113 sections 3.4, 6.2, 6.5.2).
fn streams() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // SETTINGS_INITIAL_WINDOW_SIZE (4) is 0.
    frame(&mut bytes, 4, 0, 0, &[0, 4, 0, 0, 0, 0]);
    for number in 0..STREAMS {
        // `:method GET`, `:scheme http`, `:path /big`, `:authority crowd`, by the static table (RFC 7541 appendix A).
        let block = [&[0x82, 0x86, 0x04, 4][..], b"/big", &[0x01, 5], b"crowd"].concat();
        // END_STREAM and END_HEADERS.
        frame(&mut bytes, 1, 0x5, 2 * number + 1, &block);
    }
    bytes
}

fn frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let len = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    bytes.extend_from_slice(&len[1..]);
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_come_do_a_little_and_come_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let mut crowd = Crowd::new(&[(Manner::Reader, 2, to), (Manner::Head, 1, to)]);
        crowd.turn(3);
        assert_eq!(crowd.standing(), 3);
        let mut clients: Vec<TcpStream> = (0..3).map(|_| listener.accept().unwrap().0).collect();
        crowd.turn(3);
        for client in &mut clients {
            let mut begin = [0; 5];
            client.read_exact(&mut begin).unwrap();
            assert_eq!(&begin, b"GET /");
        }
        drop(clients);
        // The end arrives when it arrives.
        while crowd.ended < 3 {
            crowd.turn(3);
        }
        crowd.turn(3);
        assert_eq!(crowd.standing(), 3);
    }

    #[test]
    fn what_is_sent_never_becomes_a_whole_request() {
        for manner in [Manner::Head, Manner::Upload, Manner::Handshake] {
            let mut sent = 0;
            for _ in 0..10_000 {
                sent += next(manner, sent).len();
            }
            assert!(sent < BODY, "{manner:?} has sent {sent}");
        }
    }
}
