//! Which descriptors stand for one and the same queue of connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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
    /// Held for its drop only.
    _file: Option<SocketFile>,
}

impl Share {
    /// The one share of a queue without a file.
    pub(super) fn only() -> Self {
        Self { queue: Arc::new(Queue { open: AtomicUsize::new(1), _file: None }), left: false }
    }

    /// `n` shares of one queue, which owns `file`.
    pub(super) fn split(n: usize, file: Option<SocketFile>) -> Vec<Self> {
        let queue = Arc::new(Queue { open: AtomicUsize::new(n), _file: file });
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
