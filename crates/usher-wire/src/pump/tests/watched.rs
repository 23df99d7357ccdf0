//! A stream that is looked at.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use super::*;

/// A stream that notes what is done with it.
pub(super) struct Watched<T> {
    pub(super) stream: T,
    /// How much it takes in advance.
    pub(super) reach: usize,
    /// What was moved to it out of a pipe at a time, and whether more was said to follow.
    pub(super) moved: Rc<RefCell<Vec<(usize, bool)>>>,
    /// How often it was to look whether there is room.
    pub(super) looks: Rc<Cell<u32>>,
}

impl<T: Transport> Transport for Watched<T> {
    fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_read_ready(cx)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.stream.poll_read(cx, buf)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.stream.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_write_vectored(cx, bufs)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(cx)
    }

    fn can_splice(&self) -> bool {
        self.stream.can_splice()
    }

    fn notice_room(&mut self) {
        self.looks.set(self.looks.get() + 1);
    }

    fn reach(&self) -> usize {
        self.reach
    }

    fn poll_splice_out(
        &mut self,
        cx: &mut Context<'_>,
        pipe: &mut Pipe,
        max: usize,
        more: bool,
    ) -> Poll<io::Result<usize>> {
        let moved = ready!(self.stream.poll_splice_out(cx, pipe, max, more))?;
        self.moved.borrow_mut().push((moved, more));
        Poll::Ready(Ok(moved))
    }
}
