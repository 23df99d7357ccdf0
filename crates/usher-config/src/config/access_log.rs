//! `access_log`

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::json;

use crate::decode::{Context, Decode, Spanned};
use crate::diagnostic::Diagnostic;
use crate::document::{Node, Value};
use crate::schema::{Kind, Schema};
use crate::value::{Percent, ValueError};

/// Whether and where requests are logged.
#[derive(Debug, Clone)]
pub enum AccessLog {
    /// Nowhere.
    Off,
    /// To these places, at least one.
    On(Vec<AccessLogTo>),
}

/// Whether the requests of a listener or a route are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteLog {
    /// Wherever `access_log` says at the top level.
    On,
    /// Nowhere.
    Off,
}

/// The most places that lines may go to: each has a thread of its own.
const MAX_TARGETS: usize = 8;

/// Where lines go, and what is in them.
#[derive(Debug, Clone)]
pub struct AccessLogTo {
    /// Where to.
    pub target: LogTarget,
    /// What a line looks like.
    pub format: Spanned<LogFormat>,
    /// The share of requests that is logged.
    pub sample: Percent,
    /// Whether queries are logged.
    pub query: bool,
}

/// Where lines of a log go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard output.
    Stdout,
    /// A file, opened again on `SIGUSR1`.
    File(PathBuf),
    /// A syslog daemon.
    Syslog(SyslogAddress),
}

/// Where a syslog daemon listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyslogAddress {
    /// A Unix datagram socket.
    Unix(PathBuf),
    /// UDP.
    Udp(SocketAddr),
}

/// What a line of the access log looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object.
    Json,
    /// The "combined" format of NCSA and Apache.
    Combined,
    /// A text with `{variables}`.
    Template(String),
}

crate::section! {
    /// Where the access log goes and what is in it. Without `path` and `syslog`, it goes to standard output.
    struct AccessLogTable {
        /// A file. It is opened again on `SIGUSR1`, so that it can be rotated.
        pub path: Option<PathBuf>,
        /// A syslog daemon: `local` (the socket `/dev/log`), `unix:/path`, or `udp:192.0.2.1:514`.
        pub syslog: Option<SyslogAddress>,
        /// What a line looks like: `json`, `combined`, or a text with `{variables}`.
        pub format: Spanned<LogFormat> = Spanned::nowhere(LogFormat::Json),
        /// The share of requests that is logged. Responses that the proxy itself made because of an error are always
        /// logged.
        pub sample: Percent = Percent::ALL,
        /// Whether the queries of targets and referrers are logged: what stands behind `?` may be secret. Variables of
        /// a text that name a query have it in any case.
        pub query: bool = true,
    }
}

impl AccessLogTo {
    fn everything(target: LogTarget) -> Self {
        Self { target, format: Spanned::nowhere(LogFormat::Json), sample: Percent::ALL, query: true }
    }

    fn is_plain(&self) -> bool {
        self.format.value == LogFormat::Json && self.sample == Percent::ALL && self.query
    }

    fn encode(&self) -> serde_json::Value {
        if self.target == LogTarget::Stdout && self.is_plain() {
            return json!("stdout");
        }
        let mut table = json!({
            "format": self.format.encode(), "sample": self.sample.encode(), "query": self.query,
        });
        match &self.target {
            LogTarget::Stdout => {}
            LogTarget::File(path) => table["path"] = path.encode(),
            LogTarget::Syslog(address) => table["syslog"] = address.encode(),
        }
        table
    }
}

impl RouteLog {
    /// Whether requests are logged.
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}

impl Default for AccessLog {
    fn default() -> Self {
        Self::On(vec![AccessLogTo::everything(LogTarget::Stdout)])
    }
}

impl Decode for AccessLog {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        match (node.as_str(), &node.value) {
            (Some("off"), _) => Some(Self::Off),
            (_, Value::List(nodes)) => several(node, nodes, cx).map(Self::On),
            _ => target(node, cx).map(|to| Self::On(vec![to])),
        }
    }

    fn schema() -> Schema {
        let off = Schema::names(&[("off", "No access log.")]);
        let stdout = Schema::names(&[("stdout", "Standard output, as JSON.")]);
        let one = Schema::any_of(vec![stdout, Schema::text("path"), AccessLogTable::schema()]);
        Schema::any_of(vec![off, Schema::of(Kind::OneOrMany(Box::new(one)))])
    }

    fn encode(&self) -> serde_json::Value {
        match self {
            Self::Off => json!("off"),
            Self::On(targets) => match targets.as_slice() {
                [one] => one.encode(),
                many => many.iter().map(AccessLogTo::encode).collect(),
            },
        }
    }
}

impl Decode for RouteLog {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        match node.as_str() {
            Some("on") => Some(Self::On),
            Some("off") => Some(Self::Off),
            _ => {
                let help = "write `on` or `off`; where lines go is said by the top-level key `access_log`";
                cx.error_help(node.span, "this says whether requests are logged, not where", help);
                None
            }
        }
    }

    fn schema() -> Schema {
        let on = ("on", "Requests are logged, as the top-level key `access_log` says.");
        Schema::names(&[on, ("off", "Requests are not logged.")])
    }

    fn encode(&self) -> serde_json::Value {
        json!(if self.is_on() { "on" } else { "off" })
    }
}

/// Several places. What is wrong with each is told; each place may be named once.
fn several(node: &Node, nodes: &[Node], cx: &mut Context<'_>) -> Option<Vec<AccessLogTo>> {
    if nodes.is_empty() || nodes.len() > MAX_TARGETS {
        let error = format!("the access log goes to {} places", nodes.len());
        cx.error_help(node.span, error, format!("name 1 to {MAX_TARGETS}, or write `off`"));
        return None;
    }
    let mut targets: Vec<AccessLogTo> = Vec::new();
    for node in nodes {
        let Some(to) = target(node, cx) else { continue };
        if targets.iter().any(|other| other.target == to.target) {
            cx.error_help(node.span, "the access log goes there twice", "name each place once");
        }
        targets.push(to);
    }
    (targets.len() == nodes.len()).then_some(targets)
}

/// One place.
fn target(node: &Node, cx: &mut Context<'_>) -> Option<AccessLogTo> {
    match node.as_str() {
        Some("off") => cx.error_help(node.span, "`off` is no place for a log", "write it alone"),
        Some("stdout") => return Some(AccessLogTo::everything(LogTarget::Stdout)),
        Some("") => cx.error_help(node.span, "the path is empty", "write `off` for no log"),
        Some(path) => return Some(AccessLogTo::everything(LogTarget::File(cx.resolve(node.span, path)))),
        None if node.as_table().is_some() => return table(node, cx),
        None => cx.wrong_type(node, "`stdout`, `off`, a path, a table, or a list of these"),
    }
    None
}

fn table(node: &Node, cx: &mut Context<'_>) -> Option<AccessLogTo> {
    let table = AccessLogTable::decode(node, cx)?;
    let target = match (table.path, table.syslog) {
        (Some(_), Some(_)) => {
            let span = |key| node.get(key).map_or(node.span, |value| value.span);
            let error =
                Diagnostic::error("the access log goes to one place").at(span("syslog"), "here to syslog");
            cx.push(error.at(span("path"), "and here to a file").help("keep one of the two"));
            return None;
        }
        (Some(path), None) => LogTarget::File(path),
        (None, Some(address)) => {
            warn_of_silence(node, &address, cx);
            LogTarget::Syslog(address)
        }
        (None, None) => LogTarget::Stdout,
    };
    Some(AccessLogTo { target, format: table.format, sample: table.sample, query: table.query })
}

/// Says that nobody listens at a local socket. That is no error: the daemon may start later.
fn warn_of_silence(node: &Node, address: &SyslogAddress, cx: &mut Context<'_>) {
    let SyslogAddress::Unix(path) = address else { return };
    if path.exists() {
        return;
    }
    let span = node.get("syslog").map_or(node.span, |value| value.span);
    let warning = Diagnostic::warning(format!("there is no syslog daemon at `{}`", path.display()));
    cx.push(warning.at(span, "").help("lines are lost until one listens there"));
}

impl Decode for SyslogAddress {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        cx.parse(node, "the address of a syslog daemon", |text| {
            let path = match text {
                "local" => Some("/dev/log"),
                _ => text.strip_prefix("unix:").filter(|path| path.starts_with('/')),
            };
            let udp = text.strip_prefix("udp:").and_then(|address| address.parse().ok());
            path.map(|path| Self::Unix(path.into())).or(udp.map(Self::Udp)).ok_or_else(|| {
                let error = ValueError::new(format!("`{text}` is not the address of a syslog daemon"));
                error.help("write `local`, `unix:/dev/log` or `udp:192.0.2.1:514`")
            })
        })
    }

    fn schema() -> Schema {
        Schema::text("address of a syslog daemon").example("local").example("udp:192.0.2.1:514")
    }

    fn encode(&self) -> serde_json::Value {
        match self {
            Self::Unix(path) => json!(format!("unix:{}", path.display())),
            Self::Udp(address) => json!(format!("udp:{address}")),
        }
    }
}

impl Decode for LogFormat {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        cx.parse(node, "the format of a line", |text| match text {
            "json" => Ok(Self::Json),
            "combined" => Ok(Self::Combined),
            template if template.contains('{') => Ok(Self::Template(template.to_owned())),
            _ => {
                let near = crate::suggest::closest(text, ["json", "combined"]);
                let help = near
                    .map_or("write `json`, `combined`, or a text with `{variables}`".to_owned(), |near| {
                        format!("did you mean `{near}`?")
                    });
                Err(ValueError::new(format!("`{text}` is not a format")).help(help))
            }
        })
    }

    fn schema() -> Schema {
        let names = [
            ("json", "One JSON object per line."),
            ("combined", "The \"combined\" format that nginx and Apache write."),
        ];
        Schema::any_of(vec![Schema::names(&names), Schema::text("template").example("{client.ip} {status}")])
    }

    fn encode(&self) -> serde_json::Value {
        match self {
            Self::Json => json!("json"),
            Self::Combined => json!("combined"),
            Self::Template(text) => json!(text),
        }
    }
}
