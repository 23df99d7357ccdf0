use std::thread;

use super::*;

#[test]
fn a_pinned_thread_has_one_core_and_others_keep_theirs() {
    let allowed = allowed_cores().expect("a set");
    let last = *allowed.last().expect("at least one core");
    let pinned = thread::spawn(move || {
        pin_to_core(last)?;
        allowed_cores()
    });
    assert_eq!(pinned.join().expect("no panic").expect("pinned"), [last]);
    assert_eq!(allowed_cores().expect("a set"), allowed);
}

#[test]
fn refuses_a_core_that_cannot_exist() {
    for core in [CpuSet::MAX_CPU, usize::MAX] {
        assert_eq!(pin_to_core(core).expect_err("no such core").kind(), io::ErrorKind::InvalidInput);
    }
}

#[test]
fn raises_open_files_to_the_hard_limit() {
    let now = raise_open_files().expect("raised");
    assert_eq!(now, getrlimit(Resource::Nofile).maximum);
}
