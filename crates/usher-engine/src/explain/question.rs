//! The request that is asked about, as the bytes that a client would send.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use usher_config::value::BindAddress;

use crate::Snapshot;
use crate::snapshot::ListenerSpec;

/// The port that a client without one is given.
const CLIENT_PORT: u16 = 50_000;

/// A request to explain. What is not given is as for a request from this machine to the first listener.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// The name of the listener.
    pub listener: Option<String>,
    /// The address of the client.
    pub client: Option<IpAddr>,
    /// The method.
    pub method: String,
    /// The URL: `http://host/path?query`, `host/path`, or `/path` (with the host among the headers).
    pub url: String,
    /// Further fields: name and value.
    pub headers: Vec<(String, String)>,
}

/// Why a question cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuestionError {
    /// There is no listener of this name; those that there are.
    Listener(String, Vec<String>),
    /// There is no listener at all.
    NoListener,
    /// The URL has no host, or a user.
    Url(&'static str),
    /// A line break in the method, the URL or a header: it would begin another line of the head.
    LineBreak(&'static str),
}

impl fmt::Display for QuestionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listener(name, known) => {
                let list: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
                write!(f, "there is no listener `{name}`; there are {}", list.join(", "))
            }
            Self::NoListener => f.write_str("the config has no listener"),
            Self::Url(why) => f.write_str(why),
            Self::LineBreak(what) => write!(f, "the {what} holds a line break or NUL"),
        }
    }
}

impl std::error::Error for QuestionError {}

impl Question {
    /// A question about a method and a URL.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self { method: method.into(), url: url.into(), ..Self::default() }
    }

    /// The listener that is asked about, with its number.
    pub(super) fn listener(&self, snapshot: &Snapshot) -> Result<(Arc<ListenerSpec>, u32), QuestionError> {
        let listeners = &snapshot.listeners;
        let index = match &self.listener {
            // Of several, the one that the URL's scheme leads to.
            None => {
                let fits = |listener: &Arc<ListenerSpec>| {
                    listener.tcp.is_none()
                        && listener.udp.is_none()
                        && listener.tls.is_some() == self.is_https()
                };
                listeners.iter().position(fits).filter(|_| self.url.contains("://")).unwrap_or(0)
            }
            Some(name) => {
                listeners.iter().position(|listener| *listener.name == **name).ok_or_else(|| {
                    let known = listeners.iter().map(|listener| listener.name.to_string()).collect();
                    QuestionError::Listener(name.clone(), known)
                })?
            }
        };
        let found = listeners.get(index).cloned().ok_or(QuestionError::NoListener)?;
        Ok((found, index as u32))
    }

    /// The client's end of the connection, and ours; none on a Unix socket.
    pub(super) fn ends(&self, listener: &ListenerSpec) -> (Option<SocketAddr>, Option<SocketAddr>) {
        let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let local = match listener.bind.first() {
            Some(BindAddress::Socket(address)) if !address.ip().is_unspecified() => Some(*address),
            Some(BindAddress::Unix(_)) => None,
            other => Some(SocketAddr::new(localhost, other.and_then(BindAddress::port).unwrap_or(0))),
        };
        let peer = self.client.or(local.is_some().then_some(localhost));
        (peer.map(|ip| SocketAddr::new(ip, CLIENT_PORT)), local)
    }

    /// The head as bytes.
    pub(super) fn head(&self) -> Result<Vec<u8>, QuestionError> {
        let breaks = |text: &str| text.contains(['\r', '\n', '\0']);
        for (what, text) in [("method", &self.method), ("URL", &self.url)] {
            if breaks(text) {
                return Err(QuestionError::LineBreak(what));
            }
        }
        if self.headers.iter().any(|(name, value)| breaks(name) || breaks(value)) {
            return Err(QuestionError::LineBreak("header"));
        }
        let (authority, target) = self.split()?;
        let mut head = format!("{} {target} HTTP/1.1\r\n", self.method);
        let own_host = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"));
        if let Some(authority) = authority.filter(|_| !own_host) {
            head.push_str(&format!("Host: {authority}\r\n"));
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        Ok(head.into_bytes())
    }

    /// The authority, if the URL has one, and the target that a client sends.
    fn split(&self) -> Result<(Option<&str>, String), QuestionError> {
        let url = self.url.split_once('#').map_or(self.url.as_str(), |(before, _)| before);
        if url.starts_with('/') || url == "*" {
            return Ok((None, url.to_owned()));
        }
        let scheme = |scheme: &str| {
            let start = url.get(..scheme.len()).filter(|start| start.eq_ignore_ascii_case(scheme));
            start.and_then(|start| url.get(start.len()..))
        };
        let after = scheme("http://").or_else(|| scheme("https://")).unwrap_or(url);
        let (authority, rest) = after.split_at(after.find(['/', '?']).unwrap_or(after.len()));
        if authority.is_empty() {
            return Err(QuestionError::Url("the URL has no host; write it like `http://example.com/path`"));
        }
        if authority.contains('@') {
            return Err(QuestionError::Url(
                "no client sends a user in the URL; write it as an Authorization header",
            ));
        }
        let target = match rest {
            _ if self.method == "CONNECT" => authority.to_owned(),
            "" => "/".to_owned(),
            rest if rest.starts_with('?') => format!("/{rest}"),
            rest => rest.to_owned(),
        };
        Ok((Some(authority), target))
    }

    /// Whether the URL says `https`.
    pub(super) fn is_https(&self) -> bool {
        self.url.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://"))
    }
}
