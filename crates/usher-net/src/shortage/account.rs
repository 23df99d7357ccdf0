//! The account, and the levels.

use std::cell::Cell;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64};

/// How short the process is.
///
/// Memory: shares of the ceiling. Descriptors: shares of those that clients may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// There is enough.
    #[default]
    Calm = 0,
    /// From 70 %: connections at rest are closed, buffers and windows are small, nothing is kept for another try.
    Tight = 1,
    /// From 80 %: routes of low criticality are refused.
    Short = 2,
    /// From 87 %: nobody new comes in, and those who are slowest to take or to send are ended.
    Full = 3,
    /// From 94 %: routes of normal criticality are refused too, to clients of whom nothing is known.
    Spent = 4,
    /// From 98 %: and to all others.
    Over = 5,
}

impl Level {
    /// All, from the lowest.
    pub const ALL: [Self; 6] = [Self::Calm, Self::Tight, Self::Short, Self::Full, Self::Spent, Self::Over];

    /// As metrics and logs call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Tight => "tight",
            Self::Short => "short",
            Self::Full => "full",
            Self::Spent => "spent",
            Self::Over => "over",
        }
    }

    /// From which share on it holds (thousandths).
    fn from(self) -> u64 {
        match self {
            Self::Calm => 0,
            Self::Tight => 700,
            Self::Short => 800,
            Self::Full => 870,
            Self::Spent => 940,
            Self::Over => 980,
        }
    }

    fn of(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or(Self::Over)
    }

    /// The level at this share (thousandths).
    fn at(share: u64) -> Self {
        Self::ALL.into_iter().rev().find(|level| share >= level.from()).unwrap_or_default()
    }

    /// After a sample: at once up; down only where the share is clearly below, so that it does not go to and fro.
    fn after(self, share: u64) -> Self {
        let now = Self::at(share);
        if now >= self { now } else { Self::at(share + SLACK).min(self) }
    }
}

/// How far the share must be below a level before it ends (thousandths).
const SLACK: u64 = 20;
/// When people are sent away, this share is what it is done for (thousandths).
const ENOUGH: u64 = 840;
/// Descriptors that clients do not get: for connections to endpoints, logs and the admin endpoint. One in so many.
const KEPT_OF: u64 = 16;
/// And so many at least, where there are as many.
const KEPT: u64 = 64;
/// Holes worth looking for: this share of what the process has (thousandths).
const HOLES: u64 = 50;

/// No ceiling.
const NONE: u64 = u64::MAX;

/// What one process has.
pub(super) struct Account {
    /// Given out by the heap (bytes), but for what workers have not told yet. May be below zero for a moment: who gives
    /// back may tell before who took.
    heap: AtomicI64,
    /// What the process had beside it, at the last sample (bytes).
    beside: AtomicI64,
    /// The most that it shall have (bytes).
    ceiling: AtomicU64,
    /// What of the heap begins the next level (bytes): all that a worker compares.
    next: AtomicI64,
    memory: AtomicU8,
    descriptors: AtomicU8,
    /// Those of clients, and those that are open.
    most_descriptors: AtomicU64,
    open_descriptors: AtomicU64,
    resident: AtomicU64,
    pipes: AtomicI64,
}

/// What an account says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Of whichever it is shorter.
    pub level: Level,
    /// Of memory.
    pub memory: Level,
    /// Of descriptors.
    pub descriptors: Level,
    /// The ceiling (bytes).
    pub ceiling: Option<u64>,
    /// What is charged (bytes): the heap as it is now, and what was beside it at the last sample.
    pub used: u64,
    /// Of it, what the heap gave out (bytes).
    pub heap: u64,
    /// Resident memory at the last sample (bytes).
    pub resident: u64,
    /// What kernel pipes may hold (bytes), which is charged to nobody.
    pub pipes: u64,
    /// Open descriptors at the last sample, where they are counted.
    pub open_descriptors: u64,
    /// Those that clients may take.
    pub most_descriptors: Option<u64>,
}

impl Reading {
    /// Whether giving back to the system is worth its time: memory is short, and resident memory is much more than what the
    /// heap gave out. Descriptors are not freed by it.
    pub(super) fn needs_trimming(&self, resident: u64) -> bool {
        let beside = resident.saturating_sub(self.heap);
        self.memory >= Level::Tight && beside.saturating_mul(1000) > resident.saturating_mul(HOLES)
    }
}

impl Account {
    pub(super) const fn new() -> Self {
        Self {
            heap: AtomicI64::new(0),
            beside: AtomicI64::new(0),
            ceiling: AtomicU64::new(NONE),
            next: AtomicI64::new(i64::MAX),
            memory: AtomicU8::new(0),
            descriptors: AtomicU8::new(0),
            most_descriptors: AtomicU64::new(NONE),
            open_descriptors: AtomicU64::new(0),
            resident: AtomicU64::new(0),
            pipes: AtomicI64::new(0),
        }
    }

    #[inline]
    pub(super) fn level(&self) -> Level {
        Level::of(self.memory.load(Relaxed).max(self.descriptors.load(Relaxed)))
    }

    #[inline]
    pub(super) fn memory(&self) -> Level {
        Level::of(self.memory.load(Relaxed))
    }

    pub(super) fn set_ceiling(&self, ceiling: Option<u64>) {
        self.ceiling.store(ceiling.map_or(NONE, |bytes| bytes.max(1)), Relaxed);
        self.judge(true);
    }

    pub(super) fn set_descriptors(&self, limit: Option<u64>) {
        let most =
            limit.map_or(NONE, |limit| limit.saturating_sub((limit / KEPT_OF).max(KEPT.min(limit / 2))));
        self.most_descriptors.store(most.max(1), Relaxed);
    }

    /// Notes what was taken from the heap, or given back.
    pub(super) fn tell(&self, bytes: i64) {
        let heap = self.heap.fetch_add(bytes, Relaxed).saturating_add(bytes);
        if heap >= self.next.load(Relaxed) {
            self.judge(false);
        }
    }

    /// What is charged (bytes).
    fn used(&self) -> u64 {
        let used = self.heap.load(Relaxed).saturating_add(self.beside.load(Relaxed));
        u64::try_from(used).unwrap_or(0)
    }

    /// Sets the level by what is charged now; down only `after` a sample.
    fn judge(&self, after: bool) {
        let (before, ceiling) = (self.memory(), self.ceiling.load(Relaxed));
        if ceiling == NONE {
            self.memory.store(0, Relaxed);
            self.next.store(i64::MAX, Relaxed);
            return;
        }
        let share = share(self.used(), ceiling);
        let level = if after { before.after(share) } else { Level::at(share).max(before) };
        self.memory.store(level as u8, Relaxed);
        // Where the next one begins, as a sum of the heap alone.
        let next = Level::ALL.get(level as usize + 1).map_or(i64::MAX, |next| {
            let from = u128::from(ceiling) * u128::from(next.from()) / 1000;
            i64::try_from(from).unwrap_or(i64::MAX).saturating_sub(self.beside.load(Relaxed))
        });
        self.next.store(next, Relaxed);
    }

    /// Notes what the system says of the process.
    pub(super) fn sample(&self, resident: Option<u64>, open: Option<u64>) {
        if let Some(resident) = resident {
            self.resident.store(resident, Relaxed);
            let beside = i64::try_from(resident).unwrap_or(i64::MAX) - self.heap.load(Relaxed);
            // The heap may have given out what nobody has written to yet: that may come.
            self.beside.store(beside.max(0), Relaxed);
        }
        self.judge(true);
        if let Some(open) = open {
            self.open_descriptors.store(open, Relaxed);
            let share = share(open, self.most_descriptors.load(Relaxed));
            // The last share before the reserve is enough to refuse in, as nothing is taken by surprise.
            let before = Level::of(self.descriptors.load(Relaxed));
            self.descriptors.store(before.after(share * DESCRIPTORS / 1000) as u8, Relaxed);
        }
    }

    pub(super) fn may_keep(&self, descriptor: i32) -> bool {
        let number = u64::try_from(descriptor).unwrap_or(0);
        let kept = number < self.most_descriptors.load(Relaxed);
        if !kept {
            self.descriptors.fetch_max(Level::Full as u8, Relaxed);
        }
        kept
    }

    /// What of what clients hold is more than enough (thousandths).
    pub(super) fn excess(&self) -> u32 {
        let of = |used: u64, most: u64| match share(used, most) {
            share if most != NONE && share > ENOUGH => (share - ENOUGH) * 1000 / share,
            _ => 0,
        };
        let memory =
            if self.memory() >= Level::Full { of(self.used(), self.ceiling.load(Relaxed)) } else { 0 };
        let full = Level::of(self.descriptors.load(Relaxed)) >= Level::Full;
        let open = self.open_descriptors.load(Relaxed);
        let open = if full { of(open, self.most_descriptors.load(Relaxed)) } else { 0 };
        u32::try_from(memory.max(open)).unwrap_or(u32::MAX)
    }

    pub(super) fn pipe(&self, capacity: usize, is_open: bool) {
        let bytes = i64::try_from(capacity).unwrap_or(i64::MAX);
        self.pipes.fetch_add(if is_open { bytes } else { -bytes }, Relaxed);
    }

    pub(super) fn reading(&self) -> Reading {
        let given = |bytes: u64| (bytes != NONE).then_some(bytes);
        Reading {
            level: self.level(),
            memory: self.memory(),
            descriptors: Level::of(self.descriptors.load(Relaxed)),
            ceiling: given(self.ceiling.load(Relaxed)),
            used: self.used(),
            heap: u64::try_from(self.heap.load(Relaxed)).unwrap_or(0),
            resident: self.resident.load(Relaxed),
            pipes: u64::try_from(self.pipes.load(Relaxed)).unwrap_or(0),
            open_descriptors: self.open_descriptors.load(Relaxed),
            most_descriptors: given(self.most_descriptors.load(Relaxed)),
        }
    }
}

/// Descriptors are numbers and never a surprise: their levels begin later than those of memory, the one before the last at 99 %
/// (thousandths of a share).
const DESCRIPTORS: u64 = 950;

fn share(used: u64, most: u64) -> u64 {
    let share = u128::from(used) * 1000 / u128::from(most.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// Of descriptors.
pub(super) struct Descriptors;

impl Descriptors {
    /// Whether they need to be counted.
    pub(super) fn are_limited(account: &Account) -> bool {
        account.most_descriptors.load(Relaxed) != NONE
    }
}

/// What a thread has taken and not told.
struct Untold {
    bytes: Cell<i64>,
    /// How much that may be.
    most: Cell<i64>,
}

thread_local! {
    // Without a destructor: the heap may be used before and after everything else of a thread.
    static UNTOLD: Untold = const { Untold { bytes: Cell::new(0), most: Cell::new(0) } };
}

/// Charges the process with bytes of its heap; less than zero where they are given back.
#[inline]
pub(crate) fn charge(bytes: i64) {
    UNTOLD.with(|untold| {
        let sum = untold.bytes.get() + bytes;
        if sum.abs() > untold.most.get() {
            untold.bytes.set(0);
            super::PROCESS.tell(sum);
        } else {
            untold.bytes.set(sum);
        }
    });
}

/// Sets how much this thread may keep to itself, and tells what it has.
pub(super) fn set_grant(bytes: usize) {
    UNTOLD.with(|untold| {
        untold.most.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        super::PROCESS.tell(untold.bytes.take());
    });
}
