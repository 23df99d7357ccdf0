//! UDP as it comes: sockets that anybody may send to, one per worker, and connected ones towards endpoints.
//!
//! - `bind.rs`: opening sockets for workers, also those that another process opened;
//! - `door.rs`: [`Door`], where clients send to; it knows which address of this machine each of them wants;
//! - `flow.rs`: [`Flow`], to one endpoint; the kernel tells it of what ICMP says (the port is closed);
//! - `outgoing.rs`: what became of what was sent.
//!
//! Both receive and send many datagrams per system call, and trains of them (GRO, GSO) where they come so: their borders
//! stay as they were. No datagram is cut, and none waits: what the kernel has no room for is lost, as on any other hop.

mod bind;
mod door;
mod flow;
mod outgoing;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;

pub use bind::{BoundDatagrams, bind_datagrams, inherited_datagrams};
pub(crate) use bind::{bind_group, explain};
pub use door::Door;
pub use flow::{Flow, Heard};
pub use outgoing::{Sent, Way, is_shortage};

use crate::sys::{self, BATCH, Received, SLOT};

/// What came in one piece from one sender: a datagram, or several of the same size, the last one perhaps smaller.
#[derive(Clone, Copy, Debug)]
pub struct Train<'a> {
    /// The bytes of all.
    pub bytes: &'a [u8],
    /// The size of each; 0 where it is one, which may be empty.
    pub segment: usize,
    /// The sender; none on a connected socket, where it is known.
    pub peer: Option<SocketAddr>,
    /// The address of this machine that it was sent to, where the socket listens on several.
    pub local: Option<IpAddr>,
}

impl<'a> Train<'a> {
    /// How many datagrams.
    pub fn count(&self) -> usize {
        if self.segment == 0 { 1 } else { self.bytes.len().div_ceil(self.segment).max(1) }
    }

    /// Each datagram by itself.
    pub fn datagrams(&self) -> impl Iterator<Item = Train<'a>> + use<'a> {
        let train = *self;
        let size = if train.segment == 0 { train.bytes.len() } else { train.segment };
        (0..train.count()).map(move |index| {
            let from = index * size;
            let bytes = train.bytes.get(from..(from + size).min(train.bytes.len())).unwrap_or_default();
            Train { bytes, segment: 0, ..train }
        })
    }
}

thread_local! {
    /// What all sockets of the thread receive into; touched pages only take memory.
    static RECEIVED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Receives one batch and gives it to `each`, with the number of those that were too large to be received whole. `full`
/// says that there may be more.
fn receive(socket: impl AsFd, each: impl FnOnce(&[Train<'_>], u64)) -> io::Result<bool> {
    let mut buffer = RECEIVED.take();
    if buffer.is_empty() {
        buffer = vec![0; BATCH * SLOT];
    }
    let mut received = [Received::default(); BATCH];
    let outcome = sys::receive(socket, &mut buffer, &mut received);
    if let Ok(count) = outcome {
        let mut trains = [Train { bytes: &[], segment: 0, peer: None, local: None }; BATCH];
        let (mut whole, mut cut) = (0, 0);
        for (one, slot) in received.iter().zip(buffer.chunks(SLOT)).take(count) {
            let Some(train) = trains.get_mut(whole).filter(|_| !one.is_cut) else {
                cut += 1;
                continue;
            };
            let bytes = slot.get(..one.length).unwrap_or_default();
            let segment = if one.segment < bytes.len() { one.segment } else { 0 };
            *train = Train { bytes, segment, peer: one.peer, local: one.local };
            whole += 1;
        }
        each(trains.get(..whole).unwrap_or_default(), cut);
    }
    RECEIVED.set(buffer);
    outcome.map(|count| count == BATCH)
}
