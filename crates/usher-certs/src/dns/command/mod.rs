//! Records written by a program.
//!
//! It is called as `PROGRAM [ARGUMENT…] set|remove NAME VALUE`, without a shell. `NAME` is the full name of the record without
//! trailing dot (`_acme-challenge.example.com`), `VALUE` its text. The environment has them too, as `USHER_DNS_ACTION`,
//! `USHER_DNS_NAME` and `USHER_DNS_VALUE`, and the domain without `_acme-challenge.` as `USHER_DNS_DOMAIN`. Status 0 is
//! success; what it writes to the standard error stands in the message if it fails. It is called once at a time. When its time is over, it and what it
//! started are killed.

#[cfg(test)]
mod tests;

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::{DnsError, DnsFuture, DnsProvider};
use crate::http::excerpt;

/// How often it is looked whether the program has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What is read of its standard error, in bytes.
const MAX_STDERR: u64 = 4096;

/// A program that writes records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandOptions {
    /// The program, by its path.
    pub program: PathBuf,
    /// Arguments before the action.
    pub arguments: Vec<String>,
    /// How long it may run.
    pub limit: Duration,
}

impl CommandOptions {
    /// This program without arguments, for a minute at most.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), arguments: Vec::new(), limit: Duration::from_secs(60) }
    }
}

pub(super) struct Command {
    options: CommandOptions,
    /// One call at a time: a program that reads a zone, changes it and writes it back would undo what another has done.
    turn: tokio::sync::Mutex<()>,
}

impl Command {
    pub(super) fn new(options: CommandOptions) -> Self {
        Self { options, turn: tokio::sync::Mutex::new(()) }
    }

    async fn run(&self, action: &'static str, name: &str, value: &str) -> Result<(), DnsError> {
        let _turn = self.turn.lock().await;
        let (options, name, value) = (self.options.clone(), name.to_owned(), value.to_owned());
        let ended = tokio::task::spawn_blocking(move || run(&options, action, &name, &value)).await;
        ended.unwrap_or_else(|_| Err(DnsError::new("the call of the program was broken off")))
    }
}

impl DnsProvider for Command {
    fn set<'a>(&'a self, name: &'a str, value: &'a str) -> DnsFuture<'a> {
        Box::pin(self.run("set", name, value))
    }

    fn remove<'a>(&'a self, name: &'a str, value: &'a str) -> DnsFuture<'a> {
        Box::pin(self.run("remove", name, value))
    }

    /// Where a record goes is what the program decides.
    fn has_zones(&self) -> bool {
        false
    }
}

fn run(options: &CommandOptions, action: &str, name: &str, value: &str) -> Result<(), DnsError> {
    let program = options.program.display();
    let mut command = std::process::Command::new(&options.program);
    command.args(&options.arguments).args([action, name, value]);
    command.env("USHER_DNS_ACTION", action).env("USHER_DNS_NAME", name).env("USHER_DNS_VALUE", value);
    command.env("USHER_DNS_DOMAIN", name.strip_prefix("_acme-challenge.").unwrap_or(name));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
    let failed = |what: String| DnsError::new(format!("the DNS program `{program}` {what}"));
    let mut child = command.spawn().map_err(|error| failed(format!("cannot be started: {error}")))?;
    let words = child.stderr.take().map(|pipe| thread::spawn(move || read_words(pipe)));
    let status =
        wait(&mut child, options.limit).map_err(|error| failed(format!("cannot be waited for: {error}")))?;
    // Also what it left behind, which would keep the pipe open.
    kill_group(&child);
    let words = words.and_then(|thread| thread.join().ok()).unwrap_or_default();
    match status {
        None => Err(failed(format!("did not end within {} s and was killed", options.limit.as_secs()))),
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(failed(format!("failed on `{action} {name}` ({status}): {}", excerpt(&words)))),
    }
}

fn read_words(mut pipe: impl Read) -> String {
    let mut words = Vec::new();
    let _ = pipe.by_ref().take(MAX_STDERR).read_to_end(&mut words);
    // The rest is read too, so that the program is not stopped by a full pipe.
    let _ = std::io::copy(&mut pipe, &mut std::io::sink());
    String::from_utf8_lossy(&words).into_owned()
}

/// Its status, or None if it was killed at the limit.
fn wait(child: &mut Child, limit: Duration) -> std::io::Result<Option<std::process::ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            kill_group(child);
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(LOOK_EVERY);
    }
}

fn kill_group(child: &Child) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(group) = group {
        // Nothing to do if the group is gone already.
        let _ = kill_process_group(group, Signal::KILL);
    }
}
