//! Sending, and what became of it.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;

use socket2::SockAddr;

use super::Train;
use crate::sys::{self, BATCH, Sending};

/// Where datagrams go, and from where.
#[derive(Clone, Copy, Debug, Default)]
pub struct Way {
    /// To whom; none for whom the socket is connected to.
    pub to: Option<SocketAddr>,
    /// From which address of this machine; none for that of the socket.
    pub from: Option<IpAddr>,
}

/// What became of datagrams that were to be sent.
#[derive(Debug, Default)]
pub struct Sent {
    /// Those that the kernel took.
    pub datagrams: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those that it did not.
    pub lost: u64,
    /// Why not, of the last one that was lost.
    pub why: Option<io::Error>,
    /// The endpoint has refused an earlier datagram: the train of this number has not left, nor those behind it.
    pub refused: Option<usize>,
}

/// How a socket sends.
#[derive(Debug, Default)]
pub(super) struct Sender {
    /// The way out cannot cut trains in pieces (GSO): they are taken apart here.
    apart: Cell<bool>,
}

impl Sender {
    pub(super) fn send(&self, socket: impl AsFd, way: Way, head: &[u8], trains: &[Train<'_>]) -> Sent {
        let mut sent = Sent::default();
        let to = way.to.map(SockAddr::from);
        let way = (to.as_ref(), way.from);
        let mut done = 0;
        for some in trains.chunks(BATCH) {
            if self.batch(&socket, way, (head, some), &mut sent).is_err() {
                sent.refused = sent.refused.map(|at| at + done);
                break;
            }
            done += some.len();
        }
        sent
    }

    /// Sends up to a batch. An error: the endpoint refuses.
    fn batch(
        &self,
        socket: &impl AsFd,
        way: (Option<&SockAddr>, Option<IpAddr>),
        (head, trains): (&[u8], &[Train<'_>]),
        sent: &mut Sent,
    ) -> Result<(), ()> {
        let mut at = 0;
        while let Some(rest) = trains.get(at..).filter(|rest| !rest.is_empty()) {
            let apart = self.apart.get() || !head.is_empty();
            // What is to be taken apart goes by itself.
            let whole = rest.iter().take_while(|train| train.segment == 0 || !apart).count();
            if whole == 0 {
                self.one_by_one(socket, way, (head, &rest[0]), sent).map_err(|()| sent.refused = Some(at))?;
                at += 1;
                continue;
            }
            let empty = Sending { head, bytes: &[], segment: 0 };
            let mut sending = [empty; BATCH];
            for (one, train) in sending.iter_mut().zip(&rest[..whole]) {
                *one = Sending { head, bytes: train.bytes, segment: train.segment };
            }
            match sys::send(socket, way, sending.get(..whole).unwrap_or_default()) {
                Ok(taken) => {
                    rest.iter().take(taken).for_each(|train| sent.took(train));
                    at += taken.max(1);
                }
                Err(error) if is_refusal(&error) => {
                    sent.refused = Some(at);
                    return Err(());
                }
                Err(error) if rest[0].segment > 0 => {
                    // A device that cannot, or a way that is too narrow for pieces of this size.
                    self.apart.set(self.apart.get() || error.raw_os_error() == Some(libc::EIO));
                    self.one_by_one(socket, way, (head, &rest[0]), sent)
                        .map_err(|()| sent.refused = Some(at))?;
                    at += 1;
                }
                Err(error) => {
                    let full = is_full(&error);
                    sent.lose(&rest[0], error);
                    at += 1;
                    if full {
                        // Those behind it would find no room either.
                        let behind = trains.get(at..).unwrap_or_default();
                        sent.lost += behind.iter().map(|train| train.count() as u64).sum::<u64>();
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn one_by_one(
        &self,
        socket: &impl AsFd,
        way: (Option<&SockAddr>, Option<IpAddr>),
        (head, train): (&[u8], &Train<'_>),
        sent: &mut Sent,
    ) -> Result<(), ()> {
        for one in train.datagrams() {
            match sys::send(socket, way, &[Sending { head, bytes: one.bytes, segment: 0 }]) {
                Ok(_) => sent.took(&one),
                Err(error) if is_refusal(&error) => return Err(()),
                Err(error) => sent.lose(&one, error),
            }
        }
        Ok(())
    }
}

/// This process has no descriptor or memory left.
pub fn is_shortage(error: &io::Error) -> bool {
    let shortages = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::EAGAIN];
    error.raw_os_error().is_some_and(|code| shortages.contains(&code))
}

impl Sent {
    /// Why datagrams were lost, in a word for metrics.
    pub fn why_lost(&self) -> &'static str {
        match &self.why {
            Some(error) if is_full(error) => "full",
            Some(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => "too_large",
            _ => "unreachable",
        }
    }

    fn took(&mut self, train: &Train<'_>) {
        self.datagrams += train.count() as u64;
        self.bytes += train.bytes.len() as u64;
    }

    fn lose(&mut self, train: &Train<'_>, why: io::Error) {
        self.lost += train.count() as u64;
        self.why = Some(why);
    }
}

/// Nobody listens where earlier datagrams went (ICMP port unreachable).
pub(super) fn is_refusal(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
}

/// The kernel has no room for now.
fn is_full(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(libc::ENOBUFS)
}
