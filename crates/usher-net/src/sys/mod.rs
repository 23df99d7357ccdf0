//! The one folder with `unsafe`: system calls that no library wraps.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// `setsockopt` with an integer value, at the TCP level.
///
/// # Errors
/// What the system call says: ENOPROTOOPT for an option that the kernel does not know.
pub(crate) fn set_tcp_option(socket: impl AsFd, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let fd = socket.as_fd().as_raw_fd();
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `fd` is open for the whole call, as `socket` is borrowed. The pointer is to `value`, which lives on this
    // frame and is `length` bytes long; the kernel copies it and keeps no reference.
    let answer =
        unsafe { libc::setsockopt(fd, libc::IPPROTO_TCP, option, std::ptr::from_ref(&value).cast(), length) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
