//! Many datagrams in one system call, with the address that each was sent to (recvmmsg(2), sendmmsg(2), udp(7), ip(7),
//! ipv6(7)).

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};

use libc::{c_int, c_uint, c_void, cmsghdr, in_pktinfo, in6_pktinfo, iovec, mmsghdr, sockaddr_storage};
use socket2::SockAddr;

/// Datagrams, or trains of them (GRO), that one system call moves.
pub(crate) const BATCH: usize = 16;
/// Room for one of them (bytes): more than any datagram has, 65,507 over IPv4 and 65,527 over IPv6.
pub(crate) const SLOT: usize = 64 << 10;

/// Room for what is said beside a datagram: its address (40 bytes at most, with the header) and the size of segments (24).
type Control = [u64; 12];
const _: () = {
    // SAFETY: CMSG_SPACE only calculates.
    let needed = unsafe { libc::CMSG_SPACE(size_of::<in6_pktinfo>() as u32) + libc::CMSG_SPACE(4) };
    assert!(needed as usize <= size_of::<Control>());
};

/// What was received into one slot.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Received {
    /// How many bytes.
    pub(crate) length: usize,
    /// Each datagram of a train has so many, but for the last; 0 where there is only one datagram.
    pub(crate) segment: usize,
    /// Where it came from; none on connected sockets.
    pub(crate) peer: Option<SocketAddr>,
    /// The address of this machine that it was sent to, where the socket tells.
    pub(crate) local: Option<IpAddr>,
    /// There was more than the slot could hold.
    pub(crate) is_cut: bool,
}

/// What goes out in one go: one datagram, or several of the same size, the last one perhaps smaller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sending<'a> {
    /// What each begins with; empty where there are several.
    pub(crate) head: &'a [u8],
    /// The bytes.
    pub(crate) bytes: &'a [u8],
    /// The size of each datagram; 0 for one datagram, whatever its size.
    pub(crate) segment: usize,
}

/// Asks the kernel to tell, with each datagram, which address of this machine it was sent to.
///
/// # Errors
/// What the system call says.
pub(crate) fn tell_local(socket: impl AsFd, is_ipv6: bool) -> io::Result<()> {
    let (level, option) = match is_ipv6 {
        true => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
        false => (libc::IPPROTO_IP, libc::IP_PKTINFO),
    };
    switch_on(socket, level, option)
}

/// Lets the kernel give several datagrams of one sender at once (UDP_GRO), where it can.
///
/// # Errors
/// ENOPROTOOPT before Linux 5.0.
pub(crate) fn receive_trains(socket: impl AsFd) -> io::Result<()> {
    switch_on(socket, libc::SOL_UDP, libc::UDP_GRO)
}

fn switch_on(socket: impl AsFd, level: c_int, option: c_int) -> io::Result<()> {
    let (on, length): (c_int, _) = (1, size_of::<c_int>() as libc::socklen_t);
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: `fd` is open for the whole call, as `socket` is borrowed. The pointer is to `on`, which lives on this frame
    // and is `length` bytes long; the kernel copies it and keeps no reference.
    let answer = unsafe { libc::setsockopt(fd, level, option, std::ptr::from_ref(&on).cast(), length) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Receives up to [`BATCH`] datagrams or trains without waiting, each into a slot of `buffer` ([`SLOT`] bytes). Gives how
/// many; fewer than that means that there were no more.
///
/// # Errors
/// `WouldBlock` when there is none; on connected sockets also what ICMP said of datagrams sent before.
pub(crate) fn receive(
    socket: impl AsFd,
    buffer: &mut [u8],
    received: &mut [Received; BATCH],
) -> io::Result<usize> {
    // SAFETY: all of these are plain integers and pointers, for which zero is a value (null, for pointers).
    let (mut heads, mut names, mut controls): (
        [mmsghdr; BATCH],
        [MaybeUninit<sockaddr_storage>; BATCH],
        [Control; BATCH],
    ) = unsafe { (std::mem::zeroed(), [const { MaybeUninit::uninit() }; BATCH], std::mem::zeroed()) };
    // SAFETY: as above.
    let mut slices: [iovec; BATCH] = unsafe { std::mem::zeroed() };
    let mut count = 0;
    let all = heads.iter_mut().zip(&mut names).zip(&mut controls).zip(&mut slices);
    for ((((head, name), control), slice), slot) in all.zip(buffer.chunks_exact_mut(SLOT)) {
        *slice = iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: slot.len() };
        let head = &mut head.msg_hdr;
        head.msg_name = name.as_mut_ptr().cast();
        head.msg_namelen = size_of::<sockaddr_storage>() as libc::socklen_t;
        head.msg_iov = slice;
        head.msg_iovlen = 1;
        head.msg_control = control.as_mut_ptr().cast();
        head.msg_controllen = size_of::<Control>() as _;
        count += 1;
    }
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: `fd` is open for the whole call, as `socket` is borrowed. The first `count` heads point to names, controls
    // and slices of this frame and to slots of `buffer`, each as long as is said, none of them twice; all outlive the
    // call, and the kernel keeps no reference.
    let answer = unsafe {
        libc::recvmmsg(fd, heads.as_mut_ptr(), count as c_uint, libc::MSG_DONTWAIT as _, std::ptr::null_mut())
    };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    let answer = usize::try_from(answer).unwrap_or_default();
    for ((head, name), one) in heads.iter().zip(&names).zip(received.iter_mut()).take(answer) {
        *one = Received {
            length: (head.msg_len as usize).min(SLOT),
            // SAFETY: the kernel has written this name and this control, and their lengths.
            peer: unsafe { address(name, head.msg_hdr.msg_namelen) },
            is_cut: head.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            ..Received::default()
        };
        // SAFETY: as above; what the head points to is still there.
        unsafe { read_control(&head.msg_hdr, one) };
    }
    Ok(answer)
}

/// An address as the kernel wrote it; none on connected sockets.
///
/// # Safety
/// The first `length` bytes must have been written.
unsafe fn address(name: &MaybeUninit<sockaddr_storage>, length: libc::socklen_t) -> Option<SocketAddr> {
    let length = length as usize;
    if length < size_of::<libc::sa_family_t>() {
        return None;
    }
    // SAFETY: at least the family was written; a storage is aligned for every kind of address.
    let family = unsafe { *name.as_ptr().cast::<libc::sa_family_t>() };
    match c_int::from(family) {
        libc::AF_INET if length >= size_of::<libc::sockaddr_in>() => {
            // SAFETY: this kind, and its length, were just seen.
            let four = unsafe { &*name.as_ptr().cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(four.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(four.sin_port)).into())
        }
        libc::AF_INET6 if length >= size_of::<libc::sockaddr_in6>() => {
            // SAFETY: as above.
            let six = unsafe { &*name.as_ptr().cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(six.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(ip, u16::from_be(six.sin6_port), 0, six.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// Reads what the kernel says beside a datagram.
///
/// # Safety
/// `head` must be as the kernel left it, with its control still there.
unsafe fn read_control(head: &libc::msghdr, one: &mut Received) {
    // SAFETY: as is promised, the head's control is as long as it says, and well formed.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(head) };
    while !next.is_null() {
        // SAFETY: the macros give headers within the control only.
        let (kind, data) = unsafe { (*next, libc::CMSG_DATA(next)) };
        let room = kind.cmsg_len.saturating_sub(size_of::<cmsghdr>());
        match (kind.cmsg_level, kind.cmsg_type) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) if room >= size_of::<in_pktinfo>() => {
                // SAFETY: there are so many bytes; they are read whatever their alignment is.
                let info = unsafe { data.cast::<in_pktinfo>().read_unaligned() };
                // Not the address in the packet, which may be that of a broadcast: the one to answer from.
                one.local = Some(Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr)).into());
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) if room >= size_of::<in6_pktinfo>() => {
                // SAFETY: as above.
                let info = unsafe { data.cast::<in6_pktinfo>().read_unaligned() };
                let ip = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                // Nothing is sent from an address of many.
                one.local = Some(ip).filter(|ip| !ip.is_multicast()).map(IpAddr::V6);
            }
            (libc::SOL_UDP, libc::UDP_GRO) if room >= size_of::<c_int>() => {
                // SAFETY: as above.
                let segment = unsafe { data.cast::<c_int>().read_unaligned() };
                one.segment = usize::try_from(segment).unwrap_or_default();
            }
            _ => {}
        }
        // SAFETY: as above.
        next = unsafe { libc::CMSG_NXTHDR(head, next) };
    }
}

/// Sends up to [`BATCH`] trains without waiting: to `to`, or where the socket is connected to; from `from`, or as the
/// kernel chooses. Gives how many have left; those behind them are to be tried again, and the first tells why it fails.
///
/// # Errors
/// What the first one met: `WouldBlock` where the kernel has no room, EMSGSIZE for what is too large; on connected
/// sockets also what ICMP said of datagrams sent before (nothing was sent then).
pub(crate) fn send(
    socket: impl AsFd,
    (to, from): (Option<&SockAddr>, Option<IpAddr>),
    trains: &[Sending<'_>],
) -> io::Result<usize> {
    // SAFETY: all of these are plain integers and pointers, for which zero is a value (null, for pointers).
    let (mut heads, mut controls, mut slices): ([mmsghdr; BATCH], [Control; BATCH], [[iovec; 2]; BATCH]) =
        unsafe { (std::mem::zeroed(), std::mem::zeroed(), std::mem::zeroed()) };
    let mut count = 0;
    let all = heads.iter_mut().zip(&mut controls).zip(&mut slices);
    for (((head, control), slices), train) in all.zip(trains) {
        *slices = [train.head, train.bytes]
            .map(|part| iovec { iov_base: part.as_ptr().cast::<c_void>().cast_mut(), iov_len: part.len() });
        let head = &mut head.msg_hdr;
        if let Some(to) = to {
            head.msg_name = to.as_ptr().cast::<c_void>().cast_mut();
            head.msg_namelen = to.len();
        }
        head.msg_iov = slices.as_mut_ptr();
        head.msg_iovlen = slices.len() as _;
        let segment = Some(train.segment).filter(|size| *size > 0 && *size < train.bytes.len());
        if from.is_some() || segment.is_some() {
            head.msg_control = control.as_mut_ptr().cast();
            head.msg_controllen = size_of::<Control>() as _;
            // SAFETY: the head's control is that of this frame, zeroed and as long as it says, which is enough for both.
            head.msg_controllen = unsafe { write_control(head, from, segment) } as _;
        }
        count += 1;
    }
    let fd = socket.as_fd().as_raw_fd();
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: `fd` is open for the whole call, as `socket` is borrowed. The first `count` heads point to controls and
    // slices of this frame and to bytes of `trains` and `to`, each as long as is said; all outlive the call, the kernel
    // only reads them and keeps no reference.
    let answer = unsafe { libc::sendmmsg(fd, heads.as_mut_ptr(), count as c_uint, flags as _) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(usize::try_from(answer).unwrap_or_default()) }
}

/// Says from which address, and in which segments; gives how long that is.
///
/// # Safety
/// The head's control must be zeroed, as long as it says, and long enough for both.
unsafe fn write_control(head: &libc::msghdr, from: Option<IpAddr>, segment: Option<usize>) -> usize {
    // SAFETY: as is promised.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(head) };
    let mut length = 0;
    let mut put = |(level, kind): (c_int, c_int), bytes: &[u8]| {
        if next.is_null() {
            return;
        }
        // SAFETY: the macros give headers within the control only, with room for so many bytes behind each.
        unsafe {
            (*next).cmsg_level = level;
            (*next).cmsg_type = kind;
            (*next).cmsg_len = libc::CMSG_LEN(bytes.len() as u32) as _;
            libc::CMSG_DATA(next).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            length += libc::CMSG_SPACE(bytes.len() as u32) as usize;
            next = libc::CMSG_NXTHDR(head, next);
        }
    };
    match from {
        Some(IpAddr::V4(ip)) => {
            // in_pktinfo: the interface (any), the address to send from, and one that is not looked at.
            let mut info = [0; size_of::<in_pktinfo>()];
            info[4..8].copy_from_slice(&ip.octets());
            put((libc::IPPROTO_IP, libc::IP_PKTINFO), &info);
        }
        Some(IpAddr::V6(ip)) => {
            // in6_pktinfo: the address to send from, and the interface (any).
            let mut info = [0; size_of::<in6_pktinfo>()];
            info[..16].copy_from_slice(&ip.octets());
            put((libc::IPPROTO_IPV6, libc::IPV6_PKTINFO), &info);
        }
        None => {}
    }
    if let Some(size) = segment.and_then(|size| u16::try_from(size).ok()) {
        put((libc::SOL_UDP, libc::UDP_SEGMENT), &size.to_ne_bytes());
    }
    length
}
