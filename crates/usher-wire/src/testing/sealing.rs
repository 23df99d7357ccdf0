//! A stream that takes bytes before it says so, as TLS does.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use usher_net::{MemoryStream, Transport};

/// What it takes at a time (bytes): a record.
const RECORD: usize = 16 << 10;

/// Takes what it is given to write, and says that it took it when all of it has gone; until then it wants to be given the same
/// again ([`Transport::poll_write`]).
pub(crate) struct Sealing {
    stream: MemoryStream,
    /// What was taken and not told yet, and how much of it has gone.
    taken: Vec<u8>,
    gone: usize,
}

impl From<MemoryStream> for Sealing {
    fn from(stream: MemoryStream) -> Self {
        Self { stream, taken: Vec::new(), gone: 0 }
    }
}

impl Sealing {
    fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.taken.is_empty() {
            self.taken = bytes[..bytes.len().min(RECORD)].to_vec();
        }
        while self.gone < self.taken.len() {
            self.gone += ready!(self.stream.poll_write(cx, &self.taken[self.gone..]))?;
        }
        self.gone = 0;
        let taken = std::mem::take(&mut self.taken);
        let told = taken.len().min(bytes.len());
        assert!(taken[..told] == bytes[..told], "a write came back with other bytes");
        assert_eq!(told, taken.len(), "no writer here comes back with less");
        Poll::Ready(Ok(told))
    }
}

impl Transport for Sealing {
    fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_read_ready(cx)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.stream.poll_read(cx, buf)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.write(cx, buf)
    }

    fn poll_write_vectored(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.write(cx, &bufs.iter().flat_map(|buf| buf.iter().copied()).collect::<Vec<u8>>())
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(cx)
    }
}
