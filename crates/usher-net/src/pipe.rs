//! Kernel pipes for `splice(2)`: bytes go from socket to socket without entering the process.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with, splice};

use crate::shortage;

/// Capacity asked of the kernel for each pipe, in bytes; as much as an unprivileged process may ask (`pipe-max-size`).
///
/// Measured on loopback, median CPU of the moving thread for 1 GiB: 64 KiB 0.48 s, 256 KiB 0.40 s, 512 KiB 0.29 s,
/// 1 MiB 0.23 s.
pub const PIPE_CAPACITY: usize = 1024 * 1024;

/// The least capacity, in bytes, with which a pipe beats copying through a buffer.
///
/// All pipes of an unprivileged user together have 64 MiB (`pipe-user-pages-soft`). Beyond it the kernel enlarges none,
/// and new ones have two pages.
pub const MIN_PIPE_CAPACITY: usize = 64 * 1024;

/// What is asked for, in turn, until the kernel agrees.
const CAPACITIES: [usize; 3] = [PIPE_CAPACITY, 256 * 1024, MIN_PIPE_CAPACITY];

/// Most idle pipes that one thread keeps for reuse (two file descriptors each, and their share of the user's limit).
pub const IDLE_PIPES_PER_THREAD: usize = 16;

const NO_WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

thread_local! {
    static POOL: PipePool = const { PipePool::new(IDLE_PIPES_PER_THREAD) };
}

/// The two ends of a kernel pipe, both non-blocking.
#[derive(Debug)]
struct Ends {
    read: OwnedFd,
    write: OwnedFd,
    capacity: usize,
}

impl Ends {
    fn open() -> io::Result<Self> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let enlarged = CAPACITIES.iter().find_map(|bytes| fcntl_setpipe_size(&write, *bytes).ok());
        let capacity = enlarged.map_or_else(|| fcntl_getpipe_size(&write), Ok)?;
        if capacity < MIN_PIPE_CAPACITY {
            return Err(io::Error::new(
                io::ErrorKind::QuotaExceeded,
                "the user's pipes take up all that `fs.pipe-user-pages-soft` allows",
            ));
        }
        shortage::pipe(capacity, true);
        Ok(Self { read, write, capacity })
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        shortage::pipe(self.capacity, false);
    }
}

/// A kernel pipe and the number of bytes that it holds.
///
/// Dropped empty, it goes back to the thread's pool; dropped with bytes inside, it is closed, so that no byte of one
/// message can ever reach another.
#[derive(Debug)]
pub struct Pipe {
    ends: Option<Ends>,
    held: usize,
    full: bool,
}

impl Pipe {
    /// Takes an idle pipe from this thread's pool, or opens a new one.
    ///
    /// # Errors
    /// When file descriptors (EMFILE, ENFILE) or the user's share of pipe memory (QuotaExceeded) are used up; copy
    /// through a buffer then.
    pub fn take() -> io::Result<Self> {
        let idle = POOL.try_with(PipePool::take).ok().flatten();
        if idle.is_none() && shortage::level() > shortage::memory() {
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "the process is short of descriptors"));
        }
        let ends = idle.map_or_else(Ends::open, Ok)?;
        Ok(Self { ends: Some(ends), held: 0, full: false })
    }

    /// Number of bytes inside.
    pub fn len(&self) -> usize {
        self.held
    }

    /// Whether no byte is inside.
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Whether the last splice in found no room; ends with the next splice out. Never true of an empty pipe.
    ///
    /// Room is counted in segments, not bytes: many small ones fill a pipe long before `capacity` bytes are inside,
    /// and a few large ones can carry more than that.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Nominal capacity in bytes.
    pub fn capacity(&self) -> usize {
        self.ends.as_ref().map_or(0, |ends| ends.capacity)
    }

    fn ends(&self) -> io::Result<&Ends> {
        self.ends.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// One `splice(2)` from `source`. WouldBlock is passed on only when `source` had nothing to give.
    pub(crate) fn splice_from(&mut self, source: impl AsFd, max: usize) -> io::Result<Filled> {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let ends = self.ends()?;
        match splice(source, None, &ends.write, None, max, flags) {
            Ok(moved) => {
                self.held = self.held.saturating_add(moved);
                Ok(Filled::Bytes(moved))
            }
            Err(rustix::io::Errno::AGAIN) if self.held > 0 && !has_room(&ends.write)? => {
                self.full = true;
                Ok(Filled::NoRoom)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// One `splice(2)` into `target`, of at most what is inside.
    pub(crate) fn splice_to(&mut self, target: impl AsFd, max: usize, more: bool) -> io::Result<usize> {
        let wanted = max.min(self.held);
        if wanted == 0 {
            return Ok(0);
        }
        let mut flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        flags.set(SpliceFlags::MORE, more);
        let moved = splice(&self.ends()?.read, None, target, None, wanted, flags)?;
        self.held = self.held.saturating_sub(moved);
        self.full = false;
        Ok(moved)
    }
}

/// What one splice into a pipe did.
pub(crate) enum Filled {
    /// That many bytes came in; 0 is the end of the stream.
    Bytes(usize),
    /// The pipe takes nothing until some bytes leave it.
    NoRoom,
}

/// Whether the pipe takes at least one more segment. One extra system call, needed only after an EAGAIN that has two
/// possible reasons. Nobody else uses the pipe, so the answer cannot age.
fn has_room(write: &OwnedFd) -> io::Result<bool> {
    let mut fds = [PollFd::new(write, PollFlags::OUT)];
    Ok(poll(&mut fds, Some(&NO_WAIT))? > 0)
}

impl Drop for Pipe {
    fn drop(&mut self) {
        if self.held == 0
            && let Some(ends) = self.ends.take()
        {
            // During the thread's end the pool is gone; the ends are closed then.
            let _ = POOL.try_with(|pool| pool.put(ends));
        }
    }
}

/// A bounded stack of empty pipes: the one used last comes first, as its pages are warm.
struct PipePool {
    idle: RefCell<Vec<Ends>>,
    most: usize,
}

impl PipePool {
    const fn new(most: usize) -> Self {
        Self { idle: RefCell::new(Vec::new()), most }
    }

    fn take(&self) -> Option<Ends> {
        self.idle.borrow_mut().pop()
    }

    fn put(&self, ends: Ends) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < self.most {
            idle.push(ends);
        }
    }
}

#[cfg(test)]
mod tests;
