//! Threads that compare passwords: a hash takes tens of milliseconds, which no thread that serves requests can wait.
//!
//! There are few of them, so that a flood of wrong passwords does not take all processors, and their queue is short,
//! so that it does not take all memory. They are started when the first password is compared.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Comparisons that may wait; further ones are refused.
const MAX_QUEUE: usize = 512;
/// Threads at most; at least one, and half as many as processors.
const MAX_THREADS: usize = 8;

type Job = Box<dyn FnOnce() + Send>;

/// Hands a comparison to a thread; false if too many wait already.
pub fn submit(job: Job) -> bool {
    static QUEUE: OnceLock<Option<SyncSender<Job>>> = OnceLock::new();
    QUEUE.get_or_init(start).as_ref().is_some_and(|queue| queue.try_send(job).is_ok())
}

/// None if not one thread could be started.
fn start() -> Option<SyncSender<Job>> {
    let (sender, receiver) = sync_channel(MAX_QUEUE);
    let receiver = Arc::new(Mutex::new(receiver));
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let mut started = 0;
    for _ in 0..(processors / 2).clamp(1, MAX_THREADS) {
        let receiver = receiver.clone();
        let thread = std::thread::Builder::new().name("usher-password".to_owned());
        started += usize::from(thread.spawn(move || work(&receiver)).is_ok());
    }
    (started > 0).then_some(sender)
}

fn work(receiver: &Mutex<Receiver<Job>>) {
    loop {
        let job = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // A defect in one comparison fails that one (its answer never comes) and not those behind it.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}
