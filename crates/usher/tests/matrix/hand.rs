//! What a client and an endpoint do alike: they send a body and receive one.

use std::cell::Cell;
use std::fmt::Debug;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};

use usher_http::Fields;
use usher_wire::{Sink, Source, WireError};

/// What a behaviour gives; the error says what is wrong.
pub(crate) type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// What is being waited for, for failures.
#[derive(Clone, Default)]
pub(crate) struct Step(Rc<Cell<(&'static str, &'static str)>>);

impl Step {
    pub(crate) fn set(&self, who: &'static str, what: &'static str) {
        self.0.set((who, what));
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (who, what) = self.0.get();
        write!(f, "{who} {what}")
    }
}

/// One end of an exchange.
pub(crate) trait Hand {
    /// Who it is.
    fn who(&self) -> &'static str;
    fn step(&self) -> &Step;
    fn source(&mut self) -> &mut dyn Source;
    fn sink(&mut self) -> &mut dyn Sink;

    /// Sends all of it, and what was kept before.
    async fn say(&mut self, mut data: &[u8]) -> Outcome {
        self.step().set(self.who(), "sends");
        while !data.is_empty() {
            let taken = poll_fn(|cx| self.sink().poll_send(cx, data)).await?;
            data = &data[taken..];
        }
        Ok(poll_fn(|cx| self.sink().poll_flush(cx)).await?)
    }

    /// Ends the body.
    async fn end(&mut self) -> Outcome {
        self.step().set(self.who(), "ends its body");
        Ok(poll_fn(|cx| self.sink().poll_finish(cx, None)).await?)
    }

    async fn end_with(&mut self, trailers: &[(&str, &str)]) -> Outcome {
        let trailers = fields(trailers);
        self.step().set(self.who(), "ends its body with trailers");
        Ok(poll_fn(|cx| self.sink().poll_finish(cx, Some(&trailers))).await?)
    }

    /// Ends its direction.
    async fn hang_up(&mut self) -> Outcome {
        self.step().set(self.who(), "ends its direction");
        Ok(poll_fn(|cx| self.sink().poll_end(cx)).await?)
    }

    /// What comes next; nothing at the end.
    async fn piece(&mut self) -> Outcome<Vec<u8>> {
        self.step().set(self.who(), "waits for a piece of the body");
        let len = poll_fn(|cx| self.source().poll_fill(cx)).await?;
        let source = self.source();
        same("announced and at hand", source.chunk().len(), len)?;
        let piece = source.chunk().to_vec();
        source.consume(len);
        Ok(piece)
    }

    /// Exactly these bytes come next.
    async fn hears(&mut self, expected: &[u8]) -> Outcome {
        let heard = self.at_least(expected.len()).await?;
        same_bytes(self.who(), &heard, expected)
    }

    /// These bytes come next, and maybe more with them.
    async fn hears_beginning(&mut self, expected: &[u8]) -> Outcome {
        let heard = self.at_least(expected.len()).await?;
        same_bytes(self.who(), &heard[..expected.len()], expected)
    }

    async fn at_least(&mut self, len: usize) -> Outcome<Vec<u8>> {
        let mut heard = Vec::new();
        while heard.len() < len {
            let piece = self.piece().await?;
            if piece.is_empty() {
                return Err(format!("{}: end of the body after {} bytes", self.who(), heard.len()).into());
            }
            heard.extend(piece);
        }
        Ok(heard)
    }

    /// The body ends here.
    async fn hears_end(&mut self) -> Outcome {
        same("bytes after the last", self.piece().await?.len(), 0)
    }

    /// The rest of the body.
    async fn body(&mut self) -> Outcome<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            match self.piece().await {
                Ok(piece) if piece.is_empty() => return Ok(body),
                Ok(piece) => body.extend(piece),
                Err(error) => {
                    return Err(format!("{}: {error} after {} bytes", self.who(), body.len()).into());
                }
            }
        }
    }

    /// The body is these bytes, and ends.
    async fn hears_all(&mut self, expected: &[u8]) -> Outcome {
        let body = self.body().await?;
        same_bytes(self.who(), &body, expected)
    }

    /// The body breaks off: whoever reads it cannot take it for complete.
    async fn hears_break(&mut self) -> Outcome {
        match self.body().await {
            Ok(body) => Err(format!("{}: took {} bytes for the whole", self.who(), body.len()).into()),
            Err(_) => Ok(()),
        }
    }

    fn trailer(&mut self, name: &str) -> Option<String> {
        let trailers = self.source().trailers();
        trailers.and_then(|fields| get(fields, name))
    }

    /// Sends all of it and the end of its body, and receives all that comes meanwhile, up to the end.
    async fn talks(&mut self, data: &[u8]) -> Outcome<Vec<u8>> {
        self.sends_and_receives(data, |sink, cx| sink.poll_finish(cx, None)).await
    }

    /// The same in a tunnel, where the direction itself ends.
    async fn tunnels(&mut self, data: &[u8]) -> Outcome<Vec<u8>> {
        self.sends_and_receives(data, |sink, cx| sink.poll_end(cx)).await
    }

    async fn sends_and_receives(&mut self, data: &[u8], end: End) -> Outcome<Vec<u8>> {
        self.step().set(self.who(), "sends and receives at the same time");
        let (mut at, mut ended, mut heard) = (0, false, Vec::new());
        let both = poll_fn(|cx| {
            loop {
                let mut moved = false;
                if at < data.len() {
                    if let Poll::Ready(taken) = self.sink().poll_send(cx, &data[at..])? {
                        at += taken;
                        moved = true;
                    }
                } else if !ended {
                    ended = end(self.sink(), cx)?.is_ready();
                }
                if let Poll::Ready(len) = self.source().poll_fill(cx)? {
                    if len == 0 {
                        return Poll::Ready(Ok::<_, WireError>(()));
                    }
                    heard.extend_from_slice(&self.source().chunk()[..len]);
                    self.source().consume(len);
                    moved = true;
                }
                if !moved {
                    return Poll::Pending;
                }
            }
        });
        let outcome = both.await;
        outcome.map_err(|error| format!("{}: {error}, {at} sent, {} heard", self.who(), heard.len()))?;
        same("sent before the other one ended", (at, ended), (data.len(), true))?;
        Ok(heard)
    }
}

/// How a direction is ended.
type End = fn(&mut dyn Sink, &mut Context<'_>) -> Poll<Result<(), WireError>>;

/// Bytes that differ from their neighbours, so that a lost or doubled one shows.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect()
}

pub(crate) fn fields(pairs: &[(&str, &str)]) -> Fields {
    let mut fields = Fields::default();
    for (name, value) in pairs {
        fields.add(name.as_bytes(), value.as_bytes()).expect("a field");
    }
    fields
}

/// The value of a field.
pub(crate) fn get(fields: &Fields, name: &str) -> Option<String> {
    fields.get_named(name.as_bytes()).map(|value| String::from_utf8_lossy(value).into_owned())
}

#[expect(clippy::needless_pass_by_value, reason = "what is compared is made for it")]
pub(crate) fn same<T: PartialEq + Debug>(what: &str, found: T, expected: T) -> Outcome {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what}: {found:?} instead of {expected:?}").into())
}

pub(crate) fn same_bytes(what: &str, found: &[u8], expected: &[u8]) -> Outcome {
    if found == expected {
        return Ok(());
    }
    let at = found.iter().zip(expected).position(|(one, other)| one != other);
    let (heard, of) = (found.len(), expected.len());
    Err(format!("{what}: {heard} bytes instead of {of}, different from {at:?} on").into())
}
