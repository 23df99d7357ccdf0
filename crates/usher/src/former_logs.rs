//! Access logs that a reload has put others in place of: requests that began before still write to them.

use std::sync::Arc;

use usher_api::AccessSink;

/// Those that somebody may still write to.
#[derive(Default)]
pub(crate) struct FormerLogs(Vec<Arc<dyn AccessSink>>);

impl FormerLogs {
    /// Keeps one more, until nobody else has it. There are as many as requests of former configs go on with, and one more.
    pub(crate) fn keep(&mut self, log: Arc<dyn AccessSink>) {
        self.forget_unused();
        self.0.push(log);
    }

    fn forget_unused(&mut self) {
        self.0.retain(|log| {
            let is_used = Arc::strong_count(log) > 1;
            if !is_used {
                log.flush();
            }
            is_used
        });
    }

    /// Opens their files anew: nobody shall find an empty file of a log that is written to no more.
    pub(crate) fn reopen(&mut self) {
        self.forget_unused();
        self.0.iter().for_each(|log| log.reopen());
    }

    /// Writes out what is queued; for the end of the process.
    pub(crate) fn flush(&self) {
        self.0.iter().for_each(|log| log.flush());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use usher_api::RecordView;

    use super::*;

    /// Counts how often it was written out.
    #[derive(Default)]
    struct Counting(AtomicU32);

    impl AccessSink for Counting {
        fn record(&self, _: &RecordView<'_>) {}

        fn flush(&self) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn one_that_somebody_has_is_written_out_at_the_end() {
        let mut logs = FormerLogs::default();
        let all: [Arc<Counting>; 3] = Default::default();
        let written = |number: usize| all[number].0.load(Relaxed);
        logs.keep(all[0].clone());
        // Nobody has this one but whoever keeps it.
        let lone = Arc::new(Counting::default());
        let left = Arc::downgrade(&lone);
        logs.keep(lone);
        assert!(left.upgrade().is_some());
        logs.keep(all[1].clone());
        assert!(left.upgrade().is_none());
        let lone = Arc::new(Counting::default());
        let left = Arc::downgrade(&lone);
        logs.keep(lone);
        logs.reopen();
        assert!(left.upgrade().is_none(), "nobody opens it again");
        assert_eq!((written(0), written(1)), (0, 0));
        logs.flush();
        assert_eq!((written(0), written(1), written(2)), (1, 1, 0));
    }
}
