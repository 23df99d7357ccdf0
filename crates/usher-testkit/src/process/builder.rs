//! What a proxy under test is started with.

use super::{Addresses, Output, Usher, usher_binary};
use crate::{Endpoint, Error, Result};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long a start may take: generous, as all tests of the workspace may run at once.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// Collects what [`Usher`] is started with.
#[derive(Default)]
pub struct Builder {
    config: String,
    config_name: Option<String>,
    files: Vec<(String, Vec<u8>)>,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    addresses: Addresses,
    binary: Option<PathBuf>,
}

impl Builder {
    /// The config; `$LISTEN`, `$LISTEN[name]`, `$PORT`, `$PORT[name]`, `$ADMIN`, `$ENDPOINT`, `$ENDPOINT[name or
    /// number]` and `$DIR` are replaced. A TOML config that says nothing of `admin` gets `admin = "off"`.
    pub fn config(mut self, text: &str) -> Self {
        text.clone_into(&mut self.config);
        self
    }

    /// The name of the config file, `usher.toml` unless said; its ending tells the format.
    pub fn config_name(mut self, name: &str) -> Self {
        self.config_name = Some(name.to_owned());
        self
    }

    /// Makes the endpoint's address known as `$ENDPOINT[N]`; the first one also as `$ENDPOINT`.
    pub fn endpoint(self, endpoint: &Endpoint) -> Self {
        self.endpoint_address("", endpoint.address())
    }

    /// As [`Builder::endpoint`], and as `$ENDPOINT[name]`.
    pub fn endpoint_named(self, name: &str, endpoint: &Endpoint) -> Self {
        self.endpoint_address(name, endpoint.address())
    }

    /// As [`Builder::endpoint_named`] for an address that no [`Endpoint`] serves.
    pub fn endpoint_address(mut self, name: &str, address: &str) -> Self {
        self.addresses.add_endpoint(name, address);
        self
    }

    /// Writes a file beside the config; placeholders in it are replaced if it is text.
    pub fn file(mut self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.files.push((name.to_owned(), content.as_ref().to_vec()));
        self
    }

    /// Adds an argument after `run --config FILE`.
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets an environment variable of the process.
    pub fn environment(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Runs another binary than [`usher_binary`] finds.
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Self {
        self.binary = Some(path.into());
        self
    }

    pub(crate) fn addresses(mut self, addresses: Addresses) -> Self {
        self.addresses = addresses;
        self
    }

    /// Starts the process and waits until each reserved listener accepts connections.
    pub fn start(self) -> Result<Usher> {
        let binary = match &self.binary {
            Some(path) => path.clone(),
            None => usher_binary()?,
        };
        self.start_binary(&binary)
    }

    fn start_binary(mut self, binary: &Path) -> Result<Usher> {
        let failed = |doing: &str, error: &std::io::Error| Error::io(doing, error);
        let folder = tempfile::Builder::new().prefix("usher-test-").tempdir();
        let folder = folder.map_err(|error| failed("making a folder", &error))?;
        self.addresses.set_dir(folder.path());
        for (name, content) in &self.files {
            let content = match std::str::from_utf8(content) {
                Ok(text) => self.addresses.substitute(text)?.into_bytes(),
                Err(_) => content.clone(),
            };
            let path = folder.path().join(name);
            let made = path.parent().map_or(Ok(()), fs::create_dir_all);
            made.and_then(|()| fs::write(path, content)).map_err(|error| failed("writing a file", &error))?;
        }
        let config = folder.path().join(self.config_name.as_deref().unwrap_or("usher.toml"));
        let text = self.addresses.substitute(&without_shared_ports(&config, &self.config))?;
        fs::write(&config, text).map_err(|error| failed("writing the config", &error))?;
        let mut command = Command::new(binary);
        command.arg("run").arg("--config").arg(&config).args(&self.arguments).envs(self.environment);
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let spawned = command.spawn();
        let mut child =
            spawned.map_err(|error| failed(&format!("starting `{}`", binary.display()), &error))?;
        let output = Output::capture(&mut child);
        let mut usher = Usher { child, config, addresses: self.addresses, output, folder };
        usher.wait_ready(START_TIMEOUT)?;
        Ok(usher)
    }
}

/// A TOML config that says nothing of `admin` gets `admin = "off"`: the default is one port for all processes.
pub(super) fn without_shared_ports(path: &Path, config: &str) -> String {
    let says_admin = |line: &str| line.starts_with("admin") || line.starts_with("[admin]");
    match path.extension().is_some_and(|ending| ending == "toml") && !config.lines().any(says_admin) {
        true => format!("admin = \"off\"\n{config}"),
        false => config.to_owned(),
    }
}
