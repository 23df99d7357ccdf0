mod piped;

use std::cell::Cell;
use std::rc::Rc;

use tokio::task::{LocalSet, spawn_local, yield_now};
use usher_http::Fields;

use super::*;
use crate::body::{Plain, Source};
use crate::error::WireError;
use crate::testing::run;

/// What is moved in a turn at most: some use it up but for a little, and all others have the least.
const MOST: u64 = TURN + (MOST_FLOWS as u64 + 1) * LEAST;

/// Moves `bytes` in turns, and counts what it moved.
async fn flow(mut bytes: u64, moved: Rc<Cell<u64>>) {
    let mut turn = Turn::default();
    while bytes > 0 {
        let most = poll_fn(|cx| turn.poll(cx)).await;
        let now = most.min(bytes);
        spend(now);
        bytes -= now;
        moved.set(moved.get() + now);
        yield_now().await;
    }
}

/// Runs in a set of tasks whose turns are tended.
fn tended(test: impl Future<Output = ()> + 'static) {
    run(async {
        let set = LocalSet::new();
        set.spawn_local(tend(yield_now));
        set.run_until(async {
            // So that somebody tends them.
            yield_now().await;
            test.await;
        })
        .await;
    });
}

#[test]
fn nobody_waits_where_nobody_tends() {
    run(async {
        let moved = Rc::default();
        flow(100 * TURN, Rc::clone(&moved)).await;
        assert_eq!(moved.get(), 100 * TURN);
    });
}

#[test]
fn a_flow_alone_has_turn_after_turn() {
    tended(async {
        let moved = Rc::default();
        flow(100 * TURN, Rc::clone(&moved)).await;
        assert_eq!(moved.get(), 100 * TURN);
    });
}

#[test]
fn many_flows_leave_room_for_others() {
    const MANY: usize = 1000;
    tended(async {
        let moved: Vec<Rc<Cell<u64>>> = (0..MANY).map(|_| Rc::default()).collect();
        let flows: Vec<_> = moved.iter().map(|moved| spawn_local(flow(4 * TURN, moved.clone()))).collect();
        let all = || moved.iter().map(|moved| moved.get()).sum::<u64>();
        yield_now().await;
        // Those that came before others waited had the first turn.
        let mut before = all();
        assert!(before <= TURN, "{before}");
        while all() < 4 * TURN * MANY as u64 {
            // What is small comes again after this: meanwhile no more than two turns may have passed.
            yield_now().await;
            assert!(all() - before <= 2 * MOST, "{} at once", all() - before);
            before = all();
        }
        for flow in flows {
            flow.await.unwrap();
        }
    });
}

#[test]
fn a_handshake_does_not_stand_behind_all_bodies() {
    tended(async {
        let flows: Vec<_> = (0..1000).map(|_| spawn_local(flow(u64::MAX, Rc::default()))).collect();
        for _ in 0..10 {
            yield_now().await;
        }
        let (passes, counter) = passes();
        for _ in 0..3 {
            let mut turn = Turn::of_handshake();
            poll_fn(|cx| turn.poll(cx)).await;
            sign();
        }
        counter.abort();
        let passes = passes.get();
        // All bodies have had a turn after 62 passes at least.
        assert!(passes < 20, "{passes}");
        flows.iter().for_each(|flow| flow.abort());
    });
}

#[test]
fn turns_are_fair() {
    const MANY: usize = 50;
    tended(async {
        let moved: Vec<Rc<Cell<u64>>> = (0..MANY).map(|_| Rc::default()).collect();
        let flows: Vec<_> = moved.iter().map(|moved| spawn_local(flow(100 * TURN, moved.clone()))).collect();
        for _ in 0..1000 {
            yield_now().await;
        }
        let shares: Vec<u64> = moved.iter().map(|moved| moved.get() / TURN).collect();
        let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
        // One had all of the first turn.
        assert!(*least > 5 && most - least <= 3, "{shares:?}");
        flows.iter().for_each(|flow| flow.abort());
    });
}

#[test]
fn who_has_gone_holds_nobody_up() {
    tended(async {
        let moved: Rc<Cell<u64>> = Rc::default();
        let gone: Vec<_> = (0..100).map(|_| spawn_local(flow(u64::MAX, Rc::default()))).collect();
        let stays = spawn_local(flow(10 * TURN, moved.clone()));
        for _ in 0..10 {
            yield_now().await;
        }
        gone.iter().for_each(|flow| flow.abort());
        stays.await.unwrap();
        assert_eq!(moved.get(), 10 * TURN);
        TURNS.with(|turns| assert!(turns.borrow().bodies.waiting.iter().flatten().next().is_none()));
    });
}

#[test]
fn the_end_of_the_tender_frees_all() {
    run(async {
        let set = LocalSet::new();
        let tender = set.spawn_local(tend(yield_now));
        let moved: Vec<Rc<Cell<u64>>> = (0..20).map(|_| Rc::default()).collect();
        for moved in &moved {
            set.spawn_local(flow(100 * TURN, moved.clone()));
        }
        set.run_until(async {
            for _ in 0..5 {
                yield_now().await;
            }
            tender.abort();
        })
        .await;
        set.await;
        assert!(moved.iter().all(|moved| moved.get() == 100 * TURN));
    });
}

#[test]
fn slow_flows_have_their_turn_sooner() {
    const MANY: usize = 160;
    tended(async {
        let moved: Vec<Rc<Cell<u64>>> = (0..MANY).map(|_| Rc::default()).collect();
        // They move next to nothing when it is their turn.
        let slow = |moved: Rc<Cell<u64>>| async move {
            let mut turn = Turn::default();
            loop {
                poll_fn(|cx| turn.poll(cx)).await;
                spend(1);
                moved.set(moved.get() + 1);
                yield_now().await;
            }
        };
        spend(TURN);
        let flows: Vec<_> = moved.iter().map(|moved| spawn_local(slow(moved.clone()))).collect();
        for _ in 0..3 * MANY / MOST_FLOWS + 10 {
            yield_now().await;
        }
        let least = moved.iter().map(|moved| moved.get()).min().unwrap();
        assert!(least >= 1, "some never had their turn");
        flows.iter().for_each(|flow| flow.abort());
    });
}

#[test]
fn after_a_rest_nobody_waits_for_what_was_before() {
    tended(async {
        let mut turn = Turn::default();
        spend(TURN);
        rest();
        assert_eq!(poll_fn(|cx| Poll::Ready(turn.poll(cx))).await, Poll::Ready(TURN));
        // Those who wait have the next turn.
        spend(TURN);
        assert!(poll_fn(|cx| Poll::Ready(turn.poll(cx))).await.is_pending());
        rest();
        let mut late = Turn::default();
        assert!(poll_fn(|cx| Poll::Ready(late.poll(cx))).await.is_pending());
    });
}

/// As many as move a turn's worth together go on at once.
#[test]
fn how_many_have_a_turn_follows_what_they_move() {
    let mut turns = Turns { is_tended: true, flows: FLOWS, ..Turns::default() };
    let mut sizes = |moved: u64| {
        let sizes = std::array::from_fn(|_| {
            turns.moved = moved;
            for _ in 0..20 {
                turns.bodies.wait(None, Waker::noop());
            }
            turns.next().count()
        });
        turns.bodies.end();
        sizes
    };
    assert_eq!(sizes(TURN - 1), [6, 9, 13, 16, 16]);
    assert_eq!(sizes(TURN), [8, 4, 2, 1, 1]);
    assert_eq!(sizes(0), [2, 3, 4, 6, 9]);
}

#[test]
fn whoever_comes_when_a_turn_is_used_up_moves_little() {
    tended(async {
        let mut turns = [Turn::default(), Turn::default()];
        spend(TURN);
        for turn in &mut turns {
            assert!(poll_fn(|cx| Poll::Ready(turn.poll(cx))).await.is_pending());
        }
        while turns[1].is_waiting() {
            yield_now().await;
        }
        assert_eq!(poll_fn(|cx| turns[0].poll(cx)).await, TURN);
        spend(TURN);
        assert_eq!(poll_fn(|cx| turns[1].poll(cx)).await, LEAST);
    });
}

/// Some wait for their turn, and then for something else: a client that is to be told that all is over.
#[test]
fn who_does_not_come_back_holds_nobody_up() {
    tended(async {
        let mut gone: Vec<Turn> = (0..20).map(|_| Turn::default()).collect();
        spend(TURN);
        for turn in &mut gone {
            assert!(poll_fn(|cx| Poll::Ready(turn.poll(cx))).await.is_pending());
        }
        let moved: Rc<Cell<u64>> = Rc::default();
        flow(10 * TURN, moved.clone()).await;
        assert_eq!(moved.get(), 10 * TURN);
    });
}

#[test]
fn who_waits_is_known() {
    tended(async {
        let mut turn = Turn::default();
        spend(TURN);
        assert!(poll_fn(|cx| Poll::Ready(turn.poll(cx))).await.is_pending() && turn.is_waiting());
        poll_fn(|cx| turn.poll(cx)).await;
        assert!(!turn.is_waiting());
    });
}

/// Counts the passes of the loop, until it is aborted.
fn passes() -> (Rc<Cell<u32>>, tokio::task::JoinHandle<()>) {
    let passes: Rc<Cell<u32>> = Rc::default();
    let counted = Rc::clone(&passes);
    let counter = spawn_local(async move {
        loop {
            counted.set(counted.get() + 1);
            yield_now().await;
        }
    });
    (passes, counter)
}

/// Runs all of these, and says how many came to their end in one pass at most.
async fn at_once<F: Future<Output = ()> + 'static>(all: impl Iterator<Item = F>) -> u64 {
    let done: Rc<Cell<u64>> = Rc::default();
    let all: Vec<_> = all
        .map(|one| {
            let done = Rc::clone(&done);
            spawn_local(async move {
                one.await;
                done.set(done.get() + 1);
            })
        })
        .collect();
    let (mut most, mut before) = (0, 0);
    while before < all.len() as u64 {
        yield_now().await;
        most = most.max(done.get() - before);
        before = done.get();
    }
    most
}

/// Asks as a stranger does.
async fn asked() {
    let mut turn = Turn::of_stranger();
    poll_fn(|cx| turn.poll(cx)).await;
    ask();
}

#[test]
fn of_many_strangers_few_ask_for_something_at_once() {
    tended(async {
        let most = at_once((0..200).map(|_| asked())).await;
        // Nobody waited before the first of them, and in the pass of a turn's end the next one may begin.
        assert!(most <= 3 * TURN / STRANGER, "{most} at once");
    });
}

#[test]
fn of_a_crowd_few_are_woken_at_once() {
    tended(async {
        let woken: Rc<Cell<u64>> = Rc::default();
        let counted = Rc::clone(&woken);
        let waking = spawn_local(async move {
            let mut crowd = Crowd::default();
            for _ in 0..1000 {
                crowd.one_more(WAKING).await;
                counted.set(counted.get() + 1);
            }
        });
        let (mut most, mut before) = (0, 0);
        while !waking.is_finished() {
            yield_now().await;
            most = most.max(woken.get() - before);
            before = woken.get();
        }
        assert!(before == 1000 && most <= 2 * TURN / WAKING, "{most} at once");
    });
}

/// Large downloads use up each turn.
#[test]
fn neither_strangers_nor_crowds_stand_behind_all_bodies() {
    tended(async {
        let flows: Vec<_> = (0..1000).map(|_| spawn_local(flow(u64::MAX, Rc::default()))).collect();
        for _ in 0..10 {
            yield_now().await;
        }
        let (passes, counter) = passes();
        let mut crowd = Crowd::default();
        for _ in 0..5 {
            asked().await;
            crowd.one_more(TURN).await;
        }
        counter.abort();
        // All bodies have had a turn after 62 passes at least.
        assert!(passes.get() < 20, "{}", passes.get());
        flows.iter().for_each(|flow| flow.abort());
    });
}

/// How many bodies have a turn together follows what bodies move, not what others do meanwhile.
#[test]
fn what_others_do_takes_no_turn_from_slow_bodies() {
    let mut turns = Turns { is_tended: true, flows: FLOWS, ..Turns::default() };
    for _ in 0..4 {
        turns.worked = 2 * TURN;
        turns.next().for_each(drop);
    }
    assert_eq!(turns.flows, MOST_FLOWS);
}

/// Who has the next turn, of so many who wait.
fn next_of(waiting: &[(Kind, usize)]) -> Vec<usize> {
    let mut turns = Turns { is_tended: true, flows: FLOWS, ..Turns::default() };
    for (kind, many) in waiting {
        for _ in 0..*many {
            turns.queue(*kind).wait(None, Waker::noop());
        }
    }
    let woken = turns.next().count();
    let left: Vec<usize> =
        waiting.iter().map(|(kind, many)| many - turns.queue(*kind).waiting.len()).collect();
    assert_eq!(woken, left.iter().sum::<usize>(), "nobody is lost");
    left
}

#[test]
fn those_who_wait_beside_bodies_share_a_turn() {
    const MANY: usize = 20;
    assert_eq!(next_of(&[(Kind::Handshake, MANY)]), [2]);
    assert_eq!(next_of(&[(Kind::Stranger, MANY)]), [4]);
    assert_eq!(next_of(&[(Kind::Stranger, MANY), (Kind::Handshake, 1)]), [2, 1]);
    let all = [Kind::Body, Kind::Handshake, Kind::Stranger, Kind::Crowd].map(|kind| (kind, MANY));
    assert_eq!(next_of(&all), [6, 1, 1, 1]);
}

/// A body all of which is there, in parts.
struct Parts(u64);

/// Of so much (bytes).
const PART: u64 = 4 << 10;

impl Source for Parts {
    fn poll_fill(&mut self, _: &mut Context<'_>) -> Poll<Result<usize, WireError>> {
        Poll::Ready(Ok(self.0.min(PART) as usize))
    }

    fn chunk(&self) -> &[u8] {
        unreachable!("nobody looks at it")
    }

    fn consume(&mut self, len: usize) {
        self.0 -= len as u64;
    }

    fn trailers(&self) -> Option<&Fields> {
        None
    }

    fn is_done(&self) -> bool {
        self.0 == 0
    }

    fn plain(&mut self) -> Option<Plain<'_>> {
        None
    }

    fn took_plain(&mut self, _: u64) -> Result<(), WireError> {
        Ok(())
    }
}

/// Takes a body in, and counts.
async fn fill(mut parts: Parts, taken: Rc<Cell<u64>>) {
    let mut filling = Filling::default();
    loop {
        let len = poll_fn(|cx| filling.poll(cx, &mut parts)).await.unwrap();
        if len == 0 {
            return;
        }
        parts.consume(len);
        taken.set(taken.get() + len as u64);
    }
}

#[test]
fn bodies_are_taken_in_in_turns() {
    const MANY: u64 = 200;
    const BODY: u64 = 1 << 20;
    tended(async {
        let taken: Rc<Cell<u64>> = Rc::default();
        let all: Vec<_> = (0..MANY).map(|_| spawn_local(fill(Parts(BODY), taken.clone()))).collect();
        // What is small is taken in at once.
        while taken.get() < MANY * SMALL {
            yield_now().await;
        }
        let mut before = taken.get();
        while before < MANY * BODY {
            yield_now().await;
            // To take little at a time is as much work as to take more.
            let least = taken.get() - before;
            assert!(least * COPY * filling::PIECE / PART <= 2 * MOST, "{least} at once");
            before = taken.get();
        }
        for one in all {
            one.await.unwrap();
        }
    });
}

#[test]
fn a_small_body_waits_for_nobody() {
    tended(async {
        let gone: Vec<_> = (0..100).map(|_| spawn_local(flow(u64::MAX, Rc::default()))).collect();
        for _ in 0..3 {
            yield_now().await;
        }
        let taken: Rc<Cell<u64>> = Rc::default();
        let one = spawn_local(fill(Parts(SMALL), taken.clone()));
        let large = spawn_local(fill(Parts(SMALL + 1), Rc::default()));
        yield_now().await;
        assert_eq!(taken.get(), SMALL);
        assert!(!large.is_finished());
        one.abort();
        large.await.unwrap();
        gone.iter().for_each(|flow| flow.abort());
    });
}
