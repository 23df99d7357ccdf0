//! Plays one script: the client's or an endpoint's, over one connection after the other.

use super::check;
use super::failure::Mismatch;
use super::script::{Action, Expect, Part, Step};
use crate::stream::{Cancel, Listener};
use crate::{Connection, DEFAULT_TIMEOUT, Error, Kind, Response, lock, visible};
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Marks that scripts set and await: how one script follows another where no bytes tell it.
#[derive(Default)]
pub(super) struct Marks {
    set: Mutex<HashSet<String>>,
    changed: Condvar,
}

impl Marks {
    fn set(&self, name: &str) {
        lock(&self.set).insert(name.to_owned());
        self.changed.notify_all();
    }

    fn wait(&self, name: &str, deadline: Instant, cancel: &Cancel) -> Result<(), Mismatch> {
        let mut set = lock(&self.set);
        while !set.contains(name) {
            if cancel.is_raised() {
                return Err(Error::new(Kind::Cancelled, "waiting for a mark: the test ended").into());
            }
            if Instant::now() >= deadline {
                return Err(Mismatch::new(format!("nobody set the mark `{name}` in time")));
            }
            let waited = self.changed.wait_timeout(set, crate::CANCEL_CHECK);
            set = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }
}

/// Where connections come from.
pub(super) enum Source {
    /// A client dials, this address unless a script says another.
    Dial(String),
    /// An endpoint accepts.
    Accept(Listener),
}

/// A script under way.
pub(super) struct Actor<'a> {
    pub(super) source: Source,
    pub(super) marks: &'a Marks,
    pub(super) cancel: Cancel,
    pub(super) timeout: Duration,
    pieces: (usize, Duration),
    /// The last one is the current one.
    pub(super) connections: Vec<Open>,
}

/// A connection that a script has opened, until the end of the scenario.
pub(super) struct Open {
    pub(super) connection: Connection,
    /// What else comes does not matter.
    pub(super) ignored: bool,
}

impl<'a> Actor<'a> {
    pub(super) fn new(source: Source, marks: &'a Marks, cancel: Cancel) -> Self {
        let pieces = (0, Duration::ZERO);
        Self { source, marks, cancel, timeout: DEFAULT_TIMEOUT, pieces, connections: Vec::new() }
    }

    /// Plays all steps, or up to the first that fails; the error carries its line.
    pub(super) fn play(&mut self, steps: &[Step]) -> Result<(), Mismatch> {
        for step in steps {
            if let Err(mut mismatch) = self.step(&step.action) {
                mismatch.line.get_or_insert(step.line);
                return Err(mismatch);
            }
        }
        Ok(())
    }

    fn step(&mut self, action: &Action) -> Result<(), Mismatch> {
        match action {
            Action::Connect { to, from } => self.open(to.as_deref(), *from)?,
            Action::Accept => self.open(None, None)?,
            Action::Send(bytes) => match self.current()?.connection.send(bytes) {
                // A peer may end the connection before it has read everything; what it said is checked next.
                Err(error) if error.kind == Kind::Reset => {}
                outcome => outcome?,
            },
            Action::Split { size, pause } => {
                self.pieces = (*size, *pause);
                let (size, pause) = self.pieces;
                self.current()?.connection.set_pieces(size, pause);
            }
            Action::Timeout(timeout) => {
                self.timeout = *timeout;
                self.connections.iter_mut().for_each(|open| open.connection.set_timeout(*timeout));
            }
            Action::Pause(pause) => sleep(*pause),
            Action::Expect(expect) => expected(expect, &mut self.current()?.connection)?,
            Action::Shutdown => self.current()?.connection.shutdown_write()?,
            Action::Close => {
                self.current()?.connection.close();
            }
            Action::Reset => self.current()?.connection.reset()?,
            Action::Echo => {
                self.current()?.connection.echo()?;
            }
            Action::Ignore => self.current()?.ignored = true,
            Action::Mark(name) => self.marks.set(name),
            Action::Await(name) => self.marks.wait(name, Instant::now() + self.timeout, &self.cancel)?,
        }
        Ok(())
    }

    /// The current connection; the first is opened when it is first needed.
    fn current(&mut self) -> Result<&mut Open, Mismatch> {
        if self.connections.is_empty() {
            self.open(None, None)?;
        }
        self.connections.last_mut().ok_or_else(|| Mismatch::new("no connection"))
    }

    fn open(&mut self, to: Option<&str>, from: Option<IpAddr>) -> Result<(), Mismatch> {
        let mut connection = match &self.source {
            Source::Dial(address) => Connection::connect(to.unwrap_or(address), from, self.cancel.clone())
                .map_err(Mismatch::from)?,
            Source::Accept(listener) => {
                let stream = listener.accept(Instant::now() + self.timeout, &self.cancel)?;
                Connection::new(stream, self.cancel.clone())
            }
        };
        connection.set_timeout(self.timeout);
        connection.set_pieces(self.pieces.0, self.pieces.1);
        self.connections.push(Open { connection, ignored: false });
        Ok(())
    }
}

fn expected(expect: &Expect, connection: &mut Connection) -> Result<(), Mismatch> {
    match expect {
        Expect::Request { head_only, checks } => {
            let request = match head_only {
                true => connection.read_request_head()?,
                false => connection.read_request()?,
            };
            check::all(checks, &(&request).into())
        }
        Expect::Response { to, part, checks } => {
            let response = response(to, *part, connection)?;
            check::all(checks, &(&response).into())
        }
        Expect::Bytes(bytes) => expected_bytes(bytes, connection),
        Expect::Line(pattern) => {
            let line = connection.read_line()?;
            match pattern.matches(&line) {
                true => Ok(()),
                false => Err(Mismatch::differs("the line differs", format!("{pattern:?}"), visible(&line))),
            }
        }
        Expect::Close => Ok(connection.expect_close()?),
        Expect::Eof => expected_end(connection, Kind::Closed),
        Expect::Reset => expected_end(connection, Kind::Reset),
        Expect::End => match connection.read_to_end(&mut Vec::new()) {
            Err(error) if !error.is_end() => Err(error.into()),
            _ => Ok(()),
        },
    }
}

fn response(method: &str, part: Part, connection: &mut Connection) -> Result<Response, Mismatch> {
    match part {
        Part::Whole => Ok(connection.read_response_to(method)?),
        Part::Head => Ok(connection.read_response_head()?),
        Part::Cut => match connection.read_partial_response(method) {
            (response, Err(error)) if error.is_end() && response.status > 0 => Ok(response),
            (_, Err(error)) => Err(error.into()),
            (response, Ok(())) => {
                Err(Mismatch::new("the response is complete where it must be cut").with_bytes(&response.raw))
            }
        },
    }
}

fn expected_bytes(bytes: &[u8], connection: &mut Connection) -> Result<(), Mismatch> {
    let received = connection.read_exact(bytes.len()).map_err(|error| Mismatch {
        expected: Some(visible(bytes)),
        received: Some(visible(&error.received)),
        cancelled: error.kind == Kind::Cancelled,
        ..Mismatch::new(error.message)
    })?;
    match received == bytes {
        true => Ok(()),
        false => Err(Mismatch::differs("the bytes differ", visible(bytes), visible(&received))),
    }
}

fn expected_end(connection: &mut Connection, kind: Kind) -> Result<(), Mismatch> {
    let mut bytes = Vec::new();
    match connection.read_to_end(&mut bytes) {
        Err(error) if error.kind == kind && bytes.is_empty() => Ok(()),
        Err(error) if error.is_end() && bytes.is_empty() => {
            Err(Mismatch::differs("the connection ended otherwise", format!("{kind:?}"), error.message))
        }
        Err(error) if bytes.is_empty() => Err(error.into()),
        _ => Err(Mismatch::new("bytes came where the end was expected").with_bytes(&bytes)),
    }
}
