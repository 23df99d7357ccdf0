//! A started example, and how it is asked.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use usher_testkit::{Client, Response, Usher};

use crate::expect::{Ask, Check, Example};
use crate::fakes::Fake;
use crate::{Outcome, binary, certs, curl, datagrams, folder};

/// The most files that are copied beside a config.
const MAX_FILES: usize = 200;

/// A started example.
pub(crate) struct Running<'e> {
    example: &'e Example,
    usher: Usher,
    _endpoints: Vec<Fake>,
}

impl<'e> Running<'e> {
    pub(crate) fn start(example: &'e Example) -> Outcome<Self> {
        let path = folder().join(example.file);
        let config = String::from_utf8(content(example, &path)?).map_err(|error| error.to_string())?;
        let mut builder = Usher::builder().binary(binary()).config_name(example.file).config(&config);
        let certs = certs::files()?;
        let mut endpoints = Vec::new();
        for (_, named) in &example.endpoints {
            let (name, kind) = named.split_once(' ').unwrap_or((named, ""));
            let fake = Fake::start(name, kind, &certs, binary())?;
            builder = builder.endpoint_address("", &fake.address()?);
            endpoints.push(fake);
        }
        for file in files_below(&folder(), &path)? {
            let name = file.strip_prefix(folder()).unwrap_or(&file).to_string_lossy().into_owned();
            builder = builder.file(&name, content(example, &file)?);
        }
        for (name, text) in &certs {
            builder = builder.file(name, text);
        }
        for (name, value) in &example.environment {
            builder = builder.environment(name, value);
        }
        let usher = builder.start().map_err(|error| error.to_string())?;
        Ok(Self { example, usher, _endpoints: endpoints })
    }

    /// Ends it, and gives what it wrote.
    pub(crate) fn kill(&mut self) -> String {
        self.usher.kill()
    }

    /// Asks as often as the request says, each time on a new connection.
    pub(crate) fn ask(&self, ask: &Ask) -> Outcome {
        if ask.is_udp() {
            let address = self.address(ask)?;
            let answers: Outcome<Vec<String>> =
                (0..ask.times).map(|_| datagrams::ask(address, &ask.content)).collect();
            return ask.check_datagrams(&answers?);
        }
        if let Some(text) = &ask.refused {
            return match curl::ask(ask, self.address(ask)?, self.usher.dir())? {
                Err(said) if said.contains(text) => Ok(()),
                Err(said) => Err(format!("curl does not say `{text}`, but `{said}`")),
                Ok(response) => Err(format!("there was a response: {}", response.line)),
            };
        }
        let responses: Outcome<Vec<Response>> = (0..ask.times).map(|_| self.ask_once(ask)).collect();
        ask.check(&responses?)
    }

    fn ask_once(&self, ask: &Ask) -> Outcome<Response> {
        if ask.needs_curl() {
            return curl::ask(ask, self.address(ask)?, self.usher.dir())?;
        }
        let failed = |error: usher_testkit::Error| error.to_string();
        let mut client = Client::connect(self.address(ask)?).map_err(failed)?;
        if let Some(preface) = &ask.preface {
            client.send(format!("{preface}\r\n")).map_err(failed)?;
        }
        let mut fields = vec![("Host", ask.host.as_str())];
        fields.extend(ask.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let response =
            client.request(&ask.method, &ask.target, &fields, ask.content.as_bytes()).map_err(failed)?;
        for check in &ask.checks {
            let Check::Tunnel(text) = check else { continue };
            client.send(text).map_err(failed)?;
            let back = client.read_exact(text.len()).map_err(failed)?;
            if back != text.as_bytes() {
                return Err(format!("`{}` came back through the tunnel", String::from_utf8_lossy(&back)));
            }
        }
        Ok(response)
    }

    fn address(&self, ask: &Ask) -> Outcome<SocketAddr> {
        let at = match &ask.at {
            Some(address) if self.example.admin.as_ref() == Some(address) => {
                return self.usher.admin().map_err(|error| error.to_string());
            }
            Some(address) => self.example.listeners.iter().position(|listener| listener == address),
            None => Some(0),
        };
        let at = at.ok_or_else(|| format!("`{:?}` is not under `listen`", ask.at))?;
        self.usher.listener(&at.to_string()).map_err(|error| error.to_string())
    }
}

/// A file with addresses replaced by placeholders of the harness.
fn with_placeholders(example: &Example, text: &str) -> String {
    let listeners = example.listeners.iter().enumerate();
    let listeners = listeners.map(|(at, address)| (address, format!("$LISTEN[{at}]")));
    let endpoints = example.endpoints.iter().map(|(address, _)| address).enumerate();
    let endpoints = endpoints.map(|(at, address)| (address, format!("$ENDPOINT[{at}]")));
    let admin = example.admin.iter().map(|address| (address, "$ADMIN".to_owned()));
    listeners.chain(endpoints).chain(admin).fold(text.to_owned(), |text, (address, placeholder)| {
        let text = text.replace(&format!("\"{address}\""), &format!("\"{placeholder}\""));
        text.replace(&format!("://{address}\""), &format!("://{placeholder}\""))
    })
}

fn content(example: &Example, path: &Path) -> Outcome<Vec<u8>> {
    let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(match String::from_utf8(bytes) {
        Ok(text) => with_placeholders(example, &text).into_bytes(),
        Err(error) => error.into_bytes(),
    })
}

/// All files of a folder but `without`.
fn files_below(folder: &Path, without: &Path) -> Outcome<Vec<PathBuf>> {
    let (mut folders, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))? {
            let path = entry.map_err(|error| error.to_string())?.path();
            match path.is_dir() {
                true => folders.push(path),
                false if path != without => files.push(path),
                false => {}
            }
        }
        if files.len() > MAX_FILES {
            return Err(format!("examples/ holds more than {MAX_FILES} files"));
        }
    }
    Ok(files)
}
