use super::account::Account;
use super::system::{choose, limit_files, resident_of, total};
use super::*;

const MIB: u64 = 1 << 20;

fn account(ceiling: u64) -> Account {
    let account = Account::new();
    account.set_ceiling(Some(ceiling));
    account
}

#[test]
fn a_level_rises_with_the_byte_that_passes_it() {
    let account = account(100 * MIB);
    account.sample(Some(20 * MIB), None);
    let cases = [
        (49, Level::Calm),
        (1, Level::Tight),
        (9, Level::Tight),
        (1, Level::Short),
        (7, Level::Full),
        (6, Level::Full),
        (1, Level::Spent),
        (3, Level::Spent),
        (1, Level::Over),
        (50, Level::Over),
    ];
    for (more, level) in cases {
        account.tell((more * MIB) as i64);
        assert_eq!(account.level(), level, "after {more} MiB more: {:?}", account.reading());
    }
}

#[test]
fn a_level_falls_with_a_sample_that_is_clearly_below() {
    let account = account(100 * MIB);
    account.tell((88 * MIB) as i64);
    assert_eq!(account.level(), Level::Full);
    for (resident, level) in
        [(88, Level::Full), (86, Level::Full), (84, Level::Short), (79, Level::Short), (60, Level::Calm)]
    {
        account.tell((resident * MIB) as i64 - account.reading().heap as i64);
        assert!(account.level() >= level, "giving back alone ends no level");
        account.sample(Some(resident * MIB), None);
        assert_eq!(account.level(), level, "at {resident} MiB");
    }
}

#[test]
fn what_the_heap_does_not_know_counts_too() {
    let account = account(100 * MIB);
    account.tell((10 * MIB) as i64);
    account.sample(Some(75 * MIB), None);
    assert_eq!((account.level(), account.reading().used), (Level::Tight, 75 * MIB));
    account.tell((5 * MIB) as i64);
    assert_eq!((account.level(), account.reading().used), (Level::Short, 80 * MIB));
    // Given out and not written to yet: no less than what was given out.
    account.tell((60 * MIB) as i64);
    account.sample(Some(40 * MIB), None);
    assert_eq!(account.reading().used, 75 * MIB);
}

#[test]
fn without_a_ceiling_nothing_is_short() {
    let account = account(100 * MIB);
    account.tell((99 * MIB) as i64);
    assert_eq!(account.level(), Level::Over);
    account.set_ceiling(None);
    account.tell((900 * MIB) as i64);
    assert_eq!((account.level(), account.excess()), (Level::Calm, 0));
    account.set_ceiling(Some(500 * MIB));
    assert_eq!(account.level(), Level::Over, "a ceiling that is passed already holds at once");
}

#[test]
fn what_is_to_be_freed_is_what_is_too_much() {
    let account = account(100 * MIB);
    account.tell((86 * MIB) as i64);
    assert_eq!(account.excess(), 0, "nobody is ended before the level says so");
    account.tell((4 * MIB) as i64);
    assert_eq!(account.excess(), 66);
    account.tell(-((7 * MIB) as i64));
    assert_eq!(account.excess(), 0);
}

#[test]
fn descriptors_have_a_reserve_and_levels() {
    let account = Account::new();
    assert!(account.may_keep(i32::MAX));
    account.set_descriptors(Some(1600));
    assert_eq!(account.reading().most_descriptors, Some(1500));
    for (open, level) in
        [(1000, Level::Calm), (1200, Level::Tight), (1300, Level::Short), (1400, Level::Full)]
    {
        account.sample(None, Some(open));
        assert_eq!(account.level(), level, "{open} are open");
        assert_eq!(account.memory(), Level::Calm);
    }
    account.sample(None, Some(10));
    assert_eq!(account.level(), Level::Calm);
    assert!(account.may_keep(1499));
    assert!(!account.may_keep(1500));
    assert_eq!(account.level(), Level::Full, "the number alone says it");
    // Of very few, clients get half.
    account.set_descriptors(Some(40));
    assert_eq!(account.reading().most_descriptors, Some(20));
}

#[test]
fn the_heap_is_trimmed_only_while_memory_is_short_and_there_are_holes() {
    let account = account(100 * MIB);
    account.set_descriptors(Some(1600));
    account.tell((60 * MIB) as i64);
    account.sample(Some(68 * MIB), Some(1499));
    let reading = account.reading();
    assert_eq!((reading.level, reading.memory), (Level::Spent, Level::Calm));
    assert!(!reading.needs_trimming(68 * MIB), "it frees no descriptors");
    account.sample(Some(72 * MIB), Some(10));
    let reading = account.reading();
    assert_eq!((reading.memory, reading.descriptors), (Level::Tight, Level::Calm));
    assert!(reading.needs_trimming(72 * MIB));
    assert!(!reading.needs_trimming(61 * MIB), "there is hardly anything that could be given back");
}

#[test]
fn the_limit_of_a_cgroup_is_found_in_both_versions() {
    let files = |groups: &str| -> Vec<String> {
        limit_files(groups).iter().map(|file| file.display().to_string()).collect()
    };
    assert_eq!(
        files("0::/system.slice/usher.service\n"),
        [
            "/sys/fs/cgroup/system.slice/usher.service/memory.max",
            "/sys/fs/cgroup/system.slice/memory.max",
            "/sys/fs/cgroup/memory.max",
        ]
    );
    assert_eq!(
        files("5:cpu,cpuacct:/a\n4:memory:/a\n"),
        ["/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
    );
    assert_eq!(files("nonsense\n"), [""; 0]);
}

#[test]
fn the_ceiling_of_the_system_is_a_share_of_the_least() {
    let bytes = |cgroup, machine| choose(cgroup, machine).map(|ceiling| ceiling.bytes >> 20);
    assert_eq!(bytes(Some(1000 * MIB), Some(8000 * MIB)), Some(750));
    assert_eq!(bytes(None, Some(8000 * MIB)), Some(6000));
    // v1 without a limit.
    assert_eq!(bytes(Some(0x7FFF_FFFF_FFFF_F000), Some(8000 * MIB)), Some(6000));
    assert_eq!(bytes(Some(10 * MIB), None), Some(16), "less would not even start");
    assert_eq!(choose(None, None), None);
    assert_eq!(resident_of("VmHWM:\t 20 kB\nVmRSS:\t   16 kB\n"), Some(16 << 10));
    assert_eq!(total("MemFree: 1 kB\nMemTotal:       16384 kB\n"), Some(16 * MIB));
}

#[test]
fn the_system_says_what_this_process_has() {
    let before = system::open_descriptors().unwrap();
    let file = std::fs::File::open("/proc/self/stat").unwrap();
    assert!(system::open_descriptors().unwrap() > before);
    drop(file);
    assert!(system::resident().unwrap() > 100 << 10);
}
