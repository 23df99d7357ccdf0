//! Splits that move by themselves: the thread that looks at them, what the admin API tells of them and does with them, and
//! what is kept over a restart (`store.rs`) or told to the process that takes over.

mod store;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use usher_api::shifts::{ShiftControl, ShiftOrder, ShiftReading, ShiftSide};
use usher_engine::shift::{Counts, Evidence, Move, WHOLE, Worse};
use usher_engine::snapshot::{ShiftPlan, Snapshot};

use store::Kept;
pub(crate) use store::Store;

use crate::log;

/// How often a shift is looked at: often enough for its steps, and at least once a second.
const OFTEN: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// Looks within a step, at least.
const LOOKS: u32 = 10;

/// The shifts that serve, and who looks at them.
pub(crate) struct Shifts {
    board: Arc<Board>,
    /// Wakes the thread that looks; it starts with the first shift.
    orders: Option<mpsc::Sender<()>>,
}

/// All shifts of the snapshot that serves.
struct Board {
    /// When the clock began that shifts are told.
    begun: Instant,
    plans: Mutex<Vec<ShiftPlan>>,
    store: Mutex<Option<Store>>,
    /// Where those of the process before stood, until the first plans are known.
    inherited: Mutex<Vec<Kept>>,
    /// Another process takes over, or this one ends: nothing moves any more.
    suspended: AtomicBool,
}

impl Default for Shifts {
    fn default() -> Self {
        let board = Board {
            begun: Instant::now(),
            plans: Mutex::default(),
            store: Mutex::default(),
            inherited: Mutex::default(),
            suspended: AtomicBool::new(false),
        };
        Self { board: Arc::new(board), orders: None }
    }
}

impl Shifts {
    /// Who tells of them and changes them for the admin API.
    pub(crate) fn board(&self) -> Arc<dyn ShiftControl> {
        self.board.clone()
    }

    /// Looks after exactly the shifts of this snapshot from now on; those that are new go on where the store has them. Call it
    /// before the snapshot serves. Without a store, nothing is kept over a restart.
    pub(crate) fn follow(&mut self, snapshot: &Snapshot, store: Option<Store>) {
        let plans: Vec<ShiftPlan> = snapshot.shifts().cloned().collect();
        self.board.show(plans, store);
        let any = !lock(&self.board.plans).is_empty();
        if self.orders.is_none() && any {
            let (orders, told) = mpsc::channel();
            let board = self.board.clone();
            let spawned = thread::Builder::new().name("shifts".to_owned()).spawn(move || board.run(&told));
            match spawned {
                Ok(_) => self.orders = Some(orders),
                Err(error) => {
                    log::error(format_args!("cannot look after shifts, which stay as they are: {error}"))
                }
            }
        }
        if let Some(orders) = &self.orders {
            let _ = orders.send(());
        }
    }

    /// Nothing moves while another process is about to take over, or this one ends. What is just moving is waited for.
    pub(crate) fn suspend(&self) {
        let _plans = lock(&self.board.plans);
        self.board.suspended.store(true, Ordering::SeqCst);
    }

    /// Where all of them stand, for the process that takes over, whatever becomes of the file: a message each.
    pub(crate) fn bequeath(&self) -> Vec<Value> {
        store::kept(&lock(&self.board.plans)).into_iter().map(|one| json!({ "shift": one })).collect()
    }

    /// Goes on where those of the process before stood, which counts more than the file.
    pub(crate) fn inherit(&self, messages: &[Value]) {
        let kept = messages.iter().filter_map(|message| store::parse(message.get("shift")?));
        lock(&self.board.inherited).extend(kept);
    }

    /// The other process is gone; what it kept of shifts, perhaps by another config, is written over.
    pub(crate) fn go_on(&self) {
        let plans = lock(&self.board.plans);
        if let Some(store) = &mut *lock(&self.board.store) {
            store.forget();
        }
        self.board.save(&plans);
        self.board.suspended.store(false, Ordering::SeqCst);
    }
}

impl Board {
    fn show(&self, plans: Vec<ShiftPlan>, store: Option<Store>) {
        let mut present = lock(&self.plans);
        let is_known = |plan: &&ShiftPlan| present.iter().any(|one| Arc::ptr_eq(&one.shift, &plan.shift));
        let (now, inherited) = (self.begun.elapsed(), std::mem::take(&mut *lock(&self.inherited)));
        let is_fresh = |plan: &&ShiftPlan| !is_known(plan) && !store::restore_one(plan, &inherited, now);
        let fresh: Vec<&ShiftPlan> = plans.iter().filter(is_fresh).collect();
        match (&store, fresh.as_slice()) {
            (_, []) => {}
            (Some(store), fresh) => store.restore(fresh, now),
            (None, _) => log::warn(format_args!(
                "the state of shifts is kept over no restart, as there is no config file: they begin anew then"
            )),
        }
        *present = plans;
        *lock(&self.store) = store;
        self.save(&present);
    }

    /// Looks at all of them again and again.
    fn run(&self, told: &mpsc::Receiver<()>) {
        loop {
            let wait = lock(&self.plans).iter().map(|plan| plan.settings.every / LOOKS).min();
            let heard = match wait {
                Some(wait) => told.recv_timeout(wait.clamp(OFTEN.0, OFTEN.1)),
                None => told.recv().map_err(RecvTimeoutError::from),
            };
            if heard == Err(RecvTimeoutError::Disconnected) {
                return;
            }
            self.look();
        }
    }

    fn look(&self) {
        let plans = lock(&self.plans);
        if self.suspended.load(Ordering::SeqCst) {
            return;
        }
        let moved = |plan: &ShiftPlan| plan.shift.look(&plan.settings, self.begun.elapsed());
        let moves: Vec<Move> = plans.iter().filter_map(moved).collect();
        if moves.is_empty() {
            return;
        }
        self.save(&plans);
        for Move { line, alarm } in moves {
            if alarm {
                log::warn(format_args!("{line}"));
            } else {
                log::info(format_args!("{line}"));
            }
        }
    }

    /// Keeps where all of them stand.
    fn save(&self, plans: &[ShiftPlan]) {
        if let Some(store) = &mut *lock(&self.store) {
            store.save(plans);
        }
    }

    fn describe(&self, plan: &ShiftPlan) -> Value {
        let (settings, names) = (&plan.settings, &plan.settings.names);
        let standing = plan.shift.standing(settings, self.begun.elapsed());
        let side = |name: &str, counts: &Counts, all: &Counts| {
            json!({
                "target": name,
                "requests": counts.requests, "failed": counts.failed, "p99_ms": counts.p99().map(millis),
                "requests_in_all": all.requests, "failed_in_all": all.failed,
            })
        };
        json!({
            "route": settings.route,
            "release": names.release,
            "state": standing.state.as_str(),
            "held": standing.held,
            "share": share(standing.share),
            "steps": settings.steps.iter().map(|step| share(*step)).collect::<Vec<_>>(),
            "next": standing.next.map(share),
            "next_in_seconds": standing.left.map(|left| left.as_secs_f64()),
            "min_requests": settings.min_requests,
            "period_seconds": standing.period.as_secs_f64(),
            "new": side(&names.new, &standing.counts.0, &standing.all.0),
            "old": side(&names.old, &standing.counts.1, &standing.all.1),
            "looks": standing.looks,
            "evidence": standing.evidence.as_ref().map(evidence),
            "last": standing.last,
        })
    }
}

/// What the last look found.
fn evidence(found: &Evidence) -> Value {
    let ((requests, failed), (others, others_failed)) = found.requests;
    let worse = found.worse.map(|worse| match worse {
        Worse::Failures => "failures",
        Worse::Times => "times",
    });
    let times = found.times.map(|(limit, beyond, chance)| {
        json!({ "tolerated_p99_ms": millis(limit), "slower": beyond, "probability_by_chance": chance })
    });
    json!({
        "new": { "requests": requests, "failed": failed, "p99_ms": found.p99.0.map(millis) },
        "old": { "requests": others, "failed": others_failed, "p99_ms": found.p99.1.map(millis) },
        "failures": { "probability_by_chance": found.failures_by_chance },
        "times": times,
        "counts_below": found.level,
        "worse": worse,
    })
}

fn share(parts: u32) -> f64 {
    f64::from(parts) / f64::from(WHOLE)
}

fn millis(micros: u64) -> f64 {
    micros as f64 / 1e3
}

impl ShiftControl for Board {
    fn json(&self) -> String {
        Value::Array(lock(&self.plans).iter().map(|plan| self.describe(plan)).collect()).to_string()
    }

    fn order(&self, route: &str, order: ShiftOrder) -> Result<String, String> {
        let plans = lock(&self.plans);
        if self.suspended.load(Ordering::SeqCst) {
            return Err("another process takes over, or this one ends: ask again".to_owned());
        }
        let plan = plans.iter().find(|plan| plan.settings.route == route);
        let plan =
            plan.ok_or_else(|| format!("the route `{route}` has no shift, or there is no such route"))?;
        let Move { line, .. } = plan.shift.order(&plan.settings, order, self.begun.elapsed())?;
        self.save(&plans);
        log::info(format_args!("{line} (by the admin listener)"));
        Ok(line)
    }

    fn readings(&self) -> Vec<ShiftReading> {
        let now = self.begun.elapsed();
        let reading = |plan: &ShiftPlan| {
            let names = &plan.settings.names;
            let standing = plan.shift.standing(&plan.settings, now);
            let side = |side, target: &str, counts: &Counts, all: &Counts| ShiftSide {
                target: target.to_owned(),
                side,
                requests: (all.requests, all.failed),
                p99: counts.p99(),
            };
            ShiftReading {
                route: plan.settings.route.clone(),
                state: standing.state.as_str(),
                share: share(standing.share),
                moves: standing.moves,
                sides: [
                    side("new", &names.new, &standing.counts.0, &standing.all.0),
                    side("old", &names.old, &standing.counts.1, &standing.all.1),
                ],
            }
        };
        lock(&self.plans).iter().map(reading).collect()
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
