//! The states of a shift, and what leads from one to another.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use usher_api::shifts::ShiftOrder as Order;

use super::evidence::{Evidence, compare, level};
use super::tally::{Counts, Tally};
use super::{Settings, Shift, WHOLE, told};

/// Requests of the new side at the first look of a step.
const FIRST_LOOK: u64 = 10;
/// There is another look when there are a quarter more: few looks, as each makes all of them stricter.
const GROWTH: (u64, u64) = (5, 4);

/// Where a shift stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It has not begun: the new target takes nothing.
    #[default]
    Waiting,
    /// It goes on by itself.
    Running,
    /// Somebody has stopped it: it goes no further, but still back.
    Paused,
    /// The last step is taken. Where that is not the whole, it still goes back if it does worse.
    Finished,
    /// The new target did worse, or somebody has broken it off: it takes nothing until somebody says otherwise.
    Back,
}

impl State {
    /// All states.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Running, Self::Paused, Self::Finished, Self::Back];

    /// One word for logs, metrics and the admin API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Finished => "finished",
            Self::Back => "rolled_back",
        }
    }

    /// By its word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// What has happened, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// In words, with the numbers.
    pub line: String,
    /// The new target was taken back because of what it did.
    pub alarm: bool,
}

/// Where a shift stands, to be kept over a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The state.
    pub state: State,
    /// What the new target takes.
    pub share: u32,
    /// How often was looked.
    pub looks: u32,
    /// What happened last.
    pub last: String,
}

/// Where a shift stands, and since when.
#[derive(Debug, Default)]
pub(super) struct Progress {
    state: State,
    looks: u32,
    /// When the period began that is looked at.
    since: Duration,
    /// What was counted until then: of the new side, and of the old one.
    before: (Counts, Counts),
    /// There is a look when the new side has so many requests in the period.
    next_look: u64,
    /// It was said that there are too few requests.
    held: bool,
    /// It does not begin by itself, whatever the config says.
    doubtful: bool,
    evidence: Option<Evidence>,
    last: String,
    /// Steps forth, and back.
    moves: (u64, u64),
}

/// What is told of a shift.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The state.
    pub state: State,
    /// A step is over but for the requests that are missing.
    pub held: bool,
    /// What the new target takes.
    pub share: u32,
    /// What it will take next; none at the end.
    pub next: Option<u32>,
    /// How long until then, if nothing comes in between; none if it does not go on by itself.
    pub left: Option<Duration>,
    /// How long the period has lasted.
    pub period: Duration,
    /// What became of the requests of the period: of the new side, and of the old one.
    pub counts: (Counts, Counts),
    /// What became of all requests.
    pub all: (Counts, Counts),
    /// What the last look found.
    pub evidence: Option<Evidence>,
    /// How often was looked.
    pub looks: u32,
    /// What happened last.
    pub last: String,
    /// Steps forth, and back.
    pub moves: (u64, u64),
}

impl Shift {
    /// Looks whether there is something to do, at this moment of a clock that never goes back. Gives what was done.
    pub fn look(&self, settings: &Settings, now: Duration) -> Option<Move> {
        let mut progress = self.progress();
        let next = next_step(settings, self.share());
        match progress.state {
            State::Waiting if !settings.manual && !progress.doubtful => {
                Some(self.begin(&mut progress, settings, now))
            }
            // The config has further steps now.
            State::Finished if next.is_some() => {
                progress.state = State::Running;
                self.period(&mut progress, now);
                None
            }
            State::Running | State::Paused => self.judge(&mut progress, settings, now),
            // Both targets still serve: there is something to compare.
            State::Finished if self.share() < WHOLE => self.judge(&mut progress, settings, now),
            State::Waiting | State::Finished | State::Back => None,
        }
    }

    /// Does what somebody wants.
    ///
    /// # Errors
    /// In plain words: that makes no sense now.
    pub fn order(&self, settings: &Settings, order: Order, now: Duration) -> Result<Move, String> {
        let mut progress = self.progress();
        let progress = &mut *progress;
        let state = progress.state;
        match (order, state) {
            (Order::Pause, State::Running) => {
                progress.state = State::Paused;
                Ok(progress.tell(told::paused(settings, self.share())))
            }
            (Order::Resume, State::Paused) => {
                progress.state = State::Running;
                // What was a step before is over at once, if it was long enough and said enough.
                Ok(progress.tell(told::resumed(settings, self.share())))
            }
            (Order::Resume, State::Waiting | State::Back) | (Order::Restart, _) => {
                Ok(self.begin(progress, settings, now))
            }
            (Order::Advance, State::Finished) | (Order::Promote, State::Finished) => {
                Err(format!("the shift of `{}` is finished already", settings.route))
            }
            (Order::Advance, State::Waiting | State::Back) => Ok(self.begin(progress, settings, now)),
            (Order::Advance, State::Running | State::Paused) => match next_step(settings, self.share()) {
                Some(share) => Ok(self.step(progress, settings, (share, now))),
                None => Ok(self.step(progress, settings, (self.share(), now))),
            },
            (Order::Promote, _) => Ok(self.step(progress, settings, (last_step(settings), now))),
            (Order::Abort, State::Back) => {
                Err(format!("the shift of `{}` was taken back already", settings.route))
            }
            (Order::Abort, _) => {
                self.take_back(progress);
                Ok(progress.tell(told::aborted(settings)))
            }
            (Order::Pause | Order::Resume, _) => {
                Err(format!("the shift of `{}` is {}", settings.route, state.as_str()))
            }
        }
    }

    /// Goes on where another process was; its period begins anew.
    pub fn restore(&self, saved: &Saved, now: Duration) {
        let mut progress = self.progress();
        (progress.state, progress.looks) = (saved.state, saved.looks);
        // Nobody keeps one that waits, unless it was not known where it was.
        progress.doubtful = saved.state == State::Waiting;
        progress.last.clone_from(&saved.last);
        let takes = !matches!(saved.state, State::Waiting | State::Back);
        self.share.store(if takes { saved.share } else { 0 }, Relaxed);
        self.period(&mut progress, now);
    }

    /// It is not known where it stood: it does not begin by itself.
    pub fn doubt(&self, why: &str) {
        let mut progress = self.progress();
        progress.doubtful = true;
        progress.last = why.to_owned();
    }

    /// Where it stands, for another process.
    pub fn saved(&self) -> Saved {
        let progress = self.progress();
        Saved {
            state: progress.state,
            share: self.share(),
            looks: progress.looks,
            last: progress.last.clone(),
        }
    }

    /// Whether it stands where it began: there is nothing to be kept.
    pub fn is_untouched(&self) -> bool {
        let progress = self.progress();
        progress.state == State::Waiting && !progress.doubtful
    }

    /// All that is known of it.
    pub fn standing(&self, settings: &Settings, now: Duration) -> Standing {
        let progress = self.progress();
        let period = now.saturating_sub(progress.since);
        let next = Some(progress.state).filter(|state| *state != State::Finished);
        let share = self.share();
        let running = progress.state == State::Running;
        Standing {
            state: progress.state,
            held: running && progress.held,
            share,
            next: next.and_then(|_| next_step(settings, share)),
            left: running.then(|| settings.every.saturating_sub(period)),
            period,
            counts: self.counts(&progress),
            all: (self.new.read(), self.old.read()),
            evidence: progress.evidence.clone(),
            looks: progress.looks,
            last: progress.last.clone(),
            moves: progress.moves,
        }
    }

    fn counts(&self, progress: &Progress) -> (Counts, Counts) {
        (self.new.read().since(&progress.before.0), self.old.read().since(&progress.before.1))
    }

    /// Begins with the first step.
    fn begin(&self, progress: &mut Progress, settings: &Settings, now: Duration) -> Move {
        (progress.looks, progress.doubtful, progress.evidence) = (0, false, None);
        self.share.store(0, Relaxed);
        let first = settings.steps.first().copied().unwrap_or(WHOLE);
        self.step(progress, settings, (first, now))
    }

    /// Gives the new target this much, and looks at it anew.
    fn step(&self, progress: &mut Progress, settings: &Settings, (share, now): (u32, Duration)) -> Move {
        let (before, counts) = (self.share(), self.counts(progress));
        let period = now.saturating_sub(progress.since);
        let is_last = next_step(settings, share).is_none();
        progress.state = if is_last { State::Finished } else { State::Running };
        progress.moves.0 += 1;
        self.share.store(share, Relaxed);
        self.period(progress, now);
        let line = told::step(settings, (before, share), (&counts, period));
        progress.tell(line)
    }

    /// Looks at what comes from now on.
    fn period(&self, progress: &mut Progress, now: Duration) {
        progress.since = now;
        progress.before = (self.new.read(), self.old.read());
        (progress.next_look, progress.held) = (FIRST_LOOK, false);
    }

    fn take_back(&self, progress: &mut Progress) {
        self.share.store(0, Relaxed);
        progress.state = State::Back;
        progress.doubtful = false;
        progress.moves.1 += 1;
    }

    /// Takes the new target back if it does worse; goes a step further if it has done no worse for long enough.
    fn judge(&self, progress: &mut Progress, settings: &Settings, now: Duration) -> Option<Move> {
        let seen = |side: &Tally, before: &Counts| side.requests().saturating_sub(before.requests);
        let (new, old) = (seen(&self.new, &progress.before.0), seen(&self.old, &progress.before.1));
        let period = now.saturating_sub(progress.since);
        let enough = new.min(old) >= settings.min_requests;
        let is_over = period >= settings.every;
        let ends = is_over && progress.state == State::Running && (enough || settings.advances_unsure);
        // Before the next step there is one more look, at whatever came since the last.
        if (new >= progress.next_look || ends && new > 0)
            && let Some(back) = self.compare(progress, settings, period)
        {
            return Some(back);
        }
        if ends {
            let share = next_step(settings, self.share()).unwrap_or(self.share());
            return Some(self.step(progress, settings, (share, now)));
        }
        if is_over && enough {
            // Nobody goes on: what is long ago would hide what is new.
            self.period(progress, now);
        }
        if !is_over || progress.state != State::Running || progress.held {
            return None;
        }
        progress.held = true;
        Some(progress.tell(told::held(settings, self.share(), (new, old))))
    }

    /// Compares the sides, and takes the new one back if it does worse.
    fn compare(&self, progress: &mut Progress, settings: &Settings, period: Duration) -> Option<Move> {
        let (new, old) = self.counts(progress);
        progress.looks = progress.looks.saturating_add(1);
        progress.next_look = next_look(new.requests);
        let level = level(settings.false_alarms, progress.looks);
        let evidence = progress.evidence.insert(compare(&new, &old, &settings.tolerance, level)).clone();
        evidence.worse?;
        self.take_back(progress);
        let line = told::taken_back(settings, &evidence, period);
        Some(Move { alarm: true, ..progress.tell(line) })
    }
}

impl Progress {
    fn tell(&mut self, line: String) -> Move {
        self.last.clone_from(&line);
        Move { line, alarm: false }
    }
}

/// When there is a look again, after one at so many requests.
fn next_look(requests: u64) -> u64 {
    (requests.saturating_mul(GROWTH.0) / GROWTH.1).max(FIRST_LOOK).max(requests + 1)
}

/// The step after this share; none if there is no further one.
fn next_step(settings: &Settings, share: u32) -> Option<u32> {
    settings.steps.iter().copied().find(|step| *step > share)
}

fn last_step(settings: &Settings) -> u32 {
    settings.steps.last().copied().unwrap_or(WHOLE)
}

#[cfg(test)]
mod tests;
