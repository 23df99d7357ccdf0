//! What the system says: how much memory there may be, and how much there is.

use std::fs;
use std::path::{Path, PathBuf};

/// Of what the system grants, this share is the ceiling (percent): the rest is for what the kernel holds on behalf of the
/// process, such as the buffers of its sockets, which a cgroup is charged with too.
const SHARE: u64 = 75;

/// A ceiling, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ceiling {
    /// Bytes.
    pub bytes: u64,
    /// In words: a share of what.
    pub of: String,
}

/// The ceiling where the config names none: a share of what the cgroup may have (v2 `memory.max`, v1
/// `memory.limit_in_bytes`, the least on the way to the root), or else of the machine's memory. None where neither is
/// known.
pub fn ceiling_of_system() -> Option<Ceiling> {
    let machine = fs::read_to_string("/proc/meminfo").ok().as_deref().and_then(total);
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let cgroup = limit_files(&groups).iter().filter_map(|file| limit(file)).min();
    choose(cgroup, machine)
}

pub(super) fn choose(cgroup: Option<u64>, machine: Option<u64>) -> Option<Ceiling> {
    // Without a limit, v1 says a number beyond any machine's memory.
    let cgroup = cgroup.filter(|limit| machine.is_none_or(|machine| *limit < machine));
    let (bytes, whose) = match (cgroup, machine) {
        (Some(limit), _) => (limit, "the cgroup's limit"),
        (None, Some(machine)) => (machine, "the machine's memory"),
        (None, None) => return None,
    };
    let ceiling = (bytes / 100).saturating_mul(SHARE).max(super::LOWEST);
    Some(Ceiling { bytes: ceiling, of: format!("{SHARE} % of {whose}, {} MiB", bytes >> 20) })
}

/// Where the limits of a process are, by its `/proc/self/cgroup`: of its own group and of all above it.
pub(super) fn limit_files(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        // `0::/path` is v2, `4:memory:/path` v1.
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (root, name) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            _ if controllers.split(',').any(|one| one == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let path = Path::new(path.trim_start_matches('/'));
        // In a container the path is often one of the host's: then only the root of what is mounted is there.
        files.extend(path.ancestors().map(|group| Path::new(root).join(group).join(name)));
    }
    files
}

fn limit(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

pub(super) fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Resident memory (bytes).
pub(super) fn resident() -> Option<u64> {
    fs::read_to_string("/proc/self/status").ok().as_deref().and_then(resident_of)
}

pub(super) fn resident_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Descriptors that are open. The size of the folder says so since Linux 6.2; before, it has to be read.
pub(super) fn open_descriptors() -> Option<u64> {
    match fs::metadata("/proc/self/fd").ok()?.len() {
        0 => Some(fs::read_dir("/proc/self/fd").ok()?.count() as u64),
        known => Some(known),
    }
}
