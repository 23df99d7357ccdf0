//! Which descriptors stand for one and the same queue of connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::unix::SocketFile;

/// One of several descriptors of a listening socket. What ends the socket for all (no new connections, no file) is
/// the business of the last one that leaves.
#[derive(Debug)]
pub(super) struct Share {
    queue: Arc<Queue>,
    left: bool,
}

#[derive(Debug)]
struct Queue {
    open: AtomicUsize,
    /// Another process goes on with the socket.
    handed_over: AtomicBool,
    /// The file is another process's to remove.
    leaves_file: AtomicBool,
    file: Option<SocketFile>,
}

impl Queue {
    fn new(open: usize, file: Option<SocketFile>) -> Arc<Self> {
        let (handed_over, leaves_file) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self { open: AtomicUsize::new(open), handed_over, leaves_file, file })
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        if let Some(file) = self.file.take().filter(|_| self.leaves_file.load(Ordering::Acquire)) {
            file.leave_behind();
        }
    }
}

impl Share {
    /// The one share of a queue without a file.
    pub(super) fn only() -> Self {
        Self { queue: Queue::new(1, None), left: false }
    }

    /// `n` shares of one queue, which owns `file`.
    pub(super) fn split(n: usize, file: Option<SocketFile>) -> Vec<Self> {
        let queue = Queue::new(n, file);
        (0..n).map(|_| Self { queue: Arc::clone(&queue), left: false }).collect()
    }

    /// Takes this descriptor out of the count; true for the one that was the last. Later calls say false.
    pub(super) fn leave(&mut self) -> bool {
        if self.left {
            return false;
        }
        self.left = true;
        self.queue.open.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// From now on, all shares of the queue are left as they are: another process accepts from it.
    pub(super) fn hand_over(&self) {
        self.leave_file(true);
        self.queue.handed_over.store(true, Ordering::Release);
    }

    /// Whether the end of the queue leaves the file to another process.
    pub(super) fn leave_file(&self, leaves: bool) {
        self.queue.leaves_file.store(leaves, Ordering::Release);
    }

    /// Whether [`hand_over`](Self::hand_over) was called on one of the shares.
    pub(super) fn is_handed_over(&self) -> bool {
        self.queue.handed_over.load(Ordering::Acquire)
    }

    /// Whether both stand for the same queue.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.queue, &other.queue)
    }

    /// One that looks on: it does not count among those that accept.
    pub(super) fn onlooker(&self) -> Self {
        Self { queue: Arc::clone(&self.queue), left: true }
    }

    /// Whether [`leave`](Self::leave) was called.
    pub(super) fn has_left(&self) -> bool {
        self.left
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.leave();
    }
}
