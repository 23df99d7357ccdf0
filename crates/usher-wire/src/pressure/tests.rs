use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::Wake;

use super::*;
use crate::testing::run;

/// Counts how often it is woken.
#[derive(Default)]
struct Count(AtomicU32);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// The first take what memory there is; the others need not look, and are the next.
#[test]
fn nobody_is_woken_while_there_is_no_memory() {
    run(async {
        let counts: [Arc<Count>; 3] = Default::default();
        for count in &counts {
            wait(&count.clone().into());
        }
        let woken = || counts.each_ref().map(|count| count.0.load(Relaxed));
        let mut crowd = Crowd::default();
        look_again(&mut crowd, || true).await;
        assert_eq!(woken(), [0, 0, 0]);
        let room = Cell::new(2);
        let takes_some = || room.replace(room.get() - 1) <= 0;
        look_again(&mut crowd, takes_some).await;
        assert_eq!(woken(), [1, 1, 0]);
        let late = Arc::new(Count::default());
        wait(&late.clone().into());
        room.set(1);
        look_again(&mut crowd, takes_some).await;
        assert_eq!((woken(), late.0.load(Relaxed)), ([1, 1, 1], 0));
        look_again(&mut crowd, || false).await;
        look_again(&mut crowd, || false).await;
        assert_eq!((woken(), late.0.load(Relaxed)), ([1, 1, 1], 1), "each of them once");
    });
}
