//! Other processes: pinned to a core, ended by their PID, never outliving this one; and scratch folders.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};

use crate::cpu;

/// How long a process may take to end when asked, before it is killed.
const END_GRACE: Duration = Duration::from_secs(5);
const PREFIX: &str = "usher-bench-";
/// In place of a core: wherever the scheduler likes.
const ANYWHERE: &str = "anywhere";

/// `usher-bench pinned CORE PROGRAM ARGUMENT…`: becomes PROGRAM, on one core, ended with its parent.
pub(crate) fn pinned(arguments: &[String]) -> io::Result<()> {
    let [core, program, rest @ ..] = arguments else {
        return Err(io::Error::other("`pinned` needs a core and a program"));
    };
    if core != ANYWHERE {
        cpu::pin(core.parse().map_err(|_| io::Error::other(format!("`{core}` is no core")))?)?;
    }
    set_parent_process_death_signal(Some(Signal::TERM))?;
    Err(Command::new(program).args(rest).exec())
}

/// A program with its arguments and where its output goes.
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) stdout: PathBuf,
    pub(crate) stderr: PathBuf,
}

/// A process that ends when dropped.
pub(crate) struct Process {
    child: Child,
    stderr: PathBuf,
}

impl Process {
    /// Starts through `pinned`, on `core`.
    pub(crate) fn start(launch: &Launch, core: usize) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("pinned").arg(core.to_string()).arg(&launch.program);
        Self::spawn(command, launch)
    }

    /// Starts through `pinned`, on no core in particular.
    pub(crate) fn start_anywhere(launch: &Launch) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("pinned").arg(ANYWHERE).arg(&launch.program);
        Self::spawn(command, launch)
    }

    /// Starts without the step through `pinned`, which start-up times must not contain: the calling thread goes to
    /// `core` for the moment, as a child inherits its place.
    pub(crate) fn start_at_once(launch: &Launch, core: usize, home: usize) -> io::Result<Self> {
        cpu::pin(core)?;
        let process = Self::spawn(Command::new(&launch.program), launch);
        cpu::pin(home)?;
        process
    }

    fn spawn(mut command: Command, launch: &Launch) -> io::Result<Self> {
        command.args(&launch.arguments).stdin(Stdio::null());
        command.stdout(File::create(&launch.stdout)?).stderr(File::create(&launch.stderr)?);
        let child = command.spawn().map_err(|error| {
            io::Error::other(format!("cannot start `{}`: {error}", launch.program.display()))
        })?;
        Ok(Self { child, stderr: launch.stderr.clone() })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The end of what it wrote to standard error, for messages.
    pub(crate) fn complaint(&self) -> String {
        let text = fs::read_to_string(&self.stderr).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }

    /// Whether it ended by itself.
    pub(crate) fn ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        Ok(kill_process(pid.ok_or_else(|| io::Error::other("no such process"))?, signal)?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let asked = Instant::now();
        if !self.ended() && self.signal(Signal::TERM).is_ok() {
            while !self.ended() && asked.elapsed() < END_GRACE {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        if !self.ended() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A folder in memory, removed when dropped.
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    pub(crate) fn new() -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = root().join(format!("{PREFIX}{}-{number}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes folders of runs that were killed.
    pub(crate) fn sweep() {
        for entry in fs::read_dir(root()).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let owner = name
                .to_str()
                .and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse::<u32>().ok());
            if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Access logs and spooled bodies of all proxies go to memory: no disk takes part in a measurement.
fn root() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_ends_and_its_folder_goes() {
        let scratch = Scratch::new().unwrap();
        let file = |name| scratch.path().join(name);
        let launch = Launch {
            program: "/bin/sleep".into(),
            arguments: vec!["60".into()],
            stdout: file("out"),
            stderr: file("err"),
        };
        let core = rustix::thread::sched_getcpu();
        let process = Process::start_at_once(&launch, core, core).unwrap();
        let pid = process.id();
        assert!(Path::new(&format!("/proc/{pid}")).exists());
        drop(process);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
        let path = scratch.path().to_owned();
        drop(scratch);
        assert!(!path.exists());
    }
}
