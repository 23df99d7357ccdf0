//! The request's body on its way: how it is framed, what it becomes, and what is kept of it for another try.

use std::task::{Context, Poll};

use usher_api::Exchange;
use usher_http::framing::Framing;
use usher_http::{FieldId, Fields};
use usher_net::shortage::{self, Deed};
use usher_wire::{Change, MaybeChanged, Plain, Source, WireError};

use super::mirror::feed::{Feed, Tee, pair};
use super::whole::Ahead;
use crate::snapshot::RetryPolicy;

/// The request's body, over all tries.
#[derive(Default)]
pub(crate) struct Payload {
    /// How it is framed towards the endpoint.
    pub framing: Framing,
    /// What is known of it on its way; nothing of requests without a body, which are most.
    way: Option<Box<Way>>,
    /// What was taken in of the response's body.
    pub(crate) ahead: Option<Box<Ahead>>,
}

/// What becomes of a body on its way.
#[derive(Default)]
struct Way {
    /// What it becomes, if it is changed.
    change: Option<Change>,
    memory: Memory,
    /// Who is sent a copy of what is taken from the client.
    copies: Vec<Tee>,
}

/// What was sent of a body, as long as it may have to be sent again.
#[derive(Default)]
struct Memory {
    bytes: Vec<u8>,
    /// How much of them was taken in this try.
    at: usize,
    /// The most that is kept (bytes).
    limit: usize,
    /// Something was taken that is not here.
    lost: bool,
}

impl Payload {
    /// The body of a request. One that a filter wanted whole is sent from memory.
    pub(super) fn new(exchange: &mut Exchange, framing: Framing, policy: &RetryPolicy) -> Self {
        if exchange.body.is_some() {
            change_held(exchange);
        }
        let framing = towards_endpoint(exchange, framing);
        let way = (framing != Framing::None || exchange.request_transform.is_some())
            .then(|| Box::new(Way::new(exchange, framing, policy)));
        Self { framing, way, ahead: None }
    }

    /// The body of a copy, which is sent as it comes.
    pub(super) fn copied(framing: Framing) -> Self {
        Self { framing, ..Self::default() }
    }

    /// A copy of the body, of which so many bytes wait at most. Call it before anything is taken.
    pub(super) fn feed(&mut self, limit: usize) -> Feed {
        let (tee, feed) = pair(limit);
        self.way.get_or_insert_default().copies.push(tee);
        feed
    }

    /// Whether a try can begin at the body's beginning.
    pub(super) fn is_whole(&self) -> bool {
        self.memory().is_none_or(|memory| !memory.lost)
    }

    /// Whether something was taken of it.
    pub(super) fn is_begun(&self) -> bool {
        self.memory().is_some_and(|memory| memory.lost || !memory.bytes.is_empty())
    }

    /// Whether what is sent next was sent before.
    pub(super) fn is_resent(&self) -> bool {
        self.memory().is_some_and(|memory| !memory.left().is_empty())
    }

    fn memory(&self) -> Option<&Memory> {
        self.way.as_deref().map(|way| &way.memory)
    }

    /// Begins anew, for another try.
    pub(super) fn rewind(&mut self) {
        if let Some(way) = &mut self.way {
            way.memory.at = 0;
        }
    }

    /// There is a response: nothing will be sent again. What this try has not sent yet stays.
    pub(super) fn answered(&mut self) {
        let Some(Way { memory, .. }) = self.way.as_deref_mut() else { return };
        memory.lost = true;
        if memory.at >= memory.bytes.len() {
            (memory.bytes, memory.at) = (Vec::new(), 0);
        }
    }

    /// The body, of which `source` is what comes from the client.
    #[inline]
    pub(crate) fn of<'a, S: Source>(&'a mut self, source: &'a mut S) -> Remembered<'a, S> {
        let Way { change, memory, copies } = &mut **self.way.get_or_insert_default();
        Remembered { source: MaybeChanged::new(source, change.as_mut()), memory, copies }
    }
}

impl Way {
    fn new(exchange: &mut Exchange, framing: Framing, policy: &RetryPolicy) -> Self {
        let change = exchange.request_transform.take().map(|change| Change::new(change.0));
        let resent = policy.resends() && (policy.non_idempotent || exchange.request.method.is_idempotent());
        let fits = match framing {
            Framing::Length(length) => length <= policy.buffer as u64,
            Framing::None => false,
            Framing::Chunked | Framing::Close => true,
        };
        let limit = if resent && fits { policy.buffer } else { 0 };
        let memory = Memory { limit, ..Memory::default() };
        Self { change, memory, copies: Vec::new() }
    }
}

/// A body, first from memory and then from its source.
pub(crate) struct Remembered<'a, S> {
    source: MaybeChanged<'a, S>,
    memory: &'a mut Memory,
    copies: &'a [Tee],
}

impl Memory {
    /// What is sent again.
    #[inline]
    fn left(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Keeps what is taken from the source, if it fits.
    fn keep(&mut self, taken: &[u8]) {
        if self.lost || taken.is_empty() {
            return;
        }
        if self.bytes.len() + taken.len() > self.limit || shortage::is_tight() {
            if self.limit > 0 && shortage::is_tight() {
                shortage::did(Deed::ForgotBody, 1);
            }
            self.lost = true;
            (self.bytes, self.at) = (Vec::new(), 0);
            return;
        }
        self.bytes.extend_from_slice(taken);
        self.at = self.bytes.len();
    }
}

impl<S: Source> Source for Remembered<'_, S> {
    #[inline]
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, WireError>> {
        match self.memory.left().len() {
            0 if self.copies.iter().any(Tee::is_due) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            0 => {
                let filled = self.source.poll_fill(cx);
                if !self.copies.is_empty() && matches!(filled, Poll::Ready(Ok(0))) {
                    self.copies.iter().for_each(|copy| copy.end(self.source.trailers()));
                }
                filled
            }
            left => Poll::Ready(Ok(left)),
        }
    }

    #[inline]
    fn chunk(&self) -> &[u8] {
        match self.memory.left() {
            [] => self.source.chunk(),
            left => left,
        }
    }

    #[inline]
    fn consume(&mut self, len: usize) {
        let left = self.memory.left().len();
        if left > 0 {
            self.memory.at += len.min(left);
            if self.memory.lost && len >= left {
                (self.memory.bytes, self.memory.at) = (Vec::new(), 0);
            }
            return;
        }
        if !self.copies.is_empty() {
            let chunk = self.source.chunk();
            self.copies.iter().for_each(|copy| copy.give(chunk.get(..len).unwrap_or(chunk)));
        }
        if !self.memory.lost {
            let chunk = self.source.chunk();
            self.memory.keep(chunk.get(..len).unwrap_or(chunk));
        }
        self.source.consume(len);
    }

    fn trailers(&self) -> Option<&Fields> {
        self.source.trailers()
    }

    fn is_done(&self) -> bool {
        self.memory.left().is_empty() && self.source.is_done()
    }

    #[inline]
    fn plain(&mut self) -> Option<Plain<'_>> {
        // What is spliced is never seen.
        let is_seen = self.memory.limit > 0 && !self.memory.lost || !self.memory.left().is_empty();
        if is_seen || self.copies.iter().any(Tee::is_open) { None } else { self.source.plain() }
    }

    fn took_plain(&mut self, len: u64) -> Result<(), WireError> {
        self.memory.lost |= len > 0;
        self.source.took_plain(len)
    }
}

/// How the request's body is framed towards the endpoint.
fn towards_endpoint(exchange: &mut Exchange, framing: Framing) -> Framing {
    if exchange.request_transform.is_some() && framing != Framing::None {
        // How long it will be is not known before its end.
        exchange.request.fields.remove(FieldId::ContentLength);
        return Framing::Chunked;
    }
    let Some(body) = &exchange.body else { return framing };
    let length = body.len() as u64;
    let fields = &mut exchange.request.fields;
    fields.remove(FieldId::Expect);
    // Its trailers are not kept.
    fields.remove(FieldId::Trailer);
    if framing == Framing::None {
        return Framing::None;
    }
    fields.remove(FieldId::ContentLength);
    fields.push(FieldId::ContentLength, length.to_string().as_bytes());
    Framing::Length(length)
}

/// Changes a body that is in memory already, in one go. One that cannot be changed is sent as it is, for the endpoint to
/// judge.
fn change_held(exchange: &mut Exchange) {
    let Exchange { body: Some(body), request_transform, .. } = exchange else { return };
    let Some(mut change) = request_transform.take() else { return };
    let mut changed = Vec::with_capacity(body.len());
    let pushed = change.0.push(body, &mut changed);
    if pushed.and_then(|()| change.0.finish(None, &mut changed)).is_ok() {
        *body = changed;
    }
}

#[cfg(test)]
mod tests;
