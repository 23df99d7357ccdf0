//! The harness of the binary: starts `usher run` on reserved ports, reloads, signals and ends it.

mod addresses;
mod binary;
mod builder;
mod output;
#[cfg(test)]
mod tests;

pub use addresses::Addresses;
pub use binary::usher_binary;
pub use builder::Builder;

use crate::{Client, DEFAULT_TIMEOUT, Error, Kind, Result};
use output::Output;
use rustix::process::{Pid, kill_process};
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How often a condition without a notification is looked at.
const POLL: Duration = Duration::from_millis(5);

/// The metric that a finished reload counts up.
const RELOADS_METRIC: &str = "usher_reloads_total";

/// A signal for [`Usher::signal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP: reload.
    Hup,
    /// SIGTERM: drain and end.
    Term,
    /// SIGINT: as Ctrl-C.
    Int,
    /// SIGUSR1: reopen logs.
    Usr1,
    /// SIGKILL: end at once.
    Kill,
}

impl Signal {
    fn number(self) -> rustix::process::Signal {
        match self {
            Self::Hup => rustix::process::Signal::HUP,
            Self::Term => rustix::process::Signal::TERM,
            Self::Int => rustix::process::Signal::INT,
            Self::Usr1 => rustix::process::Signal::USR1,
            Self::Kill => rustix::process::Signal::KILL,
        }
    }
}

/// A running proxy; dropping it kills the process and removes its folder.
pub struct Usher {
    child: Child,
    config: PathBuf,
    addresses: Addresses,
    output: Output,
    folder: TempDir,
}

impl Usher {
    /// Starts `usher run` with this config, in which `$LISTEN`, `$ADMIN` and `$DIR` are replaced, and waits until
    /// it accepts connections.
    pub fn start(config: &str) -> Result<Self> {
        Self::builder().config(config).start()
    }

    /// For more: endpoints, files beside the config, arguments, environment.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The address that `$LISTEN` stands for.
    pub fn listen(&self) -> Result<SocketAddr> {
        self.listener("")
    }

    /// The address that `$LISTEN[name]` stands for.
    pub fn listener(&self, name: &str) -> Result<SocketAddr> {
        let found = self.addresses.listener(name);
        found.ok_or_else(|| Error::usage(format!("the config does not mention `$LISTEN[{name}]`")))
    }

    /// The address that `$ADMIN` stands for.
    pub fn admin(&self) -> Result<SocketAddr> {
        self.addresses.admin().ok_or_else(|| Error::usage("the config does not mention `$ADMIN`"))
    }

    /// The folder that `$DIR` stands for; the config lies in it and it is the working directory.
    pub fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A new connection to `$LISTEN`.
    pub fn client(&self) -> Result<Client> {
        Client::connect(self.listen()?)
    }

    /// Text with the placeholders of this process replaced.
    pub fn substitute(&mut self, text: &str) -> Result<String> {
        self.addresses.substitute(text)
    }

    /// Everything that the process wrote so far, stdout and stderr as they came.
    pub fn output(&self) -> String {
        self.output.text()
    }

    /// Waits until the output holds `text`.
    pub fn wait_for_output(&mut self, text: &str, timeout: Duration) -> Result<()> {
        self.wait_until(&format!("`{text}` in the output"), timeout, |usher| usher.output().contains(text))
    }

    /// The sum of all series of a metric; `None` when the admin listener does not know it.
    pub fn metric(&self, name: &str) -> Result<Option<f64>> {
        let response =
            Client::connect(self.admin()?)?.request("GET", "/metrics", &[("Host", "localhost")], b"")?;
        Ok(sum_of_metric(&response.text(), name))
    }

    /// Writes a new config (placeholders replaced), sends SIGHUP and waits until the process says it has reloaded, or
    /// refused to: by `usher_reloads_total` if the config has `$ADMIN`, else by a log line about a reload.
    pub fn reload(&mut self, config: &str) -> Result<()> {
        let before = self.reloads();
        self.write_config(config)?;
        self.signal(Signal::Hup)?;
        self.wait_until("the end of the reload", DEFAULT_TIMEOUT, |usher| usher.reloads() > before)
    }

    /// Replaces the config file at once (by rename), without a signal.
    pub fn write_config(&mut self, config: &str) -> Result<()> {
        let config = builder::without_shared_ports(&self.config, config);
        let text = self.addresses.substitute(&config)?;
        let fresh = self.config.with_extension("new");
        let written = fs::write(&fresh, text).and_then(|()| fs::rename(&fresh, &self.config));
        written.map_err(|error| Error::io("writing the config", &error))
    }

    /// What counts finished reloads: the metric, or the lines of the log about them.
    fn reloads(&self) -> u64 {
        if self.addresses.admin().is_some() {
            return self.metric(RELOADS_METRIC).ok().flatten().unwrap_or(0.0) as u64;
        }
        let is_about_reload = |line: &&str| {
            let line = line.to_ascii_lowercase();
            line.contains("reloaded") || (line.contains("reload") && line.contains("fail"))
        };
        self.output().lines().filter(is_about_reload).count() as u64
    }

    /// Sends a signal to the process.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| Error::usage("not a process id"))?;
        kill_process(pid, signal.number()).map_err(|error| Error::io("sending a signal", &error.into()))
    }

    /// Waits for the process to end.
    pub fn wait_exit(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(status) = self.exit_status()? {
                self.output.finish();
                return Ok(status);
            }
            if Instant::now() >= deadline {
                return Err(
                    self.failure(Kind::Timeout, &format!("the process did not end within {timeout:?}"))
                );
            }
            sleep(POLL);
        }
    }

    /// Ends the process by SIGKILL and returns all that it wrote.
    pub fn kill(&mut self) -> String {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.output.finish();
        self.output.text()
    }

    fn exit_status(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().map_err(|error| Error::io("waiting for the process", &error))
    }

    /// Waits until every `$LISTEN` and `$ADMIN` accepts connections.
    fn wait_ready(&mut self, timeout: Duration) -> Result<()> {
        for address in self.addresses.reserved() {
            let what = format!("{address} to accept connections");
            self.wait_until(&what, timeout, |_| TcpStream::connect_timeout(&address, POLL * 20).is_ok())?;
        }
        Ok(())
    }

    fn wait_until(
        &mut self,
        what: &str,
        timeout: Duration,
        mut is_so: impl FnMut(&Self) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + timeout;
        loop {
            if is_so(self) {
                return Ok(());
            }
            if let Some(status) = self.exit_status()? {
                self.output.finish();
                return Err(
                    self.failure(Kind::Process, &format!("waiting for {what}: usher ended ({status})"))
                );
            }
            if Instant::now() >= deadline {
                return Err(
                    self.failure(Kind::Timeout, &format!("waiting for {what}: not within {timeout:?}"))
                );
            }
            sleep(POLL);
        }
    }

    fn failure(&self, kind: Kind, what: &str) -> Error {
        Error::new(kind, format!("{what}\noutput of usher:\n{}", self.output.text()))
    }
}

impl Drop for Usher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.output.finish();
        if std::thread::panicking() {
            eprintln!("output of usher (process {}):\n{}", self.child.id(), self.output.text());
        }
    }
}

/// The sum of a metric over its series, in the Prometheus text format.
fn sum_of_metric(text: &str, name: &str) -> Option<f64> {
    let values: Vec<f64> = text
        .lines()
        .filter_map(|line| line.strip_prefix(name))
        .filter(|rest| rest.starts_with(['{', ' ']))
        .filter_map(|rest| rest.rsplit(' ').next()?.parse().ok())
        .collect();
    (!values.is_empty()).then(|| values.iter().sum())
}
