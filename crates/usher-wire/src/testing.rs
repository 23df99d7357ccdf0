//! What the tests of this crate share: plain reading and writing of a stream, without a [`crate::Connection`].

mod sealing;

pub(crate) use sealing::Sealing;

use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use usher_http::Fields;
use usher_net::Transport;

use crate::body::{Sink, Source};
use crate::error::WireError;

/// Runs a future on a runtime of its own.
pub(crate) fn run<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(future)
}

/// Polls once, with a waker that wakes nobody.
pub(crate) fn once<T>(poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    poll(&mut Context::from_waker(Waker::noop()))
}

/// Writes everything; false if the other end is gone.
pub(crate) async fn write_all(stream: &mut impl Transport, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match poll_fn(|cx| stream.poll_write(cx, bytes)).await {
            Ok(len) if len > 0 => bytes = &bytes[len..],
            _ => return false,
        }
    }
    true
}

/// Writes everything and ends the direction.
pub(crate) async fn write_and_end(stream: &mut impl Transport, bytes: &[u8]) {
    if write_all(stream, bytes).await {
        let _ = poll_fn(|cx| stream.poll_shutdown(cx)).await;
    }
}

/// Reads up to the end of the stream, at most `piece` bytes at a time.
pub(crate) async fn read_all(stream: &mut impl Transport, piece: usize) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buf = vec![0; piece];
    while let Ok(len @ 1..) = poll_fn(|cx| stream.poll_read(cx, &mut buf)).await {
        all.extend_from_slice(&buf[..len]);
    }
    all
}

/// Receives a whole body, `piece` bytes at a time.
pub(crate) async fn receive(source: &mut impl Source, piece: usize) -> Result<Vec<u8>, WireError> {
    let mut payload = Vec::new();
    loop {
        let len = poll_fn(|cx| source.poll_fill(cx)).await?;
        if len == 0 {
            return Ok(payload);
        }
        assert_eq!(source.chunk().len(), len, "what is announced is at hand");
        let taken = len.min(piece);
        payload.extend_from_slice(&source.chunk()[..taken]);
        source.consume(taken);
    }
}

/// Sends all of `data`.
pub(crate) async fn send(sink: &mut impl Sink, mut data: &[u8]) -> Result<(), WireError> {
    while !data.is_empty() {
        let taken = poll_fn(|cx| sink.poll_send(cx, data)).await?;
        assert!((1..=data.len()).contains(&taken), "{taken}");
        data = &data[taken..];
    }
    Ok(())
}

/// Ends a body.
pub(crate) async fn finish(sink: &mut impl Sink, trailers: Option<&Fields>) -> Result<(), WireError> {
    poll_fn(|cx| sink.poll_finish(cx, trailers)).await
}

/// Bytes that differ from their neighbours, so that a lost or doubled one shows.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect()
}
