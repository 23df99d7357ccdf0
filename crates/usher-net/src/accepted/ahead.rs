//! How far the system runs ahead of a client: how much it holds that the client has not taken.
//!
//! Linux lets a sender queue what the way could carry: over a network some hundred kilobytes, over loopback, where a
//! segment is 64 KiB, megabytes at once. Thousands of clients that take nothing then hold gigabytes of the kernel's memory,
//! and to close one of them keeps the thread for a millisecond. So who comes while the process is short of memory begins
//! with little (TCP_NOTSENT_LOWAT, which does not count what is under way), and gets what the system gives once it was seen
//! to be quick. Not others: with little in the queue, downloads of 10 MiB took up to twice the CPU time.

use std::hint::cold_path;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crate::sys::{set_tcp_option, unsent};

/// What may wait to be sent (bytes). The system says that there is room again when half of it has gone.
const LITTLE: libc::c_int = 128 << 10;
/// What the system gives by itself.
const USUAL: libc::c_int = 0;
/// A client that has taken half of [`LITTLE`] within this time is quick (3 MiB/s). Of slower ones, that they wake us often
/// costs nothing worth saving.
const QUICK: Duration = Duration::from_millis(20);

/// How much may wait for one client.
#[derive(Debug, Default)]
pub(super) enum Ahead {
    /// What the system gives.
    #[default]
    Usual,
    /// Little: it has taken all, or is slow.
    Little,
    /// Little, and since then these bytes wait, which is all that may.
    Full(Instant, libc::c_int),
}

impl Ahead {
    /// From now on little may wait. Where that cannot be set, nothing but memory is lost.
    pub(super) fn begin_with_little(socket: impl AsFd) -> Self {
        let set = set_tcp_option(socket, libc::TCP_NOTSENT_LOWAT, LITTLE);
        set.map_or(Self::Usual, |()| Self::Little)
    }

    /// Before a write: whether the client has taken much since the last one had to wait.
    #[inline]
    pub(super) fn look(&mut self, socket: impl AsFd) {
        if let Self::Full(since, before) = *self {
            cold_path();
            *self = after(since, before, socket);
        }
    }

    /// A write has to wait: perhaps only for the runtime, which does not know yet that there is room.
    pub(super) fn waits(&mut self, socket: impl AsFd) {
        if matches!(self, Self::Little)
            && let Some(waiting) = unsent(socket).ok().filter(|waiting| *waiting >= LITTLE / 2)
        {
            *self = Self::Full(Instant::now(), waiting);
        }
    }
}

/// What is known where so much had to wait since then.
fn after(since: Instant, before: libc::c_int, socket: impl AsFd) -> Ahead {
    // Whether the write goes through says little: as a connection begins, the system soon lets more wait than at first.
    match unsent(&socket) {
        Ok(now) if now > before / 2 => Ahead::Full(since, before),
        Ok(_) if since.elapsed() <= QUICK => {
            let _ = set_tcp_option(socket, libc::TCP_NOTSENT_LOWAT, USUAL);
            Ahead::Usual
        }
        _ => Ahead::Little,
    }
}
