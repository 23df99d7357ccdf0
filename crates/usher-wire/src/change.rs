//! A body that changes between its source and its sink.

use std::hint::cold_path;
use std::task::{Context, Poll, ready};

use usher_http::Fields;
use usher_http::transform::Transform;

use crate::body::{Plain, Source};
use crate::error::WireError;

/// Memory of pieces above this is given back when they were sent (bytes).
const KEPT: usize = 64 << 10;

/// The state of a body's change. In a box of its own: most bodies stay as they are, and what carries them from step to
/// step is moved often.
pub struct Change(Box<State>);

struct State {
    transform: Box<dyn Transform>,
    /// What was made and not yet taken.
    made: Vec<u8>,
    taken: usize,
    ended: bool,
    trailers: Option<Fields>,
}

impl Change {
    /// Nothing has been changed yet.
    pub fn new(transform: Box<dyn Transform>) -> Self {
        Self(Box::new(State { transform, made: Vec::new(), taken: 0, ended: false, trailers: None }))
    }
}

impl State {
    fn left(&self) -> &[u8] {
        self.made.get(self.taken..).unwrap_or_default()
    }

    fn forget(&mut self) {
        self.taken = 0;
        self.made.clear();
        if self.made.capacity() > KEPT {
            self.made = Vec::new();
        }
    }
}

/// A body as it becomes.
pub struct Changed<'a, S> {
    source: &'a mut S,
    change: &'a mut State,
}

impl<'a, S: Source> Changed<'a, S> {
    /// The body of `source`, changed.
    pub fn new(source: &'a mut S, change: &'a mut Change) -> Self {
        Self { source, change: &mut change.0 }
    }
}

impl<S: Source> Source for Changed<'_, S> {
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, WireError>> {
        let Self { source, change } = self;
        while change.left().is_empty() && !change.ended {
            change.forget();
            let len = ready!(source.poll_fill(cx))?;
            if len == 0 {
                change.ended = true;
                let finished = change.transform.finish(source.trailers(), &mut change.made);
                change.trailers = finished.map_err(|why| WireError::Protocol(why.0))?;
            } else {
                let pushed = change.transform.push(source.chunk(), &mut change.made);
                pushed.map_err(|why| WireError::Protocol(why.0))?;
                source.consume(len);
            }
        }
        Poll::Ready(Ok(change.left().len()))
    }

    fn chunk(&self) -> &[u8] {
        self.change.left()
    }

    fn consume(&mut self, len: usize) {
        self.change.taken = self.change.made.len().min(self.change.taken + len);
    }

    fn trailers(&self) -> Option<&Fields> {
        self.change.trailers.as_ref()
    }

    fn is_done(&self) -> bool {
        self.change.ended && self.change.left().is_empty()
    }

    fn plain(&mut self) -> Option<Plain<'_>> {
        None
    }

    fn took_plain(&mut self, _: u64) -> Result<(), WireError> {
        Ok(())
    }
}

/// A body that changes, or does not.
pub enum MaybeChanged<'a, S> {
    /// As it comes.
    Same(&'a mut S),
    /// Changed.
    Changed(Changed<'a, S>),
}

impl<'a, S: Source> MaybeChanged<'a, S> {
    /// The body of `source`, changed if there is a change.
    pub fn new(source: &'a mut S, change: Option<&'a mut Change>) -> Self {
        match change {
            None => Self::Same(source),
            Some(change) => Self::Changed(Changed::new(source, change)),
        }
    }
}

impl<S: Source> Source for MaybeChanged<'_, S> {
    #[inline]
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, WireError>> {
        match self {
            Self::Same(source) => source.poll_fill(cx),
            Self::Changed(source) => {
                cold_path();
                source.poll_fill(cx)
            }
        }
    }

    #[inline]
    fn chunk(&self) -> &[u8] {
        match self {
            Self::Same(source) => source.chunk(),
            Self::Changed(source) => {
                cold_path();
                source.chunk()
            }
        }
    }

    #[inline]
    fn consume(&mut self, len: usize) {
        match self {
            Self::Same(source) => source.consume(len),
            Self::Changed(source) => {
                cold_path();
                source.consume(len)
            }
        }
    }

    fn trailers(&self) -> Option<&Fields> {
        match self {
            Self::Same(source) => source.trailers(),
            Self::Changed(source) => {
                cold_path();
                source.trailers()
            }
        }
    }

    fn is_done(&self) -> bool {
        match self {
            Self::Same(source) => source.is_done(),
            Self::Changed(source) => {
                cold_path();
                source.is_done()
            }
        }
    }

    #[inline]
    fn plain(&mut self) -> Option<Plain<'_>> {
        match self {
            Self::Same(source) => source.plain(),
            Self::Changed(source) => {
                cold_path();
                source.plain()
            }
        }
    }

    fn took_plain(&mut self, len: u64) -> Result<(), WireError> {
        match self {
            Self::Same(source) => source.took_plain(len),
            Self::Changed(source) => {
                cold_path();
                source.took_plain(len)
            }
        }
    }
}
