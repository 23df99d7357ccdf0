//! The placeholders of configs and scenarios: `$LISTEN`, `$PORT`, `$ADMIN`, `$ENDPOINT`, `$DIR`.

use crate::{Error, Port, Result};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What placeholders stand for. Ports are reserved when a placeholder is first met, and kept.
#[derive(Debug, Default)]
pub struct Addresses {
    listeners: BTreeMap<String, Port>,
    fixed_listeners: BTreeMap<String, String>,
    admin: Option<Port>,
    endpoints: Vec<(String, String)>,
    dir: PathBuf,
}

impl Addresses {
    /// Makes an endpoint known by its number, and by its name unless that is empty.
    pub fn add_endpoint(&mut self, name: &str, address: &str) {
        self.endpoints.push((name.to_owned(), address.to_owned()));
    }

    /// Lets `$LISTEN` stand for an address that is served already: for scenarios without a proxy.
    pub(crate) fn set_listener(&mut self, address: &str) {
        self.fixed_listeners.insert(String::new(), address.to_owned());
    }

    pub(crate) fn set_dir(&mut self, dir: &Path) {
        self.dir = dir.to_path_buf();
    }

    /// The address of `$LISTEN[name]`, if it was ever met; `$LISTEN` has the empty name.
    pub fn listener(&self, name: &str) -> Option<SocketAddr> {
        self.listeners.get(name).map(Port::address)
    }

    /// The address of `$ADMIN`, if it was ever met.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(Port::address)
    }

    /// Every address that the proxy is meant to listen on.
    pub(crate) fn reserved(&self) -> Vec<SocketAddr> {
        self.listeners.values().chain(&self.admin).map(Port::address).collect()
    }

    /// Replaces every placeholder; any other `$` stays as it is.
    pub fn substitute(&mut self, text: &str) -> Result<String> {
        let mut parts = text.split('$');
        let mut result = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let (name, rest) = part.split_at(part.find(|c| !is_name(c)).unwrap_or(part.len()));
            let indexed = rest.strip_prefix('[').and_then(|inside| inside.split_once(']'));
            let (index, after) = indexed.map_or(("", rest), |(index, after)| (index, after));
            match self.value(name, index)? {
                Some(value) => result.extend([value.as_str(), after]),
                None => result.extend(["$", part]),
            }
        }
        Ok(result)
    }

    fn value(&mut self, name: &str, index: &str) -> Result<Option<String>> {
        Ok(Some(match name {
            "LISTEN" => match self.fixed_listeners.get(index) {
                Some(address) => address.clone(),
                None => self.reserve(index)?.to_string(),
            },
            "PORT" => self.reserve(index)?.port().to_string(),
            "ADMIN" => {
                let port = match self.admin.take() {
                    Some(port) => port,
                    None => Port::reserve()?,
                };
                self.admin.insert(port).address().to_string()
            }
            "ENDPOINT" => self.endpoint(index)?.to_owned(),
            "DIR" => self.dir.display().to_string(),
            _ => return Ok(None),
        }))
    }

    fn reserve(&mut self, name: &str) -> Result<SocketAddr> {
        if !self.listeners.contains_key(name) {
            self.listeners.insert(name.to_owned(), Port::reserve()?);
        }
        self.listener(name).ok_or_else(|| Error::usage("a listener vanished"))
    }

    fn endpoint(&self, index: &str) -> Result<&str> {
        let found = match (index, index.parse::<usize>()) {
            ("", _) => self.endpoints.first(),
            (_, Ok(number)) => self.endpoints.get(number),
            (name, Err(_)) => self.endpoints.iter().find(|(known, _)| known == name),
        };
        let (_, address) =
            found.ok_or_else(|| Error::usage(format!("`$ENDPOINT[{index}]`: no such endpoint")))?;
        Ok(address)
    }
}
