//! `exec`: runs a program, whose status tells.
//!
//! It runs in a process group of its own, with nothing on its standard input. When its time is over, it and what it started
//! are killed. A thread waits for it, never one that serves or that asks other endpoints.

pub mod config;
#[cfg(test)]
mod tests;

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process_group};
use usher_api::{BuildContext, Probe, ProbeFactory, ProbeTarget, Probing, Unwell};
use usher_config::{Decode as _, Node};
use usher_net::{Address, SystemDialer};

/// How often it is looked whether a program has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// What is kept of its standard error (bytes).
const MAX_WORDS: usize = 1024;
/// A program costs as much as so many connections.
const COST: u32 = 16;

/// The probe `exec`.
pub static FACTORY: ProbeFactory =
    ProbeFactory { name: "exec", summary: "run a program", schema: config::Exec::schema, build };

struct Exec {
    command: Vec<String>,
}

fn build(node: &Node, cx: &mut BuildContext<'_, '_>) -> Option<Arc<dyn Probe>> {
    let config = config::Exec::decode(node, cx.config)?;
    Some(Arc::new(Exec { command: config.command }))
}

impl Probe for Exec {
    fn ask<'a>(&'a self, target: &'a ProbeTarget, _: &'a SystemDialer) -> Probing<'a> {
        let (command, limit) = (self.command(target), target.timeout);
        Box::pin(async move {
            let ended = tokio::task::spawn_blocking(move || run(command, limit)).await;
            ended.unwrap_or_else(|_| Err(Unwell::new("the program was broken off")))
        })
    }

    fn cost(&self) -> u32 {
        COST
    }
}

impl Exec {
    fn command(&self, target: &ProbeTarget) -> Command {
        let program = self.command.first().map_or("", String::as_str);
        let mut command = Command::new(program);
        command.args(self.command.iter().skip(1));
        command.env("USHER_CLUSTER", &*target.cluster).env("USHER_NAME", &*target.label);
        command.env("USHER_ENDPOINT", target.address.to_string()).env("USHER_HOST", &*target.host);
        match &target.address {
            Address::Ip(address) => {
                command.env("USHER_ADDRESS", address.ip().to_string());
                command.env("USHER_PORT", address.port().to_string());
            }
            Address::Unix(path) => drop(command.env("USHER_SOCKET", path)),
        }
        command
    }
}

fn run(mut command: Command, limit: Duration) -> Result<(), Unwell> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
    let failed = |what: String| Unwell::new(format!("`{program}` {what}"));
    let mut child = command.spawn().map_err(|error| failed(format!("cannot be started: {error}")))?;
    let mut words = Words::of(&mut child);
    let ended = wait(&mut child, limit, &mut words);
    // Also what it left behind.
    kill_group(&child);
    match ended {
        Err(error) => {
            let _ = child.wait();
            Err(failed(format!("cannot be waited for: {error}")))
        }
        Ok(None) => {
            let _ = child.wait();
            Err(failed(format!("did not end within {limit:?} and was killed")))
        }
        Ok(Some(status)) if status.success() => Ok(()),
        Ok(Some(status)) => {
            words.read();
            Err(failed(format!("ended with {}{}", outcome(status), words.said())))
        }
    }
}

/// `status 2`, or what killed it.
fn outcome(status: ExitStatus) -> String {
    status.code().map_or_else(|| status.to_string(), |code| format!("status {code}"))
}

/// Its status; none if its time is over.
fn wait(child: &mut Child, limit: Duration, words: &mut Words) -> std::io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        words.read();
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
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

/// What a program says on its standard error. All of it is read, so that it is not stopped by a full pipe.
struct Words {
    pipe: Option<ChildStderr>,
    kept: Vec<u8>,
}

impl Words {
    fn of(child: &mut Child) -> Self {
        let pipe = child.stderr.take().filter(|pipe| {
            // A pipe that cannot be read without a wait is not read.
            fcntl_getfl(pipe).and_then(|flags| fcntl_setfl(pipe, flags | OFlags::NONBLOCK)).is_ok()
        });
        Self { pipe, kept: Vec::new() }
    }

    /// Reads what is there now, up to a pipe full.
    fn read(&mut self) {
        let Some(pipe) = &mut self.pipe else { return };
        let mut buffer = [0; 4096];
        for _ in 0..16 {
            let Ok(len @ 1..) = pipe.read(&mut buffer) else { return };
            let room = MAX_WORDS - self.kept.len();
            self.kept.extend_from_slice(buffer.get(..len.min(room)).unwrap_or_default());
        }
    }

    /// The first line, behind a colon.
    fn said(&self) -> String {
        let text = String::from_utf8_lossy(&self.kept);
        text.lines()
            .next()
            .filter(|line| !line.is_empty())
            .map_or_else(String::new, |line| format!(": {line}"))
    }
}
