//! Messages with descriptors between two processes of one machine, so that one can go on where the other ends.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::retry_on_intr;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use socket2::{Domain, SockRef, Socket, Type};

/// The longest message (bytes); what is longer is cut.
pub const MAX_MESSAGE: usize = 32 << 10;
/// Descriptors of one message; the kernel takes 253 (`SCM_MAX_FD`).
pub const MAX_DESCRIPTORS: usize = 64;

/// One end of a pair of Unix sockets that keeps messages apart (`SOCK_SEQPACKET`).
#[derive(Debug)]
pub struct Channel(Socket);

impl Channel {
    /// Both ends. The other one is given to a child process, as its standard input.
    ///
    /// # Errors
    /// Out of descriptors or memory.
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None)?;
        Ok((Self(ours), theirs.into()))
    }

    /// An end that is there already.
    pub fn of(descriptor: OwnedFd) -> Self {
        Self(descriptor.into())
    }

    /// The end that this process was started with; none if its standard input is something else.
    pub fn of_stdin() -> Option<Self> {
        let socket: Socket = io::stdin().as_fd().try_clone_to_owned().ok()?.into();
        let is_channel = socket.r#type().is_ok_and(|kind| kind == Type::SEQPACKET)
            && socket.local_addr().is_ok_and(|address| address.is_unix());
        is_channel.then_some(Self(socket))
    }

    /// How long a [`send`](Self::send) and a [`receive`](Self::receive) may wait; none for ever. A signal begins it anew.
    ///
    /// # Errors
    /// For no time at all.
    pub fn limit(&self, wait: Option<Duration>) -> io::Result<()> {
        self.0.set_read_timeout(wait)?;
        self.0.set_write_timeout(wait)
    }

    /// Sends a message; at most [`MAX_DESCRIPTORS`] go with it.
    ///
    /// # Errors
    /// `InvalidInput` for more of them; EPIPE when the other process is gone; `WouldBlock` when it does not read.
    pub fn send(&self, text: &str, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fits = descriptors.len() <= MAX_DESCRIPTORS
            && (descriptors.is_empty() || control.push(SendAncillaryMessage::ScmRights(descriptors)));
        if !fits {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let bytes = text.as_bytes();
        let bytes = bytes.get(..MAX_MESSAGE).unwrap_or(bytes);
        // With a limit, the kernel never goes on by itself after a signal (signal(7)).
        retry_on_intr(|| sendmsg(&self.0, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL))?;
        Ok(())
    }

    /// The next message; none when the other process has closed its end, or is gone.
    ///
    /// # Errors
    /// `WouldBlock` when none came in time.
    pub fn receive(&self) -> io::Result<Option<(String, Vec<OwnedFd>)>> {
        let mut bytes = vec![0; MAX_MESSAGE];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received =
            retry_on_intr(|| recvmsg(&self.0, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags))?;
        if received.bytes == 0 {
            return Ok(None);
        }
        bytes.truncate(received.bytes);
        let mut descriptors = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(some) = message {
                descriptors.extend(some);
            }
        }
        Ok(Some((String::from_utf8_lossy(&bytes).into_owned(), descriptors)))
    }

    /// Ends it, also for copies of this end.
    pub fn close(self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }

    /// A second owner of this end.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Whether the other process has closed its end, or is gone. Waits for nothing, and takes no message.
    pub fn is_closed(&self) -> bool {
        let mut byte = [MaybeUninit::uninit(); 1];
        let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
        SockRef::from(&self.0).recv_with_flags(&mut byte, flags).is_ok_and(|count| count == 0)
    }
}

#[cfg(test)]
mod tests;
