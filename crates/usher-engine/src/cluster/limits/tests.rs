use std::pin::pin;
use std::task::Wake;

use super::*;

fn turn(crowd: &Arc<Crowd>) -> Turn {
    crowd.queue(&"app".into(), &ClusterLimits::default()).expect("there is room in the queue")
}

/// Whether it was told that there may be a place; what it was told is forgotten.
fn is_told(turn: &Turn) -> bool {
    pin!(turn.wait()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn a_place_is_told_to_the_first_only() {
    let crowd = Arc::<Crowd>::default();
    let (first, second) = (turn(&crowd), turn(&crowd));
    assert!(first.is_first() && !second.is_first());
    crowd.tell_first();
    assert!(is_told(&first) && !is_told(&first) && !is_told(&second));
    first.pass_on();
    assert!(is_told(&second) && !is_told(&first));
    second.pass_on();
    assert!(!is_told(&first) && !is_told(&second), "it is behind nobody");
}

#[test]
fn what_it_is_told_while_it_takes_a_place_is_the_next_ones() {
    for (told_again, has_room, passed_on) in
        [(false, false, false), (true, false, true), (false, true, true), (true, true, true)]
    {
        let crowd = Arc::<Crowd>::default();
        let (first, second) = (turn(&crowd), turn(&crowd));
        crowd.tell_first();
        assert!(is_told(&first));
        // It looks for a place, and another worker gives one back.
        if told_again {
            crowd.tell_first();
        }
        first.taken(has_room);
        drop(first);
        assert_eq!(is_told(&second), passed_on, "told again: {told_again}, has room: {has_room}");
        assert_eq!(crowd.waiting(), 1);
    }
}

#[test]
fn who_leaves_hands_on_what_it_was_told() {
    let crowd = Arc::<Crowd>::default();
    let (first, second, third) = (turn(&crowd), turn(&crowd), turn(&crowd));
    drop(second);
    assert!(!is_told(&third), "nobody had told it of a place");
    crowd.tell_first();
    drop(first);
    assert!(is_told(&third));
    assert_eq!(crowd.waiting(), 1);
}

/// Looks at what it was told as soon as it is woken; in that moment another place is given back.
struct Busy {
    crowd: Arc<Crowd>,
    waiter: Arc<Waiter>,
}

impl Wake for Busy {
    fn wake(self: Arc<Self>) {
        assert!(self.waiter.told.swap(false, SeqCst));
        self.crowd.tell_first();
    }
}

#[test]
fn who_is_leaving_is_told_of_nothing_more() {
    let crowd = Arc::<Crowd>::default();
    let (first, second) = (turn(&crowd), turn(&crowd));
    let busy = Busy { crowd: crowd.clone(), waiter: second.waiter.clone() };
    let waker = Waker::from(Arc::new(busy));
    assert!(second.waiter.poll_told(&mut Context::from_waker(&waker)).is_pending());
    crowd.tell_first();
    drop(first);
    assert!(is_told(&second), "of the second place too");
}
