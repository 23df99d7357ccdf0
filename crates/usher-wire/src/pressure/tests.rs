use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::Wake;

use super::*;
use crate::testing::once;
use crate::turns::tend;

/// Counts how often it is woken.
#[derive(Default)]
struct Count(AtomicU32);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// How many of a hundred who wait are woken before others have a turn.
fn woken_at_once(is_full: bool) -> u32 {
    let count = Arc::new(Count::default());
    let other = Arc::new(Count::default());
    for _ in 0..50 {
        wait(&count.clone().into());
        wait(&other.clone().into());
    }
    let mut tended = pin!(tend(async || std::future::pending().await));
    assert!(once(|cx| tended.as_mut().poll(cx)).is_pending());
    let mut crowd = Crowd::default();
    let asked = Cell::new(0);
    let looking = look_again(&mut crowd, || {
        asked.set(asked.get() + 1);
        is_full
    });
    let mut looking = pin!(looking);
    assert!(once(|cx| looking.as_mut().poll(cx)).is_pending());
    let woken = count.0.load(Relaxed) + other.0.load(Relaxed);
    assert_eq!(asked.get(), woken + 1);
    woken
}

#[test]
fn few_are_woken_at_once_and_of_those_who_only_look_more() {
    let (some, more) = (woken_at_once(false), woken_at_once(true));
    assert!((4..40).contains(&some) && (2 * some..100).contains(&more), "{some} and {more}");
}

#[test]
fn everybody_who_waits_is_woken_once() {
    crate::testing::run(async {
        let counts: [Arc<Count>; 3] = Default::default();
        for count in &counts {
            wait(&count.clone().into());
        }
        let mut crowd = Crowd::default();
        look_again(&mut crowd, || true).await;
        look_again(&mut crowd, || false).await;
        assert_eq!(counts.each_ref().map(|count| count.0.load(Relaxed)), [1, 1, 1]);
    });
}
