//! What the kernel says about the process, under the names that Prometheus clients share. Linux only; elsewhere, and
//! where `/proc` cannot be read, these are left out.

use std::fs;

use super::exposition::{Exposition, seconds};

/// `USER_HZ`: ticks of a second in `/proc`, the same on every Linux of today.
const TICKS: u64 = 100;

pub(super) fn render(out: &mut Exposition) {
    if let Some(micros) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(cpu_micros) {
        out.counter(
            "process_cpu_seconds_total",
            "Time of processors that was used, of the user and the system.",
        )
        .sample(&[], seconds(micros));
    }
    if let Some(bytes) = fs::read_to_string("/proc/self/status").ok().as_deref().and_then(resident_bytes) {
        out.gauge("process_resident_memory_bytes", "Memory in use.").sample(&[], bytes);
    }
    if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        // One of them is the folder that is being read.
        out.gauge("process_open_fds", "Open file descriptors.")
            .sample(&[], entries.count().saturating_sub(1));
    }
    if let Some(limit) = fs::read_to_string("/proc/self/limits").ok().as_deref().and_then(max_fds) {
        out.gauge("process_max_fds", "File descriptors that may be open at once.").sample(&[], limit);
    }
}

/// Fields 14 and 15 of `stat`; the name before them may hold anything, but ends with the last parenthesis.
pub(super) fn cpu_micros(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    user.checked_add(system)?.checked_mul(1_000_000 / TICKS)
}

pub(super) fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

pub(super) fn max_fds(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}
