//! Descriptors that this process was started with.

use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

/// The first one behind standard input, output and error (`SD_LISTEN_FDS_START`).
const FIRST: RawFd = 3;

/// The `count` descriptors behind the standard ones, each if it is open and was really inherited; children of this process
/// do not inherit them. The second call gives none, as the first one's callers own them.
pub(crate) fn inherited_descriptors(count: usize) -> Vec<io::Result<OwnedFd>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::AcqRel) {
        return Vec::new();
    }
    let numbers = (FIRST..=RawFd::MAX).take(count);
    numbers.map(take).collect()
}

fn take(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl may be asked about any number; for one that is not open it says EBADF.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    // Whatever this process opened itself is closed on exec (Rust's library, tokio and this crate see to that): a
    // descriptor without that flag came from outside, so that nobody here owns it.
    if flags & libc::FD_CLOEXEC != 0 {
        return Err(io::ErrorKind::NotFound.into());
    }
    // SAFETY: it is open, as was just seen, and nobody owns it: it was inherited, and is taken by the first call of
    // `inherited_descriptors` only, once, as all numbers are different.
    let owned = unsafe { OwnedFd::from_raw_fd(number) };
    let flags = fcntl_getfd(owned.as_fd())?;
    fcntl_setfd(owned.as_fd(), flags | FdFlags::CLOEXEC)?;
    Ok(owned)
}
