//! The one folder with `unsafe`: system calls that no library wraps.

#![allow(unsafe_code)]

mod code;
mod datagrams;
mod heap;
mod inherited;
mod steering;

use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

pub use code::release_code;
pub(crate) use datagrams::{BATCH, Received, SLOT, Sending, receive, receive_trains, send, tell_local};
pub use heap::CountedHeap;
pub(crate) use inherited::inherited_descriptors;
pub(crate) use steering::{Bank, MAX_BANKS, attach_steering};

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

/// What was written to a TCP socket and has not been sent (bytes).
///
/// # Errors
/// What the system call says: EINVAL for a socket that listens.
pub(crate) fn unsent(socket: impl AsFd) -> io::Result<libc::c_int> {
    /// `linux/sockios.h`; what is sent and not acknowledged is not of it, as it is of `SIOCOUTQ`.
    const SIOCOUTQNSD: libc::Ioctl = 0x894B;
    let mut unsent: libc::c_int = 0;
    // SAFETY: the descriptor is open for the whole call, as `socket` is borrowed. This request writes one integer, to
    // `unsent`, which lives on this frame, and the kernel keeps no reference.
    let answer =
        unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), SIOCOUTQNSD, std::ptr::from_mut(&mut unsent)) };
    if answer == 0 { Ok(unsent) } else { Err(io::Error::last_os_error()) }
}

/// The largest packet that the kernel would send to where a socket is connected to, in one piece (bytes): what the
/// interface carries, or less where a router on the way said so.
///
/// # Errors
/// What the system call says: ENOTCONN.
pub(crate) fn path_mtu(socket: &UdpSocket, is_ipv6: bool) -> io::Result<libc::c_int> {
    let (level, option) =
        if is_ipv6 { (libc::IPPROTO_IPV6, libc::IPV6_MTU) } else { (libc::IPPROTO_IP, libc::IP_MTU) };
    let mut value: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the descriptor is open for the whole call, as `socket` is borrowed. The pointers are to `value`, which is
    // `length` bytes long, and to `length`; both live on this frame, and the kernel keeps no reference.
    let answer = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            option,
            std::ptr::from_mut(&mut value).cast(),
            std::ptr::from_mut(&mut length),
        )
    };
    if answer == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}

/// A descriptor's owner that keeps the same one for as long as it lives, and closes it only when dropped.
pub(crate) trait Keeps: AsRawFd {}
impl Keeps for TcpListener {}
impl Keeps for OwnedFd {}
impl Keeps for UdpSocket {}

/// Watches a descriptor until it is readable: a listening socket, whose connections are not accepted through the
/// runtime, or an epoll instance.
///
/// # Errors
/// What registering with epoll says.
///
/// # Panics
/// Outside of a tokio runtime with an I/O driver.
pub(crate) fn watch<T: Keeps>(owner: T) -> io::Result<AsyncFd<T>> {
    watch_for(owner, Interest::READABLE)
}

/// The same for a socket of datagrams, of which errors are told too: ICMP says something about those sent before.
pub(crate) fn watch_datagrams(owner: UdpSocket) -> io::Result<AsyncFd<UdpSocket>> {
    watch_for(owner, Interest::READABLE | Interest::ERROR)
}

fn watch_for<T: Keeps>(owner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    // SAFETY: `T` owns its descriptor, never changes it, and closes it only when it is dropped (`Keeps` is private to
    // this crate, and all its types do so); the `AsyncFd` owns the `T`.
    let watched = unsafe { AsyncFd::register_with_interest(owner, interest) };
    watched.map_err(io::Error::from)
}

/// Puts together what [`CountedHeap`] holds for this thread and nobody uses, so that it goes back to the system by itself:
/// a walk over its pages, some ten microseconds for each ten megabytes.
pub fn collect_heap() {
    // SAFETY: `mi_collect` may be called at any time; it frees nothing that is in use.
    unsafe {
        libmimalloc_sys::mi_collect(false);
    }
}

/// Gives the system back what the heaps hold and nobody uses: [`CountedHeap`] of this thread, and that of libraries in C of
/// all threads, where the C library has such a call.
pub fn trim_heap() {
    // SAFETY: `mi_collect` may be called at any time; it frees nothing that is in use.
    unsafe {
        libmimalloc_sys::mi_collect(true);
    }
    // SAFETY: `malloc_trim` may be called at any time from any thread; it moves nothing that is in use.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}
