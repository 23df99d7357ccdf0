//! Requests at a fixed rate, whatever the responses do (an open loop): arrivals at random times of a fixed seed, so
//! each proxy meets the same ones. A response's time counts from when its request was *meant* to be sent, so that a
//! proxy that stalls is not excused from the requests that waited behind the stall.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use super::connection::Step;
use super::housekeeping::Housekeeping;
use super::http1::Load;
use super::{Batch, Job, MAX_ERRORS};

/// The timer's name among the connections' indexes.
const TIMER: u64 = u64::MAX;
/// Where the arrival times begin.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
/// How long the last responses may take.
const GRACE: Duration = Duration::from_secs(5);

/// How long the responses of an open loop took.
pub(crate) struct Latencies {
    sorted: Vec<Duration>,
    /// Without those that the kernel's housekeeping may have delayed.
    undisturbed: Vec<Duration>,
    /// How many succeeded and failed.
    pub(crate) batch: Batch,
}

impl Latencies {
    /// The time within which `share` (0 to 1) of the responses came.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        quantile(&self.sorted, share)
    }

    /// The same of the requests that the kernel's housekeeping did not disturb.
    pub(crate) fn undisturbed(&self, share: f64) -> Duration {
        quantile(&self.undisturbed, share)
    }

    /// How many it may have delayed.
    pub(crate) fn disturbed(&self) -> usize {
        self.sorted.len() - self.undisturbed.len()
    }
}

fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index between 0 and `last`"
    )]
    let index = (last as f64 * share.clamp(0.0, 1.0)).round() as usize;
    sorted.get(index).copied().unwrap_or_default()
}

/// Offsets of arrivals whose gaps are exponentially distributed: a Poisson process.
pub(crate) struct Arrivals {
    state: u64,
    at: f64,
    gap: f64,
}

impl Arrivals {
    /// So many per second.
    pub(crate) fn new(rate: f64) -> Self {
        Self { state: SEED, at: 0.0, gap: 1.0 / rate }
    }

    /// The next offset from the start; xorshift64 gives the bits.
    pub(crate) fn next(&mut self) -> Duration {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let uniform = ((self.state >> 11) as f64 + 1.0) / (1_u64 << 53) as f64;
        self.at -= uniform.ln() * self.gap;
        Duration::from_secs_f64(self.at)
    }
}

impl Load {
    /// Sends `rate` requests per second for `length`.
    pub(crate) fn at_rate(&mut self, job: &Job, rate: f64, length: Duration) -> io::Result<Latencies> {
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        epoll::add(&self.epoll, &timer, EventData::new_u64(TIMER), EventFlags::IN | EventFlags::ET)?;
        let start = Instant::now();
        let mut open = Open::new(self.connections.len(), start);
        let mut arrivals = Arrivals::new(rate);
        let mut next = arrivals.next();
        loop {
            while next < length && start + next <= Instant::now() {
                open.waiting.push_back(start + next);
                next = arrivals.next();
            }
            open.send_waiting(self, job)?;
            let finished =
                next >= length && open.idle.len() == self.connections.len() && open.waiting.is_empty();
            if finished || start.elapsed() > length + GRACE || open.batch.errors > MAX_ERRORS {
                break;
            }
            if next < length {
                arm(&timer, (start + next).saturating_duration_since(Instant::now()))?;
            }
            open.housekeeping.look();
            for index in self.wait()? {
                open.advance(self, index, job)?;
            }
            open.housekeeping.look();
        }
        epoll::delete(&self.epoll, &timer)?;
        Ok(open.finish(self.connections.len()))
    }
}

fn arm(timer: &impl std::os::fd::AsFd, after: Duration) -> io::Result<()> {
    let after = after.max(Duration::from_nanos(1));
    let value = Timespec::try_from(after).map_err(io::Error::other)?;
    let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
    timerfd_settime(timer, TimerfdTimerFlags::empty(), &once)?;
    Ok(())
}

struct Open {
    start: Instant,
    idle: Vec<usize>,
    /// When each connection's request was meant to be sent.
    meant: Vec<Instant>,
    /// Requests whose time has come while no connection was free.
    waiting: VecDeque<Instant>,
    /// When each request was meant to be sent, and when its response was whole.
    taken: Vec<(Instant, Instant)>,
    housekeeping: Housekeeping,
    batch: Batch,
}

impl Open {
    fn new(connections: usize, start: Instant) -> Self {
        let (idle, meant) = ((0..connections).collect(), vec![start; connections]);
        let housekeeping = Housekeeping::find();
        let batch = Batch::default();
        Self { start, idle, meant, waiting: VecDeque::new(), taken: Vec::new(), housekeeping, batch }
    }

    fn send_waiting(&mut self, load: &mut Load, job: &Job) -> io::Result<()> {
        while let Some(&meant) = self.waiting.front()
            && let Some(index) = self.idle.pop()
        {
            self.waiting.pop_front();
            self.meant[index] = meant;
            if let Err(error) = load.connections[index].send(job) {
                self.batch.fail(&error);
                load.connections[index] = load.connect(index)?;
                self.idle.push(index);
            }
        }
        Ok(())
    }

    fn advance(&mut self, load: &mut Load, index: usize, job: &Job) -> io::Result<()> {
        let busy = load.connections[index].busy();
        match load.connections[index].advance(job, &mut load.scratch) {
            Ok(Step::Pending) => return Ok(()),
            Ok(Step::Done { reusable }) => {
                self.taken.push((self.meant[index], Instant::now()));
                self.batch.done += 1;
                if !reusable {
                    load.connections[index] = load.connect(index)?;
                }
            }
            Err(error) => {
                if busy {
                    self.batch.fail(&error);
                }
                load.connections[index] = load.connect(index)?;
            }
        }
        if busy {
            self.idle.push(index);
        }
        Ok(())
    }

    fn finish(mut self, connections: usize) -> Latencies {
        let lost = (connections - self.idle.len() + self.waiting.len()) as u64;
        if lost > 0 {
            self.batch.errors += lost;
            self.batch.first_error.get_or_insert_with(|| format!("{lost} responses did not come in time"));
        }
        self.batch.elapsed = self.start.elapsed();
        self.housekeeping.look();
        let lengths = |all: &mut dyn Iterator<Item = &(Instant, Instant)>| {
            let mut lengths: Vec<Duration> = all.map(|(from, to)| *to - *from).collect();
            lengths.sort_unstable();
            lengths
        };
        let alone = |(from, to): &&(Instant, Instant)| !self.housekeeping.ran_between(*from, *to);
        Latencies {
            sorted: lengths(&mut self.taken.iter()),
            undisturbed: lengths(&mut self.taken.iter().filter(alone)),
            batch: self.batch,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_have_the_rate_and_vary() {
        let mut arrivals = Arrivals::new(1000.0);
        let times: Vec<Duration> = (0..20_000).map(|_| arrivals.next()).collect();
        let seconds = times.last().unwrap().as_secs_f64();
        assert!((19.0..21.0).contains(&seconds), "{seconds}");
        let gaps: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().any(|gap| *gap > Duration::from_millis(5)));
        assert!(gaps.iter().any(|gap| *gap < Duration::from_micros(100)));
    }

    #[test]
    fn quantiles_of_a_known_set() {
        let sorted = (0..=100).map(Duration::from_millis).collect();
        let latencies = Latencies { sorted, undisturbed: Vec::new(), batch: Batch::default() };
        assert_eq!(latencies.quantile(0.5), Duration::from_millis(50));
        assert_eq!(latencies.quantile(0.99), Duration::from_millis(99));
        assert_eq!(latencies.quantile(1.0), Duration::from_millis(100));
    }
}
