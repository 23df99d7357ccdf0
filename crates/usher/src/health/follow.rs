//! The thread that asks: one task per endpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout};
use usher_api::Unwell;
use usher_api::standing::{Out, Standing};
use usher_net::SystemDialer;

use super::board::Board;
use super::streak::{Streak, Turn};
use super::{Key, Plan, Wanted};
use crate::log;

/// What may be asked at once, in connections ([`usher_api::Probe::cost`]).
const AT_ONCE: u32 = 512;

/// What all tasks of the thread share.
struct Shared {
    dialer: SystemDialer,
    permits: Semaphore,
    board: Arc<Board>,
}

/// Endpoints that were not well when they left and are remembered, over all clusters.
const MAX_LEFT: usize = 4096;

/// The endpoints that are asked, and the task of each.
type Followed = BTreeMap<Key, (Wanted, AbortHandle)>;

/// Endpoints that were not well when they left. If they come back while their cluster still remembers them, they are not held
/// to be well: a name may leave out an address for one answer.
type Left = BTreeMap<Key, Weak<Standing>>;

/// Asks who is wanted until nobody can want anything.
pub(super) async fn run(mut plans: UnboundedReceiver<Plan>, board: Arc<Board>) {
    let permits = Semaphore::new(AT_ONCE as usize);
    let shared = Rc::new(Shared { dialer: SystemDialer::default(), permits, board });
    let (mut followed, mut left) = (Followed::new(), Left::new());
    while let Some(plan) = plans.recv().await {
        change(&shared, (&mut followed, &mut left), plan);
    }
}

/// Starts and ends tasks so that exactly those are asked who are wanted.
fn change(shared: &Rc<Shared>, (followed, left): (&mut Followed, &mut Left), plan: Plan) {
    // What nobody else holds is forgotten, and what was found out of clusters that are asked no more: who turns that off means
    // it.
    let still: BTreeSet<Arc<str>> = plan.keys().map(|(cluster, _)| cluster.clone()).collect();
    left.retain(|(cluster, _), one| still.contains(cluster) && one.strong_count() > 0);
    let asked: BTreeSet<Arc<str>> = followed.keys().map(|(cluster, _)| cluster.clone()).collect();
    let mut changed = BTreeSet::new();
    followed.retain(|key, (before, task)| match plan.get(key) {
        Some(now) if now.is_same(before) => true,
        now => {
            task.abort();
            match now {
                // It is asked otherwise: what was found stays until the first answer.
                Some(now) if Arc::ptr_eq(&now.standing, &before.standing) => {
                    changed.insert(key.clone());
                }
                _ => {
                    if set(before, false) && left.len() < MAX_LEFT && still.contains(&key.0) {
                        left.insert(key.clone(), Arc::downgrade(&before.standing));
                    }
                    shared.board.remove(key);
                }
            }
            false
        }
    });
    let fresh: Vec<(Key, Wanted)> = plan.into_iter().filter(|(key, _)| !followed.contains_key(key)).collect();
    let (number, begun) = (fresh.len() as u32, Instant::now());
    for (index, (key, wanted)) in fresh.into_iter().enumerate() {
        let remembered = left.remove(&key).and_then(|one| one.upgrade());
        if remembered.is_some_and(|one| Arc::ptr_eq(&one, &wanted.standing)) {
            set(&wanted, true);
        }
        // One that joins a cluster that is asked already may just be starting.
        let first = changed.contains(&key) || !asked.contains(&key.0);
        // Spread over an interval, so that they are not asked in the same moment.
        let at = begun + wanted.health.interval.mul_f64(index as f64 / f64::from(number));
        let task = tokio::task::spawn_local(follow(shared.clone(), key.clone(), wanted.clone(), (at, first)));
        followed.insert(key, (wanted, task.abort_handle()));
    }
}

/// Tells the workers. True if that is news.
fn set(wanted: &Wanted, out: bool) -> bool {
    let Wanted { standings, standing, .. } = wanted;
    standings.set(standing, Out::Unhealthy, out, standings.millis(std::time::Instant::now()))
}

/// Asks one endpoint again and again.
async fn follow(shared: Rc<Shared>, key: Key, wanted: Wanted, (at, first): (Instant, bool)) {
    let well = !wanted.standing.is(Out::Unhealthy);
    let mut streak = Streak::begin(well, first);
    shared.board.add(&key, &wanted, well);
    let mut random = Random::new();
    let mut next = at;
    loop {
        sleep_until(next).await;
        let begun = Instant::now();
        let answer = shared.ask(&wanted).await;
        shared.board.answered(&key, answer.is_ok());
        if let Some(turn) = streak.note(answer.is_ok(), &wanted.health) {
            set(&wanted, !turn.well);
            shared.board.turned(&key, turn.well);
            tell(&key, &wanted, turn, answer.err());
        }
        next = begun + random.about(wanted.health.interval, wanted.health.jitter.fraction());
    }
}

impl Shared {
    /// Asks once, when that is not too much at once.
    async fn ask(&self, wanted: &Wanted) -> Result<(), Unwell> {
        let Wanted { health, target, .. } = wanted;
        let cost = health.probe.cost().min(AT_ONCE);
        // The semaphore is never closed.
        let _permit = self.permits.acquire_many(cost).await;
        match timeout(health.timeout, health.probe.ask(target, &self.dialer)).await {
            Ok(answer) => answer,
            Err(_) => Err(Unwell::new(format!("no answer within {:?}", health.timeout))),
        }
    }
}

/// `endpoint 10.0.0.1:3000 of cluster api is unhealthy: connection refused (3 in a row)`
fn tell((cluster, address): &Key, wanted: &Wanted, turn: Turn, why: Option<Unwell>) {
    let label = &wanted.target.label;
    let name = if *label == *address { address.to_string() } else { format!("{label} ({address})") };
    let after = match turn.at_once {
        true => "the first answer".to_owned(),
        false => format!("{} in a row", turn.after),
    };
    match why {
        Some(why) => {
            log::warn(format_args!("endpoint {name} of cluster {cluster} is unhealthy: {why} ({after})"));
        }
        None => log::info(format_args!("endpoint {name} of cluster {cluster} is healthy again ({after})")),
    }
}

/// Random numbers for pauses (xorshift64*).
struct Random(u64);

impl Random {
    fn new() -> Self {
        Self(RandomState::new().build_hasher().finish() | 1)
    }

    /// A time that is longer or shorter by up to so much of itself.
    fn about(&mut self, time: Duration, share: f64) -> Duration {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let fraction = (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1_u64 << 53) as f64;
        time.mul_f64((1.0 + share * (2.0 * fraction - 1.0)).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Random;

    #[test]
    fn pauses_differ_by_no_more_than_the_jitter() {
        let (mut random, interval) = (Random::new(), Duration::from_secs(5));
        for share in [0.0, 0.1, 1.0] {
            let pauses: Vec<f64> =
                (0..1000).map(|_| random.about(interval, share).as_secs_f64() / 5.0).collect();
            assert!(pauses.iter().all(|pause| (pause - 1.0).abs() <= share + 1e-9), "{share}");
            let mean = pauses.iter().sum::<f64>() / 1000.0;
            assert!((mean - 1.0).abs() <= share / 5.0 + 1e-9, "{share}: {mean}");
        }
    }
}
