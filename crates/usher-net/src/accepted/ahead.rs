//! How far the system runs ahead of a client: how much it holds that the client has not taken.
//!
//! Linux lets a sender queue what the way could carry: over a network some hundred kilobytes, over loopback, where a
//! segment is 64 KiB, megabytes at once. Thousands of clients that take nothing then hold gigabytes of the kernel's memory,
//! and to close one of them keeps the thread for a millisecond. So connections begin with little (TCP_NOTSENT_LOWAT, which
//! does not count what is under way), inherited from the listening socket, and a client that is seen to be quick gets what
//! the system gives: with little in the queue, each megabyte wakes us more often.

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
pub(super) const QUICK: Duration = Duration::from_millis(20);

/// What may wait in a pipe for a client that was not seen to be quick (bytes).
const REACH: usize = 256 << 10;
/// Where an administrator may have said how much may wait for each connection of the machine (bytes).
const OF_THE_SYSTEM: &str = "/proc/sys/net/ipv4/tcp_notsent_lowat";

/// Has connections that a TCP listener accepts begin with little, unless the system's own mark is lower. Where that cannot be
/// set, nothing but memory is lost.
pub(crate) fn begin_with_little(listener: impl AsFd) {
    let of_the_system = std::fs::read_to_string(OF_THE_SYSTEM).ok();
    if of_the_system.is_none_or(|text| is_higher(&text)) {
        let _ = set_tcp_option(listener, libc::TCP_NOTSENT_LOWAT, LITTLE);
    }
}

pub(super) fn is_higher(mark: &str) -> bool {
    mark.trim().parse().is_ok_and(|mark: u64| mark > LITTLE.unsigned_abs().into())
}

/// What is known of one client.
#[derive(Debug, Default)]
pub(super) enum Ahead {
    /// Nothing: it has taken all, or is slow.
    #[default]
    Little,
    /// No more may wait, since then, than these bytes that do.
    Full(Instant, libc::c_int),
    /// It is quick.
    Usual,
}

impl Ahead {
    /// Before a write: whether the client has taken much since the last one had to wait.
    #[inline]
    pub(super) fn look(&mut self, socket: impl AsFd) {
        if let Self::Full(since, before) = *self {
            cold_path();
            *self = after(since, before, socket);
        }
    }

    /// How much to have in a pipe for it at most.
    #[inline]
    pub(super) fn reach(&self) -> usize {
        if matches!(self, Self::Usual) { usize::MAX } else { REACH }
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
