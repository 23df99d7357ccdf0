//! What a process costs: CPU time, memory, and the core it may run on. All from `/proc`, see proc(5).

use std::fs;
use std::io;
use std::ops::Sub;

use rustix::thread::{CpuSet, sched_setaffinity};

/// Nanoseconds of one clock tick in `/proc/PID/stat`: Linux reports them at 100 Hz on every architecture we run on.
const TICK_NS: u64 = 10_000_000;

/// Lets the calling thread, and whatever it starts from now on, run on one core only.
pub(crate) fn pin(core: usize) -> io::Result<()> {
    if core >= CpuSet::MAX_CPU {
        return Err(io::Error::other(format!("there is no core `{core}`")));
    }
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set)
        .map_err(|error| io::Error::other(format!("cannot run on core `{core}`: {error}")))
}

/// CPU time that some processes have used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Cpu {
    /// User and system time of all threads.
    pub(crate) total_ns: u64,
    /// The user part in clock ticks; coarse, for the user/system split only.
    pub(crate) user_ticks: u64,
    /// The system part in clock ticks.
    pub(crate) system_ticks: u64,
}

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            total_ns: self.total_ns.saturating_sub(earlier.total_ns),
            user_ticks: self.user_ticks.saturating_sub(earlier.user_ticks),
            system_ticks: self.system_ticks.saturating_sub(earlier.system_ticks),
        }
    }
}

/// Sums the CPU time of all threads of `pids`.
///
/// `task/*/schedstat` counts nanoseconds; kernels without `CONFIG_SCHED_INFO` leave only the ticks of `stat`.
pub(crate) fn used(pids: &[u32]) -> io::Result<Cpu> {
    let mut sum = Cpu::default();
    for &pid in pids {
        let (user, system) = stat_ticks(pid)?;
        sum.user_ticks += user;
        sum.system_ticks += system;
        sum.total_ns += threads_ns(pid)?.unwrap_or((user + system) * TICK_NS);
    }
    Ok(sum)
}

/// Says which of the two clocks `used` reads on this kernel.
pub(crate) fn clock() -> &'static str {
    match threads_ns(std::process::id()) {
        Ok(Some(_)) => "/proc/PID/task/*/schedstat (nanoseconds)",
        _ => "/proc/PID/stat utime+stime (10 ms ticks)",
    }
}

fn threads_ns(pid: u32) -> io::Result<Option<u64>> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { return Ok(None) };
        sum += text.split(' ').next().and_then(|field| field.parse().ok()).unwrap_or(0);
    }
    Ok((sum > 0).then_some(sum))
}

fn stat_ticks(pid: u32) -> io::Result<(u64, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let ticks = |index| stat_field(&text, index).and_then(|field| field.parse().ok());
    match (ticks(14), ticks(15)) {
        (Some(user), Some(system)) => Ok((user, system)),
        _ => Err(io::Error::other(format!("cannot read `/proc/{pid}/stat`"))),
    }
}

/// The field `index` of a `stat` line, counted from 1 as in proc(5); the second, a name in brackets, may hold spaces.
fn stat_field(line: &str, index: usize) -> Option<&str> {
    let after_name = line.rsplit_once(") ")?.1;
    after_name.split_ascii_whitespace().nth(index.checked_sub(3)?)
}

/// A process and all its descendants.
pub(crate) fn family(pid: u32) -> io::Result<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(child) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(text) = fs::read_to_string(format!("/proc/{child}/stat")) else { continue };
        if let Some(parent) = stat_field(&text, 4).and_then(|field| field.parse::<u32>().ok()) {
            parents.push((child, parent));
        }
    }
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(&current) = found.get(next) {
        found.extend(parents.iter().filter(|(_, parent)| *parent == current).map(|(child, _)| *child));
        next += 1;
    }
    Ok(found)
}

/// Resident memory of one process in KiB (`VmRSS`).
pub(crate) fn resident_kib(pid: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    text.lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|value| value.trim().trim_end_matches(" kB").parse().ok())
        .ok_or_else(|| io::Error::other(format!("`/proc/{pid}/status` names no VmRSS")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_stat_of_a_name_with_brackets() {
        let line = "42 (a) b) S 7 42 42 0 -1 4194560 1 0 0 0 31 17 0 0 20 0 1 0";
        assert_eq!(stat_field(line, 4), Some("7"));
        assert_eq!(stat_field(line, 14), Some("31"));
        assert_eq!(stat_field(line, 15), Some("17"));
        assert_eq!(stat_field(line, 99), None);
    }

    #[test]
    fn own_time_grows_with_work() {
        let me = [std::process::id()];
        let before = used(&me).unwrap();
        let mut sum = 0_u64;
        for number in 0..40_000_000_u64 {
            sum = std::hint::black_box(sum ^ number);
        }
        assert!((used(&me).unwrap() - before).total_ns > 0);
    }

    #[test]
    fn family_holds_a_child() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let found = family(std::process::id()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found.contains(&child.id()));
    }
}
