//! A program in the kernel that says which socket of a SO_REUSEPORT group gets a datagram.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use libc::{
    BPF_A, BPF_ABS, BPF_ADD, BPF_ALU, BPF_AND, BPF_B, BPF_H, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD,
    BPF_MOD, BPF_RET,
};
use libc::{sock_filter, sock_fprog};

/// Banks that a connection ID can tell apart, by four bits of its third byte.
pub(crate) const MAX_BANKS: usize = 16;

/// Offset of the destination connection ID in a packet with a short header (RFC 9000 section 17.3).
const SHORT_HEADER_ID: u32 = 1;
/// The same in a long header, behind the first byte, the version and the length of the ID (RFC 9000 section 17.2).
const LONG_HEADER_ID: u32 = 6;
/// The bit of the first byte that tells a long header.
const LONG_HEADER: u32 = 0x80;
/// The bit of a long header that only Handshake and Retry packets of version 1 have. The others, Initial and 0-RTT, may
/// have an ID that the client has made up.
const KNOWS_ID: u32 = 0x20;
/// Offset of the byte with the bank's number in a connection ID.
const BANK: u32 = 2;

/// Sockets of a group that follow each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bank {
    /// By which connection IDs name it, below [`MAX_BANKS`].
    pub(crate) number: u8,
    /// The number of its first socket in the group, which counts them in the order in which they were bound.
    pub(crate) first: u16,
    /// How many it has.
    pub(crate) sockets: u16,
    /// New connections are its own, and whatever is no other's.
    pub(crate) is_active: bool,
}

/// Steers each QUIC datagram to a bank of sockets by the third byte of its connection ID, and there to the socket whose
/// number is the first two bytes, as a big-endian number, modulo the number of the bank's sockets. One call on any socket of
/// the group holds for all. A datagram too short for that goes to the first socket.
///
/// # Errors
/// What the system call says; `InvalidInput` without an active bank.
pub(crate) fn attach_steering(socket: impl AsFd, banks: &[Bank]) -> io::Result<()> {
    let mut program = program(banks).ok_or(io::ErrorKind::InvalidInput)?;
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

fn step(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

/// The steps. What they load counts from the beginning of the datagram's payload.
fn program(banks: &[Bank]) -> Option<Vec<sock_filter>> {
    let active = banks.iter().find(|bank| bank.is_active)?;
    let new = pick(LONG_HEADER_ID, active);
    let long = find(LONG_HEADER_ID, active, banks);
    let short = find(SHORT_HEADER_ID, active, banks);
    let to_short = u32::try_from(1 + new.len() + long.len()).ok()?;
    let mut all = vec![
        step(BPF_LD | BPF_B | BPF_ABS, 0, 0, 0),
        step(BPF_JMP | BPF_JSET | BPF_K, 1, 0, LONG_HEADER),
        step(BPF_JMP, 0, 0, to_short),
        step(BPF_JMP | BPF_JSET | BPF_K, PICK, 0, KNOWS_ID),
    ];
    all.extend(new);
    all.extend(long);
    all.extend(short);
    Some(all)
}

/// Steps of [`pick`].
const PICK: u8 = 4;

/// To the socket of a bank that the ID at this offset names.
fn pick(id: u32, bank: &Bank) -> [sock_filter; PICK as usize] {
    [
        step(BPF_LD | BPF_H | BPF_ABS, 0, 0, id),
        step(BPF_ALU | BPF_MOD | BPF_K, 0, 0, u32::from(bank.sockets.max(1))),
        step(BPF_ALU | BPF_ADD | BPF_K, 0, 0, u32::from(bank.first)),
        step(BPF_RET | BPF_A, 0, 0, 0),
    ]
}

/// To the bank that the ID at this offset names, and there to its socket.
fn find(id: u32, active: &Bank, banks: &[Bank]) -> Vec<sock_filter> {
    let mut all = vec![
        step(BPF_LD | BPF_B | BPF_ABS, 0, 0, id + BANK),
        step(BPF_ALU | BPF_AND | BPF_K, 0, 0, MAX_BANKS as u32 - 1),
    ];
    for bank in banks.iter().filter(|bank| !bank.is_active) {
        all.push(step(BPF_JMP | BPF_JEQ | BPF_K, 0, PICK, u32::from(bank.number)));
        all.extend(pick(id, bank));
    }
    all.extend(pick(id, active));
    all
}
