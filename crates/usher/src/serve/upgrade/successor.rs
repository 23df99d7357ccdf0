//! The process that takes over, as the one before sees it.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use usher_net::handover::{Channel, MAX_DESCRIPTORS};

use super::{HELLO, START_LIMIT, VARIABLE};
use crate::serve::event::Event;

/// How long one that said that it failed may take to end.
const END_LIMIT: Duration = Duration::from_secs(2);
const END_CHECK: Duration = Duration::from_millis(5);
/// Sockets it may name as taken; no process has more.
const MAX_TAKEN: usize = 100_000;

/// What became of it.
pub(in crate::serve) enum Outcome {
    /// It serves.
    Ready {
        /// Its number.
        process: u32,
        /// Labels of the sockets that it goes on with.
        taken: Vec<String>,
    },
    /// It does not, and is gone.
    Failed(String),
}

/// Descriptors, and what is said about them.
pub(in crate::serve) type Message = (String, Vec<OwnedFd>);

/// Starts it; what becomes of it is an [`Event::Upgraded`]. Gives its number, and a way to it.
pub(super) fn start(all: Vec<Message>, events: mpsc::Sender<Event>) -> io::Result<(u32, Channel)> {
    let (ours, theirs) = Channel::pair()?;
    let mut words = env::args_os();
    let name = words.next().unwrap_or_else(|| OsString::from("usher"));
    let program = program(&name)?;
    let mut command = Command::new(&program);
    command.arg0(&name).args(words).stdin(Stdio::from(theirs));
    command.env(VARIABLE, std::process::id().to_string());
    // What they say is meant for this process; without a number, the watchdog is whoever's is the main process.
    for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID", "WATCHDOG_PID"] {
        command.env_remove(name);
    }
    // All that can fail comes before the child, which nobody would wait for then.
    let way = ours.try_clone()?;
    let (started, begins) = mpsc::channel();
    let accompany = move || {
        let Ok(child) = begins.recv() else { return };
        let outcome = accompany(child, &ours, &all);
        // Sockets that the other one does not want are not to be kept open by these.
        drop(all);
        let _ = events.send(Event::Upgraded(outcome));
    };
    thread::Builder::new().name("upgrade".to_owned()).spawn(accompany)?;
    let child = command.spawn();
    let child =
        child.map_err(|error| io::Error::new(error.kind(), format!("`{}`: {error}", program.display())))?;
    // The command holds the other end until here; from now on only the child does, so that its end is heard.
    drop(command);
    let process = child.id();
    // The thread waits for it.
    let _ = started.send(child);
    Ok((process, way))
}

/// The path that this process was started by, if it says one, so that a link to the newest version is followed anew; else
/// the file that it was started from. Both as they are on disk now.
fn program(name: &OsString) -> io::Result<PathBuf> {
    let by_path = Path::new(name).components().count() > 1 && Path::new(name).is_file();
    if by_path { Ok(name.into()) } else { own_path().clone().ok_or_else(|| io::ErrorKind::NotFound.into()) }
}

/// Where this process's binary was when it started; afterwards, the system only says that it has been replaced.
pub(in crate::serve) fn own_path() -> &'static Option<PathBuf> {
    static PATH: OnceLock<Option<PathBuf>> = OnceLock::new();
    PATH.get_or_init(|| env::current_exe().ok())
}

/// Hands it everything, and waits until it is ready or gone.
fn accompany(mut child: Child, channel: &Channel, all: &[Message]) -> Outcome {
    let deadline = Instant::now() + START_LIMIT;
    let outcome = hand_over(channel, all).and_then(|()| answer(channel, deadline));
    let why = match outcome {
        Ok(Answer::Ready(taken)) => return Outcome::Ready { process: child.id(), taken },
        Ok(Answer::Failed(why)) => {
            let _ = end(&mut child, END_LIMIT);
            return Outcome::Failed(why);
        }
        Ok(Answer::Gone) => {
            // Its exit is about to follow; if it only closed its end, it is of no use either.
            let status = end(&mut child, END_LIMIT);
            let status = status.map_or_else(|| "killed".to_owned(), |status| status.to_string());
            return Outcome::Failed(format!("the new process ended before it was ready ({status})"));
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            format!("the new process was not ready within {START_LIMIT:?}")
        }
        Err(error) => format!("the new process cannot be talked to: {error}"),
    };
    let _ = end(&mut child, Duration::ZERO);
    Outcome::Failed(why)
}

fn hand_over(channel: &Channel, all: &[Message]) -> io::Result<()> {
    channel.limit(Some(START_LIMIT))?;
    let result = channel.send(HELLO, &[]).and_then(|()| {
        for (text, descriptors) in all {
            let descriptors: Vec<BorrowedFd<'_>> = descriptors.iter().map(OwnedFd::as_fd).collect();
            if descriptors.is_empty() {
                channel.send(text, &[])?;
            }
            for some in descriptors.chunks(MAX_DESCRIPTORS) {
                channel.send(text, some)?;
            }
        }
        channel.send("end", &[])
    });
    match result {
        // It is gone, perhaps with a last word.
        Err(error) if is_gone(&error) => Ok(()),
        result => result,
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

#[derive(Debug)]
enum Answer {
    Ready(Vec<String>),
    Failed(String),
    Gone,
}

fn answer(channel: &Channel, deadline: Instant) -> io::Result<Answer> {
    let mut taken = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        channel.limit(Some(left.max(Duration::from_millis(1))))?;
        // What it has not read is told first, once (unix(7): ECONNRESET); what it said before is there still.
        let received = channel.receive().or_else(|error| match error.kind() {
            io::ErrorKind::ConnectionReset => channel.receive(),
            _ => Err(error),
        });
        let text = match received {
            Ok(Some((text, _))) => text,
            Ok(None) => return Ok(Answer::Gone),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(Answer::Gone),
            Err(error) => return Err(error),
        };
        match text.split_once(' ') {
            Some(("took", label)) if taken.len() < MAX_TAKEN => taken.push(label.to_owned()),
            Some(("failed", why)) => return Ok(Answer::Failed(why.to_owned())),
            None if text == "ready" => return Ok(Answer::Ready(taken)),
            _ => {}
        }
    }
}

/// Waits for its end, and kills it if that does not come; gives how it ended by itself.
fn end(child: &mut Child, patience: Duration) -> Option<std::process::ExitStatus> {
    let deadline = Instant::now() + patience;
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if Instant::now() >= deadline {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        thread::sleep(END_CHECK);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_last_word_of_one_that_has_not_listened_is_heard() {
        // Whether the reset is heard while sending or while receiving.
        for sends in [false, true] {
            let (ours, theirs) = Channel::pair().unwrap();
            hand_over(&ours, &[]).unwrap();
            // It reads nothing of that.
            let mut theirs = std::fs::File::from(theirs);
            theirs.write_all(b"failed it cannot").unwrap();
            drop(theirs);
            if sends {
                hand_over(&ours, &[("listener own a".to_owned(), Vec::new())]).unwrap();
            }
            let answer = answer(&ours, Instant::now() + START_LIMIT).unwrap();
            assert!(matches!(&answer, Answer::Failed(why) if why == "it cannot"), "{answer:?}");
        }
    }
}
