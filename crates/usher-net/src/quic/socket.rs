//! A UDP socket in the runtime of one worker.

use std::cell::RefCell;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use quinn_proto::Transmit;
use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};
use tokio::io::Interest;

use super::bind::BoundUdp;

/// Datagrams, or trains of them (GRO), that one system call receives.
const BATCH: usize = 16;
/// The largest train (bytes): what the length of a UDP datagram can say.
const TRAIN: usize = 64 << 10;
/// What one system call sends at most (bytes): what fits behind the headers of one IPv4 packet.
const LARGEST_SENT: usize = 65_507;
/// Datagrams that one system call sends at most (GSO); the kernel takes no more.
const SEGMENTS: usize = 64;

thread_local! {
    /// What all sockets of the thread receive into; touched pages only take memory.
    static RECEIVED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A socket, and what its kernel can do.
pub(super) struct Socket {
    io: tokio::net::UdpSocket,
    state: UdpSocketState,
    /// Tells the group that it belongs to how long it is used: the last to go.
    _used: Option<Arc<()>>,
}

impl Socket {
    /// # Errors
    /// When the runtime has no I/O driver or the kernel refuses an option that is needed.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub(super) fn new(socket: UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        Ok(Self { io: tokio::net::UdpSocket::from_std(socket)?, state, _used: None })
    }

    /// One of a group.
    ///
    /// # Errors
    /// As above.
    ///
    /// # Panics
    /// As above.
    pub(super) fn of_group(bound: BoundUdp) -> io::Result<Self> {
        Ok(Self { _used: Some(bound.used), ..Self::new(bound.socket)? })
    }

    pub(super) fn local_address(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    /// Whether no packet is ever cut in pieces on the way, so that the path's real size can be found out.
    pub(super) fn finds_mtu(&self) -> bool {
        !self.state.may_fragment()
    }

    /// Datagrams of `size` bytes that go out in one call at most.
    pub(super) fn segments(&self, size: usize) -> usize {
        self.state.max_gso_segments().min(SEGMENTS).min(LARGEST_SENT / size.max(1)).max(1)
    }

    /// Receives a batch and gives each datagram to `each`.
    pub(super) fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        mut each: impl FnMut(&RecvMeta, &[u8]),
    ) -> Poll<io::Result<()>> {
        ready!(self.io.poll_recv_ready(cx))?;
        let mut buffer = RECEIVED.take();
        if buffer.is_empty() {
            buffer = vec![0; BATCH * TRAIN];
        }
        let mut metas = [RecvMeta::default(); BATCH];
        let received = self.receive(&mut buffer, &mut metas);
        for (train, meta) in buffer.chunks(TRAIN).zip(&metas).take(*received.as_ref().unwrap_or(&0)) {
            let bytes = train.get(..meta.len).unwrap_or_default();
            bytes.chunks(meta.stride.max(1)).for_each(|datagram| each(meta, datagram));
        }
        RECEIVED.set(buffer);
        Poll::Ready(received.map(|_| ()))
    }

    fn receive(&self, buffer: &mut [u8], metas: &mut [RecvMeta; BATCH]) -> io::Result<usize> {
        let mut trains = buffer.chunks_mut(TRAIN);
        let mut slices: [IoSliceMut<'_>; BATCH] =
            std::array::from_fn(|_| IoSliceMut::new(trains.next().unwrap_or_default()));
        let mut received = 0;
        let outcome = self.io.try_io(Interest::READABLE, || {
            received = self.state.recv(UdpSockRef::from(&self.io), &mut slices, metas)?;
            // Fewer than asked for: the queue is empty, and what comes later is announced again. Saying so here saves
            // the call that would only find that out.
            if received < BATCH { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        match outcome {
            Err(error) if received == 0 && error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(received),
        }
    }

    /// Sends one or more datagrams; false if the kernel has no room. What cannot be sent for another reason counts as
    /// lost on the way, which the protocol makes good.
    pub(super) fn send(&self, transmit: &Transmit, contents: &[u8]) -> bool {
        let transmit = quinn_udp::Transmit {
            destination: transmit.destination,
            ecn: transmit.ecn.and_then(|ecn| quinn_udp::EcnCodepoint::from_bits(ecn as u8)),
            contents: contents.get(..transmit.size).unwrap_or(contents),
            segment_size: transmit.segment_size,
            src_ip: transmit.src_ip,
        };
        let sent =
            self.io.try_io(Interest::WRITABLE, || self.state.try_send(UdpSockRef::from(&self.io), &transmit));
        !matches!(sent, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Ready when a datagram may be sent again.
    pub(super) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.io.poll_send_ready(cx).map(|_| ())
    }
}
