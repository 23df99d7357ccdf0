//! A byte stream in memory, for simulations and tests.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use crate::transport::Transport;

/// One end of a pair of connected streams in memory.
///
/// `DuplexStream` cannot say that it is readable without giving the byte; this keeps the byte until it is read.
#[derive(Debug)]
pub struct MemoryStream {
    inner: DuplexStream,
    peeked: Peeked,
}

#[derive(Debug, Clone, Copy)]
enum Peeked {
    Nothing,
    Byte(u8),
    End,
}

impl MemoryStream {
    /// Two connected ends; each direction holds at most `capacity` bytes.
    pub fn pair(capacity: usize) -> (Self, Self) {
        let (left, right) = tokio::io::duplex(capacity);
        (left.into(), right.into())
    }

    fn poll_inner(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(buf);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(buf.filled().len()))
    }
}

impl From<DuplexStream> for MemoryStream {
    fn from(inner: DuplexStream) -> Self {
        Self { inner, peeked: Peeked::Nothing }
    }
}

impl Transport for MemoryStream {
    fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self.peeked, Peeked::Nothing) {
            let mut byte = [0];
            let read = ready!(self.poll_inner(cx, &mut byte))?;
            self.peeked = if read == 0 { Peeked::End } else { Peeked::Byte(byte[0]) };
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        match (self.peeked, buf) {
            (_, []) | (Peeked::End, _) => Poll::Ready(Ok(0)),
            (Peeked::Nothing, buf) => self.poll_inner(cx, buf),
            (Peeked::Byte(byte), [first, rest @ ..]) => {
                *first = byte;
                self.peeked = Peeked::Nothing;
                if rest.is_empty() {
                    return Poll::Ready(Ok(1));
                }
                // What is there already comes along; nothing more is no reason to wait.
                match self.poll_inner(cx, rest) {
                    Poll::Ready(Ok(more)) => Poll::Ready(Ok(more.saturating_add(1))),
                    Poll::Ready(Err(_)) | Poll::Pending => Poll::Ready(Ok(1)),
                }
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
