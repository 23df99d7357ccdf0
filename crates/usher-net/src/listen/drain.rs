//! The end of a listener, in which no client that was let in is turned away.

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use socket2::{SockFilter, SockRef};
use tokio::net::UnixStream;

use super::share::Share;
use crate::accepted::Accepted;
use crate::address::{Peer, canonical};
use crate::stream::Stream;

/// The connections in the queue of a listener that ends; closes the listener when dropped.
#[derive(Debug)]
pub struct Drain {
    queue: Queue,
    /// Keeps the file of a Unix socket until the end.
    share: Share,
}

#[derive(Debug)]
pub(super) enum Queue {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Drain {
    pub(super) fn new(queue: Queue, share: Share) -> Self {
        Self { queue, share }
    }
}

/// Never waits; `None` is an empty queue. Errors are to be judged as those of
/// [`Listener::accept`](super::Listener::accept).
impl Iterator for Drain {
    type Item = io::Result<(Accepted, Peer)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.share.is_handed_over() {
            return None;
        }
        // Asks the kernel, not the runtime: the runtime may not have heard yet of the newest connection.
        let next = match &self.queue {
            Queue::Tcp(socket) => socket.accept().and_then(|(stream, address)| {
                stream.set_nonblocking(true)?;
                Ok((Accepted::fresh(stream), Peer::Ip(canonical(address))))
            }),
            Queue::Unix(socket) => socket.accept().and_then(|(stream, _)| {
                stream.set_nonblocking(true)?;
                Ok((Stream::Unix(UnixStream::from_std(stream)?).into(), Peer::Unix))
            }),
        };
        match next {
            Err(error) if is_end(&error) => None,
            next => Some(next),
        }
    }
}

/// Whether an accept says that the queue is empty: EAGAIN, or EINVAL of a socket that takes no more.
pub(super) fn is_end(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINVAL))
}

/// Makes the kernel drop every SYN that reaches a listening socket, and nothing else: the ACK that completes a
/// handshake passes. Accepted connections inherit the filter, which is harmless, as no SYN belongs to them.
pub(super) fn drop_handshakes(socket: &SockRef<'_>) -> io::Result<()> {
    /// Offset of the flags in a TCP header (RFC 9293 section 3.1); the filter sees the segment from there on.
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    const PASS: u32 = u32::MAX;
    const LOAD_BYTE: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
    const JUMP_IF_SET: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    socket.attach_filter(&[
        SockFilter::new(LOAD_BYTE, 0, 0, FLAGS),
        SockFilter::new(JUMP_IF_SET, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, PASS),
    ])
}
