//! Runs the binary: to its end, or in the background.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use usher_testkit::{Builder, Client, Signal, Usher};

/// How long any wait may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// `USHER_BIN`, or the binary that cargo has built for these tests.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("USHER_BIN").map_or_else(|| env!("CARGO_BIN_EXE_usher").into(), PathBuf::from)
}

/// A proxy that is to be started with this config.
pub(crate) fn usher(config: &str) -> Builder {
    Usher::builder().binary(binary()).config(config)
}

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs a command to its end, in `dir`.
pub(crate) fn run(dir: &Path, arguments: &[&str]) -> Done {
    run_with_input(dir, arguments, "")
}

/// The same with a text on its standard input.
pub(crate) fn run_with_input(dir: &Path, arguments: &[&str], input: &str) -> Done {
    let mut child = command(dir, arguments).stdin(Stdio::piped()).spawn().expect("starts");
    // A command that reads no input may be gone before it is written.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Done { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).current_dir(dir).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A command in the background; dropping it kills it.
pub(crate) struct Running {
    child: Child,
    output: Arc<Mutex<String>>,
}

impl Running {
    pub(crate) fn start(dir: &Path, arguments: &[&str]) -> Self {
        let mut child = command(dir, arguments).stdin(Stdio::null()).spawn().expect("starts");
        let output = Arc::new(Mutex::new(String::new()));
        let pipes: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().expect("piped")), Box::new(child.stderr.take().expect("piped"))];
        for mut pipe in pipes {
            let output = output.clone();
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                    output.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..count]));
                }
            });
        }
        Self { child, output }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// Waits for a text in the output and gives what stands behind it, up to the next blank.
    pub(crate) fn word_after(&mut self, text: &str) -> String {
        let mut found = String::new();
        until(&format!("`{text}` in the output"), || {
            let output = self.output();
            let Some((_, rest)) = output.split_once(text) else { return false };
            let Some(end) = rest.find(char::is_whitespace) else { return false };
            found = rest[..end].to_owned();
            true
        });
        found
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("output of usher:\n{}", self.output());
        }
    }
}

/// Waits until something is so.
pub(crate) fn until(what: &str, is_so: impl FnMut() -> bool) {
    until_within(PATIENCE, what, is_so);
}

/// Waits for so long at most until something is so.
pub(crate) fn until_within(patience: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The status of a GET on a new connection.
pub(crate) fn status(address: impl ToString, target: &str) -> u16 {
    Client::connect(address).unwrap().get(target).unwrap().status
}

/// Puts a config in place of the present one, sends SIGHUP, and waits until the process says what became of it.
pub(crate) fn reload(usher: &mut Usher, config: &str) {
    let done = |usher: &Usher| {
        let output = usher.output();
        output.matches(" reloaded ").count() + output.matches(" reload of ").count()
    };
    let before = done(usher);
    usher.write_config(config).unwrap();
    usher.signal(Signal::Hup).unwrap();
    until("the end of the reload", || done(usher) > before);
}

/// Sockets of UDP that are open at a port of 127.0.0.1, in whichever process.
pub(crate) fn udp_sockets(address: SocketAddr) -> usize {
    let local = format!("0100007F:{:04X}", address.port());
    let all = std::fs::read_to_string("/proc/net/udp").unwrap();
    all.lines().filter(|line| line.split_whitespace().nth(1) == Some(&local)).count()
}
