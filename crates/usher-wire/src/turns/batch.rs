//! How many of a crowd are let go on at once: as many as keep the passes of the loop short.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// What a pass of the loop is to take at most while a crowd is let go on: whoever behaves waits for two or three of them in
/// each request.
pub(super) const AIM: Duration = Duration::from_micros(300);

/// Whether a pass of the loop took longer than it is to take while a crowd goes on.
pub fn is_long(pass: Duration) -> bool {
    pass > AIM
}

/// The size of the batches in which a crowd goes on.
///
/// What one of a crowd costs differs a hundredfold (a connection with megabytes on their way is closed, another only looks
/// whether there is memory again), and nobody knows it before. So the size follows how long the passes were: it grows while
/// they are short, and is halved after a long one, as a congestion window is. All batches of a thread see the same passes,
/// and share them.
#[derive(Debug)]
pub struct Batch {
    size: Cell<usize>,
    least: usize,
    most: usize,
}

impl Batch {
    /// Begins with `least`, of which there are so many even if the passes are long, as others than the crowd may be why.
    pub const fn new(least: usize, most: usize) -> Self {
        Self { size: Cell::new(least), least, most }
    }

    /// How many may go on now.
    pub fn size(&self) -> usize {
        self.size.get()
    }

    /// To be waited for after a whole batch: `pause` is ready when the runtime has run what was ready and has looked what
    /// else there is to do.
    pub async fn pause(&self, pause: impl AsyncFn()) {
        let begin = Instant::now();
        pause().await;
        self.learn(begin.elapsed());
    }

    pub(super) fn learn(&self, pass: Duration) {
        let size = self.size.get();
        let next = if is_long(pass) { size / 2 } else { size + size.div_ceil(4) };
        self.size.set(next.clamp(self.least, self.most));
    }
}
