//! Addresses: where to listen, and where an endpoint is.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde_json::json;

use super::ValueError;
use crate::decode::{Context, Decode};
use crate::document::{Node, Value};
use crate::schema::Schema;

/// Bytes that the path of a Unix socket may have: `sun_path` of Linux without its final NUL.
const MAX_UNIX_PATH: usize = 107;
/// Bytes that a host name may have (RFC 1035, section 2.3.4).
const MAX_NAME: usize = 253;

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum BindAddress {
    /// `:80`: this port on all addresses, IPv4 and IPv6.
    Any(u16),
    /// An address and a port.
    Socket(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// Where an endpoint is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EndpointAddress {
    /// An address and a port.
    Socket(SocketAddr),
    /// A name to resolve, in lower case, and a port.
    Name {
        /// The name.
        host: String,
        /// The port.
        port: u16,
    },
    /// A service whose SRV records (RFC 2782) name hosts and ports.
    Service {
        /// The name of the records, in lower case.
        name: String,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// What stands behind `srv:`, unless it is the port of a host of that name.
fn behind_srv(text: &str) -> Option<&str> {
    text.strip_prefix("srv:").filter(|rest| !is_port(rest))
}

fn service(text: &str) -> Result<EndpointAddress, ValueError> {
    let name = text.trim_start_matches("//").trim_end_matches('/');
    if is_host_name(name) && name == text {
        return Ok(EndpointAddress::Service { name: name.to_ascii_lowercase() });
    }
    let error = ValueError::new(format!("`{text}` is not the name of SRV records"));
    let help = match name.split_once([':', '/']) {
        Some((name, _)) if is_host_name(name) => format!("the records have the port: write `srv:{name}`"),
        _ if is_host_name(name) => format!("write `srv:{name}`"),
        _ => "write it like `srv:_web._tcp.app.internal`".to_owned(),
    };
    Err(error.help(help))
}

fn unix(path: &str) -> Result<PathBuf, ValueError> {
    if !path.starts_with('/') {
        return Err(ValueError::new(format!("`unix:{path}` is not an absolute path"))
            .help("write `unix:/run/name.sock`"));
    }
    if path.len() > MAX_UNIX_PATH {
        return Err(ValueError::new(format!(
            "the path of a Unix socket is at most {MAX_UNIX_PATH} bytes long"
        )));
    }
    if path.contains('\0') {
        return Err(ValueError::new("the path of a Unix socket holds a NUL"));
    }
    Ok(path.into())
}

/// An IPv6 address that is followed by a port but not in brackets, as it should be written.
fn bracketed(text: &str) -> Option<String> {
    let (address, port) = text.rsplit_once(':')?;
    let inside = address.contains(':') && address.parse::<IpAddr>().is_ok() && is_port(port);
    inside.then(|| format!("[{address}]:{port}"))
}

impl BindAddress {
    /// Whether both cannot be bound at once. `only` says of each whether an IPv6 socket refuses IPv4.
    pub fn overlaps(&self, other: &Self, only: (bool, bool)) -> bool {
        match (self, other) {
            (Self::Unix(one), Self::Unix(two)) => one == two,
            (Self::Unix(_), _) | (_, Self::Unix(_)) => false,
            _ if self.port() == Some(0) || self.port() != other.port() => false,
            _ => {
                let (one, two) = (self.families(only.0), other.families(only.1));
                (one.0 && two.0 || one.1 && two.1)
                    && (self.ip() == other.ip() || self.is_all() && other.is_all())
            }
        }
    }

    /// The port, if there is one.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Any(port) => Some(*port),
            Self::Socket(address) => Some(address.port()),
            Self::Unix(_) => None,
        }
    }

    fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Socket(address) => Some(address.ip()),
            _ => None,
        }
    }

    /// Whether it takes every address of its families.
    fn is_all(&self) -> bool {
        self.ip().is_none_or(|address| address.is_unspecified())
    }

    /// Whether it takes IPv4, and whether IPv6.
    fn families(&self, only_ipv6: bool) -> (bool, bool) {
        match self.ip() {
            None => (true, true),
            Some(IpAddr::V4(_)) => (true, false),
            Some(IpAddr::V6(address)) => (address.is_unspecified() && !only_ipv6, true),
        }
    }
}

impl std::str::FromStr for BindAddress {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return unix(path).map(Self::Unix);
        }
        if let Some(port) = text.strip_prefix(':').filter(|port| is_port(port)) {
            return port.parse().map(Self::Any).map_err(|_| ValueError::new("not a port"));
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Socket(address));
        }
        let plain = text.split_once("://").map(|(scheme, rest)| (scheme, rest.trim_end_matches('/')));
        let help = if let Some((scheme, rest)) = plain {
            let rest = if rest.contains(':') { rest.to_owned() } else { format!("{rest}:80") };
            format!("leave out `{scheme}://`: `{rest}`")
        } else if is_port(text) {
            format!("write `:{text}` for all addresses or `127.0.0.1:{text}` for this machine only")
        } else if let Some(repair) = bracketed(text) {
            format!("write `{repair}`")
        } else if let Ok(address) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
            format!("add a port: `{}`", SocketAddr::new(address, 80))
        } else if let Some((host, port)) = text.rsplit_once(':').filter(|(_, port)| is_port(port)) {
            if host == "*" { format!("write `:{port}`") } else { listen_help(host, port) }
        } else {
            "write it like `:80`, `192.0.2.1:80`, `[::1]:80` or `unix:/run/usher.sock`".to_owned()
        };
        Err(ValueError::new(format!("`{text}` is not an address to listen on")).help(help))
    }
}

fn listen_help(host: &str, port: &str) -> String {
    match host {
        "localhost" => {
            format!("names are not resolved here: write `[\"127.0.0.1:{port}\", \"[::1]:{port}\"]`")
        }
        _ => format!("names are not resolved here: write an IP address, or `:{port}` for all of them"),
    }
}

impl std::fmt::Display for BindAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Any(port) => write!(f, ":{port}"),
            Self::Socket(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// How an endpoint is spoken to, as its address says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Nothing is said, or `http://`.
    #[default]
    Http,
    /// `https://`: TLS.
    Https,
    /// `h2c://`: HTTP/2 without TLS.
    H2c,
}

/// An endpoint as it is written: where it is, and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EndpointUrl {
    /// How it is spoken to.
    pub scheme: Scheme,
    /// Where it is.
    pub address: EndpointAddress,
}

impl std::str::FromStr for EndpointUrl {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let Some((scheme, rest)) = text.split_once("://").filter(|_| behind_srv(text).is_none()) else {
            return text.parse().map(|address| Self { scheme: Scheme::Http, address });
        };
        let (scheme, port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (Scheme::Http, 80),
            "https" => (Scheme::Https, 443),
            "h2c" => (Scheme::H2c, 80),
            _ => {
                let error = ValueError::new(format!("`{scheme}://` is not a scheme of an endpoint"));
                if let Some(repair) = as_service(scheme, rest) {
                    return Err(error.help(format!("for SRV records, write `{repair}`")));
                }
                return Err(error.help("write `host:port`, `https://host:port` or `h2c://host:port`"));
            }
        };
        let address = match (rest.strip_prefix("unix:"), behind_srv(rest)) {
            (Some(path), _) => EndpointAddress::Unix(unix(path)?),
            (_, Some(name)) => service(name)?,
            _ => host_and_port(without_path(rest)?, Some(port))?,
        };
        Ok(Self { scheme, address })
    }
}

/// What others write for SRV records (`srv://…`, `srv+http://…`, `dns+srv://…`), as it is written here.
fn as_service(scheme: &str, rest: &str) -> Option<String> {
    let scheme = scheme.to_ascii_lowercase();
    let rest = rest.trim_end_matches('/');
    let mut parts = scheme.split('+');
    let is_secure = parts.clone().any(|part| part == "https");
    let is_service = parts.any(|part| part == "srv") && is_host_name(rest);
    is_service.then(|| format!("{}srv:{rest}", if is_secure { "https://" } else { "" }))
}

impl std::fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.scheme {
            Scheme::Http => {}
            Scheme::Https => f.write_str("https://")?,
            Scheme::H2c => f.write_str("h2c://")?,
        }
        write!(f, "{}", self.address)
    }
}

impl std::str::FromStr for EndpointAddress {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match (text.strip_prefix("unix:"), behind_srv(text)) {
            (Some(path), _) => unix(path).map(Self::Unix),
            (_, Some(name)) => service(name),
            _ => host_and_port(text, None),
        }
    }
}

fn without_path(rest: &str) -> Result<&str, ValueError> {
    let host = rest.strip_suffix('/').unwrap_or(rest);
    if host.contains(['/', '?', '#']) {
        let error = ValueError::new("an endpoint is a host and a port, without a path");
        return Err(error.help("change the path of requests by a `rewrite` on the route"));
    }
    Ok(host)
}

fn host_and_port(text: &str, default_port: Option<u16>) -> Result<EndpointAddress, ValueError> {
    let fault = || ValueError::new(format!("`{text}` is not the address of an endpoint"));
    if let Ok(address) = text.parse::<SocketAddr>() {
        return if address.port() == 0 {
            Err(fault().help("a port is 1 to 65535"))
        } else {
            Ok(EndpointAddress::Socket(address))
        };
    }
    if let Some(repair) = bracketed(text) {
        return Err(fault().help(format!("write `{repair}`")));
    }
    let inside = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = inside.parse::<IpAddr>() {
        let example = SocketAddr::new(address, 80);
        return default_port
            .map(|port| EndpointAddress::Socket(SocketAddr::new(address, port)))
            .ok_or_else(|| fault().help(format!("add the port: `{example}`")));
    }
    if is_port(text) {
        return Err(fault().help(format!("write `localhost:{text}`")));
    }
    if text.starts_with('[') {
        return Err(fault().help("an IPv6 address stands in brackets, the port behind them: `[::1]:3000`"));
    }
    let (host, port) = match (text.rsplit_once(':'), default_port) {
        (Some((host, port)), _) if is_port(port) && port.parse() != Ok(0_u16) => (host, port.parse().ok()),
        (None, port) => (text, port),
        _ => return Err(fault().help("after `:` stands a port, 1 to 65535")),
    };
    if !is_host_name(host) {
        return Err(
            fault().help("write it like `10.0.0.1:3000`, `[::1]:3000`, `name:3000` or `unix:/run/app.sock`")
        );
    }
    let no_port = || match host.starts_with('_') {
        true => fault().help(format!("write `srv:{host}` for its SRV records, or add a port")),
        false => fault().help(format!("add the port: `{host}:80`")),
    };
    let port = port.ok_or_else(no_port)?;
    Ok(EndpointAddress::Name { host: host.to_ascii_lowercase(), port })
}

/// Labels of letters, digits, `-` and `_` (service names have it), not all digits in the last one.
fn is_host_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let label = |label: &str| {
        let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        (1..=63).contains(&label.len()) && plain && !label.starts_with('-') && !label.ends_with('-')
    };
    let last_is_number =
        name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    name.len() <= MAX_NAME && name.split('.').all(label) && !last_is_number
}

impl std::fmt::Display for EndpointAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket(address) => write!(f, "{address}"),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
            Self::Service { name } => write!(f, "srv:{name}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Decode for BindAddress {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        if let Value::Integer(port) = &node.value {
            let help = format!(
                "write `\":{port}\"` for all addresses or `\"127.0.0.1:{port}\"` for this machine only"
            );
            cx.error_help(node.span, format!("`{port}` is not an address to listen on"), help);
            return None;
        }
        cx.parse(node, "an address to listen on", str::parse)
    }

    fn schema() -> Schema {
        Schema::text("address to listen on")
            .example(":80")
            .example("[::1]:8080")
            .example("unix:/run/usher.sock")
    }

    fn encode(&self) -> serde_json::Value {
        json!(self.to_string())
    }
}

impl Decode for EndpointUrl {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        if let Value::Integer(port) = &node.value {
            let help = format!("write `\"localhost:{port}\"`");
            cx.error_help(node.span, format!("`{port}` is not the address of an endpoint"), help);
            return None;
        }
        cx.parse(node, "the address of an endpoint", str::parse)
    }

    fn schema() -> Schema {
        Schema::text("address")
            .example("10.0.0.1:3000")
            .example("https://name:3000")
            .example("srv:_web._tcp.app.internal")
            .example("unix:/run/app.sock")
    }

    fn encode(&self) -> serde_json::Value {
        json!(self.to_string())
    }
}
