use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Wake;

use tokio::task::{JoinHandle, LocalSet, spawn_local};

use super::cuts::{LONG, PARTS, REST};
use super::*;

/// Counts how often it is woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// A deadline that is waited for, since `since`, by somebody who has moved so much.
fn waiting(table: &Rc<Deadlines>, wait: Wait) -> (Deadline, Arc<Count>) {
    let (deadline, count) = (table.register(), Arc::new(Count::default()));
    deadline.set(Duration::from_secs(60));
    deadline.waits(wait);
    assert!(deadline.poll(&mut Context::from_waker(&count.clone().into())).is_pending());
    (deadline, count)
}

const MINUTE: Duration = Duration::from_secs(60);
const AFTER: Duration = Duration::from_millis(500);

#[test]
fn the_slowest_go_first_and_who_is_fast_or_not_waited_for_stays() {
    let table = Deadlines::new();
    table.now.set(10_000);
    let waits = [
        // 10 s without a byte, 5 s without one, 1 KiB/s, 100 KiB/s, just begun.
        Wait::Client(5_000, 0),
        Wait::Client(0, 0),
        Wait::Client(0, 10 << 10),
        Wait::Client(0, 1000 << 10),
        Wait::Client(9_900, 0),
        Wait::Other,
        Wait::Idle(0),
    ];
    let all: Vec<_> = waits.iter().map(|wait| waiting(&table, *wait)).collect();
    let slowest = |thousandths| {
        table.cut_slowest(thousandths, AFTER);
        cut_all(&table, &table.slow, &all)
    };
    assert_eq!(slowest(0), [false; 7]);
    table.cut_slowest(u32::MAX, AFTER);
    table.end_one(&table.slow);
    assert_eq!(slowest(0), [false, true, false, false, false, false, false], "in order, and nobody any more");
    assert_eq!(slowest(1), [true, true, false, false, false, false, false], "one at least");
    assert_eq!(slowest(500), [true, true, true, false, false, false, false], "half of the one that is left");
    assert_eq!(slowest(u32::MAX), [true, true, true, false, false, false, false], "nobody else is slow");
    let woken: Vec<usize> = all.iter().map(|(_, count)| count.0.load(Relaxed)).collect();
    assert_eq!(woken, [1, 1, 1, 0, 0, 0, 0]);
    let (ended, _) = &all[0];
    assert!(ended.poll(&mut Context::from_waker(Waker::noop())).is_ready());
    ended.set(Duration::from_secs(1));
    assert!(!ended.was_cut(), "whatever is waited for next has its own time");
    assert!(ended.poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

/// What has to be given back is held by all, but only those who are slow can give it.
#[test]
fn as_many_of_the_slow_go_as_would_be_enough_of_all() {
    let table = Deadlines::new();
    table.now.set(10_000);
    let waits = [Wait::Client(0, 0), Wait::Client(1, 0), Wait::Client(2, 0)];
    let waits = waits.into_iter().chain([Wait::Other; 7]);
    let all: Vec<_> = waits.map(|wait| waiting(&table, wait)).collect();
    table.cut_slowest(200, AFTER);
    assert_eq!(cut_all(&table, &table.slow, &all)[..4], [true, true, false, false]);
}

#[test]
fn who_asks_for_nothing_goes_by_how_long() {
    let table = Deadlines::new();
    table.now.set(10_000);
    let all: Vec<_> = [9_500, 3_000, 1_000, 2_000].map(|since| waiting(&table, Wait::Idle(since))).into();
    table.cut_slowest(u32::MAX, AFTER);
    assert_eq!(cut_all(&table, &table.slow, &all), [false; 4]);
    table.cut_idle(600);
    let cut = cut_all(&table, &table.idle, &all);
    assert_eq!(cut, [false, false, true, true], "the longest of those who have rested a second");
}

#[test]
fn who_is_no_longer_waited_for_when_its_turn_comes_stays() {
    let table = Deadlines::new();
    table.now.set(10_000);
    let all: Vec<_> = (0..4).map(|_| waiting(&table, Wait::Client(0, 0))).collect();
    let [moves, gives, rests, races] = [0, 1, 2, 3].map(|index| &all[index].0);
    table.cut_slowest(u32::MAX, AFTER);
    // What it moves since is little: it goes nevertheless, and not for the first choice alone.
    moves.set(MINUTE);
    moves.waits(Wait::Client(0, 1));
    gives.set(MINUTE);
    rests.waits(Wait::Idle(0));
    races.waits(Wait::Client(0, 1 << 20));
    assert_eq!(cut_all(&table, &table.slow, &all), [true, false, false, false]);
    // The slot is somebody else's by then.
    gives.waits(Wait::Client(0, 0));
    table.cut_slowest(u32::MAX, AFTER);
    gives.waits(Wait::Client(9_000, 0));
    assert_eq!(cut_all(&table, &table.slow, &all), [true, false, false, false]);
}

/// Ends all that are chosen; whose deadline was cut so far.
fn cut_all(table: &Deadlines, cuts: &Cuts, all: &[(Deadline, Arc<Count>)]) -> Vec<bool> {
    while table.end_one(cuts) {}
    all.iter().map(|(deadline, _)| deadline.was_cut()).collect()
}

#[test]
fn setting_a_deadline_forgets_whom_it_waited_for() {
    let table = Deadlines::new();
    table.now.set(10_000);
    let all = [waiting(&table, Wait::Client(0, 0))];
    all[0].0.set(MINUTE);
    table.cut_slowest(u32::MAX, AFTER);
    assert_eq!(cut_all(&table, &table.slow, &all), [false], "it is an endpoint's time now");
}

#[test]
fn a_client_is_waited_for_unless_its_future_says_otherwise() {
    let table = Deadlines::new();
    let deadline = table.register();
    let wait = || deadline.waits_for();
    let cx = &mut Context::from_waker(Waker::noop());
    let stands_in_line = Cell::new(true);
    let inner = poll_fn(|_| {
        if stands_in_line.get() {
            deadline.waits(Wait::Other);
            return Poll::Pending;
        }
        Poll::Ready(())
    });
    let mut silent = Box::pin(deadline.limit_client(MINUTE, deadline.pace(), pending::<()>()));
    assert!(silent.as_mut().poll(cx).is_pending() && matches!(wait(), Wait::Client(..)));
    drop(silent);
    let mut limited = Box::pin(deadline.limit_client(MINUTE, deadline.pace(), inner));
    assert!(limited.as_mut().poll(cx).is_pending() && wait() == Wait::Other, "it waits for its turn");
    deadline.waits(deadline.pace().wait());
    stands_in_line.set(false);
    assert!(limited.as_mut().poll(cx).is_ready() && wait() == Wait::Other, "what comes next is ours");
}

#[test]
fn those_whose_time_is_up_are_woken_one_after_the_other() {
    let table = Deadlines::new();
    let all: Vec<_> = (0..3).map(|_| waiting(&table, Wait::Other)).collect();
    let woken = || all.iter().map(|(_, count)| count.0.load(Relaxed)).sum::<usize>();
    all.iter().for_each(|(deadline, _)| table.slots.borrow_mut()[deadline.index as usize].at = 0);
    table.tick();
    let steps: Vec<(bool, usize)> = (0..4).map(|_| (table.passed.wake_one(), woken())).collect();
    assert_eq!(steps, [(true, 1), (true, 2), (true, 3), (false, 3)]);
}

/// Somebody who takes longer to end than a pass of the loop is to take; gives when that began.
async fn ends_slowly(deadline: Deadline) -> Instant {
    let _ = deadline.limit_client(MINUTE, deadline.pace(), pending::<()>()).await;
    let (began, ends) = (Instant::now(), std::time::Instant::now());
    while ends.elapsed() / 2 <= LONG {
        std::hint::spin_loop();
    }
    began
}

/// A client that ends at once; gives when.
async fn ends(deadline: Deadline) -> Instant {
    let _ = deadline.limit_client(MINUTE, deadline.pace(), pending::<()>()).await;
    Instant::now()
}

/// When so many clients end that are chosen at once, in order.
async fn ended<F: Future<Output = Instant> + 'static>(
    count: usize,
    end: impl Fn(Deadline) -> F,
) -> Vec<Instant> {
    let scene = LocalSet::new();
    let ended = scene.run_until(async {
        let table = Deadlines::new();
        spawn_local(table.clone().run());
        let ends: Vec<_> = (0..count).map(|_| spawn_local(end(table.register()))).collect();
        tokio::time::sleep(AFTER + 2 * TICK).await;
        table.cut_slowest(u32::MAX, AFTER);
        in_order(ends).await
    });
    ended.await
}

/// What all of them give, the first moment first.
async fn in_order(ends: Vec<JoinHandle<Instant>>) -> Vec<Instant> {
    let mut moments = Vec::new();
    for end in ends {
        moments.push(end.await.unwrap());
    }
    moments.sort_unstable();
    moments
}

#[tokio::test(start_paused = true)]
async fn many_end_a_part_at_a_time() {
    let ended = ended(8 * PARTS, ends).await;
    let moments: Vec<&[Instant]> = ended.chunk_by(|one, other| one == other).collect();
    let mut left = 8 * PARTS;
    for moment in &moments {
        // Fewer where this machine was slow.
        assert!(moment.len() <= left.div_ceil(PARTS), "{} of {left}", moment.len());
        left -= moment.len();
    }
    assert!(moments.windows(2).all(|two| two[1][0] - two[0][0] >= REST), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn between_ends_that_take_long_others_go_on() {
    let began = ended(2 * PARTS, ends_slowly).await;
    assert!(began.windows(2).all(|two| two[1] - two[0] >= REST), "{began:?}");
    let scene = LocalSet::new();
    let passed = scene.run_until(async {
        let table = Deadlines::new();
        spawn_local(table.clone().run());
        in_order((0..3).map(|_| spawn_local(ends_slowly(table.register()))).collect()).await
    });
    let passed = passed.await;
    assert!(passed.windows(2).all(|two| two[1] - two[0] >= REST), "their time has passed: {passed:?}");
}
