//! Facts about the machine, for the report.

use std::fs;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::cpu;

/// What a reader needs to know to compare absolute figures.
pub(crate) fn facts() -> Value {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    json!({
        "date": httpdate::fmt_http_date(SystemTime::now()),
        "processor": model.trim_start_matches(['\t', ' ', ':']),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "kernel": fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
        "memory_mib": memory_mib(),
        "load_average": load.split(' ').next().unwrap_or_default(),
        "cpu_clock": cpu::clock(),
    })
}

fn memory_mib() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    kib.and_then(|value| value.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) / 1024
}
