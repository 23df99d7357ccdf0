//! The wait for the next byte of very many connections, at one registration with the runtime.
//!
//! A socket that the runtime watches costs it some 300 bytes, and its task several times that. A connection that has
//! nothing to do needs neither: its descriptor goes into an epoll instance of its own kind, and the runtime watches
//! that one.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::task::{Context, Poll, ready};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;

use crate::sys;

/// Descriptors that the kernel tells of at once.
const AT_ONCE: usize = 256;
/// Readable, at an end (half or whole), or broken; told of once.
const WATCHED: EventFlags = EventFlags::IN.union(EventFlags::RDHUP).union(EventFlags::ONESHOT);
const AT_ONCE_OR_NEVER: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// Watches descriptors until they are readable, at an end, or broken.
pub struct Watch {
    epoll: AsyncFd<OwnedFd>,
    events: Vec<Event>,
}

impl Watch {
    /// Watches nothing yet. Belongs to the runtime of this thread.
    ///
    /// # Errors
    /// EMFILE, when there is no descriptor left for it.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self { epoll: sys::watch(epoll)?, events: Vec::with_capacity(AT_ONCE) })
    }

    /// Watches `descriptor`, told of by `number`. What is readable already counts.
    ///
    /// # Errors
    /// ENOMEM or ENOSPC, when the kernel takes no more.
    pub fn add(&self, descriptor: BorrowedFd<'_>, number: usize) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, descriptor, EventData::new_u64(number as u64), WATCHED)?)
    }

    /// Watches `descriptor` no more. One that is closed is forgotten by the kernel itself.
    ///
    /// # Errors
    /// ENOENT, when it was not watched.
    pub fn remove(&self, descriptor: BorrowedFd<'_>) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, descriptor)?)
    }

    /// Ready when some are; adds their numbers to `ready`.
    ///
    /// # Errors
    /// What `epoll_wait` says; not expected.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>, ready: &mut Vec<usize>) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.epoll.poll_read_ready(cx))?;
            self.events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&AT_ONCE_OR_NEVER)) {
                Ok(0) => guard.clear_ready(),
                Ok(_) => {
                    ready.extend(self.events.iter().map(|event| event.data.u64() as usize));
                    return Poll::Ready(Ok(()));
                }
                Err(Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }
}

#[cfg(test)]
mod tests;
