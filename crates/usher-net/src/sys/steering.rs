//! A program in the kernel that says which socket of a SO_REUSEPORT group gets a datagram.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use libc::{BPF_A, BPF_ABS, BPF_ALU, BPF_B, BPF_H, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_MOD, BPF_RET};
use libc::{sock_filter, sock_fprog};

/// Offset of the destination connection ID in a packet with a short header (RFC 9000 section 17.3).
const SHORT_HEADER_ID: u32 = 1;
/// The same in a long header, behind the first byte, the version and the length of the ID (RFC 9000 section 17.2).
const LONG_HEADER_ID: u32 = 6;
/// The bit of the first byte that tells a long header.
const LONG_HEADER: u32 = 0x80;

/// Steers each QUIC datagram to the socket whose number is the first two bytes of its connection ID, as a big-endian
/// number, modulo `sockets`. Numbers count the sockets of the group in the order in which they were bound; one call on
/// any of them holds for all. A datagram too short for that goes to the first.
///
/// # Errors
/// What the system call says.
pub(crate) fn attach_steering(socket: impl AsFd, sockets: u16) -> io::Result<()> {
    let step = |code: u32, jt: u8, jf: u8, k: u32| sock_filter { code: code as u16, jt, jf, k };
    // What the program loads counts from the beginning of the datagram's payload.
    let mut program = [
        step(BPF_LD | BPF_B | BPF_ABS, 0, 0, 0),
        step(BPF_JMP | BPF_JSET | BPF_K, 2, 0, LONG_HEADER),
        step(BPF_LD | BPF_H | BPF_ABS, 0, 0, SHORT_HEADER_ID),
        step(BPF_JMP, 0, 0, 1),
        step(BPF_LD | BPF_H | BPF_ABS, 0, 0, LONG_HEADER_ID),
        step(BPF_ALU | BPF_MOD | BPF_K, 0, 0, u32::from(sockets.max(1))),
        step(BPF_RET | BPF_A, 0, 0, 0),
    ];
    let program = sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    let length = size_of::<sock_fprog>() as libc::socklen_t;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: `fd` is open for the whole call, as `socket` is borrowed. The pointer is to `program`, `length` bytes
    // long, which points to as many steps as it says; both live on this frame, and the kernel copies both.
    let answer = unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            std::ptr::from_ref(&program).cast(),
            length,
        )
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
