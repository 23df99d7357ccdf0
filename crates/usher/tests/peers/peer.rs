//! Programs of others: found, started, watched, and ended with the test.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use usher_testkit::{Builder, Usher};

/// How long any wait may take: generous, as many tests may run at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A proxy that is to be started with this config: `USHER_BIN`, or the binary that cargo has built for these tests.
pub(crate) fn usher(config: &str) -> Builder {
    let built = || env!("CARGO_BIN_EXE_usher").into();
    let binary = std::env::var_os("USHER_BIN").map_or_else(built, PathBuf::from);
    Usher::builder().binary(binary).config(config)
}

/// The program's path. If it is missing: a failure in CI, else nothing, said on standard output.
pub(crate) fn find(program: &str, package: &str) -> Option<PathBuf> {
    let known = std::env::var_os("PATH").unwrap_or_default();
    let sbin = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    let found =
        std::env::split_paths(&known).chain(sbin).map(|dir| dir.join(program)).find(|path| path.is_file());
    if found.is_none() {
        missing(program, package);
    }
    found
}

/// A Python that has these modules; Debian's own first, as its packages are only for that one.
pub(crate) fn python(imports: &str, package: &str) -> Option<PathBuf> {
    let found = ["/usr/bin/python3", "python3"].into_iter().find(|python| has_all(python.as_ref(), imports));
    if found.is_none() {
        missing(&format!("python3 with {imports}"), package);
    }
    found.map(PathBuf::from)
}

/// A Python that has these modules from PyPI: that of the environment which `cargo xtask test` makes.
pub(crate) fn wheels(imports: &str) -> Option<PathBuf> {
    // Beside the folder for temporary files is that for tools.
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("tools/python/bin/python3");
    let known = [environment, "python3".into()];
    let found = known.into_iter().find(|python| has_all(python, imports));
    if found.is_none() {
        say_missing(&format!("python3 with {imports}"), "cargo xtask test");
    }
    found
}

fn has_all(python: &Path, imports: &str) -> bool {
    let mut command = Command::new(python);
    command.args(["-c", &format!("import {imports}")]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn missing(what: &str, package: &str) {
    say_missing(what, &format!("apt-get install {package}"));
}

pub(crate) fn say_missing(what: &str, remedy: &str) {
    let message = format!("`{what}` is missing; try `{remedy}`");
    assert!(std::env::var_os("CI").is_none(), "{message}");
    println!("skipped: {message}");
}

/// A program in the background; dropping it kills it.
pub(crate) struct Peer {
    name: String,
    child: Child,
    out: Arc<Mutex<Vec<u8>>>,
    readers: Vec<thread::JoinHandle<()>>,
}

impl Peer {
    pub(crate) fn start(command: &mut Command) -> Self {
        let name = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let out = Arc::new(Mutex::new(Vec::new()));
        let pipes: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().expect("piped")), Box::new(child.stderr.take().expect("piped"))];
        let keep = |mut pipe: Box<dyn Read + Send>| {
            let out = out.clone();
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                    out.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
                }
            })
        };
        let readers = pipes.map(keep).into();
        Self { name, child, out, readers }
    }

    /// What it wrote so far, both outputs as they came.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&self.out.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Writes a line to its standard input.
    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().expect("piped"), "{line}").unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("is a process"), signal).unwrap();
    }

    /// Waits until something is so; it must not end before.
    pub(crate) fn until(&mut self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            // What it wrote at last may have come since.
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() || self.ended_well(&mut is_so), "{} ended before {what}", self.name);
            assert!(Instant::now() < deadline, "waited in vain for {what}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn ended_well(&mut self, is_so: &mut impl FnMut(&Self) -> bool) -> bool {
        self.read_all();
        is_so(self)
    }

    /// Waits for a text in the output and gives what stands behind it, up to the end of its line.
    pub(crate) fn line_after(&mut self, text: &str) -> String {
        let mut found = String::new();
        self.until(&format!("`{text}` in the output"), |peer| {
            let output = peer.output();
            let line = output.split_once(text).and_then(|(_, rest)| rest.split_once('\n'));
            line.inspect(|(line, _)| (*line).clone_into(&mut found)).is_some()
        });
        found
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self, patience: Duration) -> ExitStatus {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.read_all();
                return status;
            }
            assert!(Instant::now() < deadline, "{} does not end", self.name);
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for its end, which must be a good one, and gives all that it wrote.
    pub(crate) fn finish(self) -> String {
        self.finish_within(PATIENCE)
    }

    /// The same with a deadline of its own.
    pub(crate) fn finish_within(mut self, patience: Duration) -> String {
        let status = self.wait(patience);
        assert!(status.success(), "{}: {status}", self.name);
        self.output()
    }

    fn read_all(&mut self) {
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("output of {} (process {}):\n{}", self.name, self.child.id(), self.output());
        }
    }
}

/// Waits until something is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Bytes without a pattern that compression or a repeated block could hide behind; the same for each run.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}
