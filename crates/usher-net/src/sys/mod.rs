//! The one folder with `unsafe`: system calls that no library wraps.

#![allow(unsafe_code)]

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

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

/// Watches a listening socket for connections, without accepting them through the runtime.
///
/// # Errors
/// What registering with epoll says.
///
/// # Panics
/// Outside of a tokio runtime with an I/O driver.
pub(crate) fn watch(listener: TcpListener) -> io::Result<AsyncFd<TcpListener>> {
    // SAFETY: a `TcpListener` owns its descriptor, never changes it, and closes it only when it is dropped; the
    // `AsyncFd` owns the `TcpListener`.
    let watched = unsafe { AsyncFd::register_with_interest(listener, Interest::READABLE) };
    watched.map_err(io::Error::from)
}
