//! `access_log`

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::json;

use crate::decode::{Context, Decode, Spanned};
use crate::diagnostic::Diagnostic;
use crate::document::Node;
use crate::schema::Schema;
use crate::value::{Percent, ValueError};

/// Whether and where requests are logged.
#[derive(Debug, Clone)]
pub enum AccessLog {
    /// Nowhere.
    Off,
    /// Somewhere.
    On(AccessLogTo),
}

/// Where lines go, and what is in them.
#[derive(Debug, Clone)]
pub struct AccessLogTo {
    /// Where to.
    pub target: LogTarget,
    /// What a line looks like.
    pub format: Spanned<LogFormat>,
    /// The share of requests that is logged.
    pub sample: Percent,
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
    }
}

impl AccessLogTo {
    fn everything(target: LogTarget) -> Self {
        Self { target, format: Spanned::nowhere(LogFormat::Json), sample: Percent::ALL }
    }
}

impl Default for AccessLog {
    fn default() -> Self {
        Self::On(AccessLogTo::everything(LogTarget::Stdout))
    }
}

impl Decode for AccessLog {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        match node.as_str() {
            Some("off") => return Some(Self::Off),
            Some("stdout") => return Some(Self::default()),
            Some("") => cx.error_help(node.span, "the path is empty", "write `off` for no log"),
            Some(path) => {
                return Some(Self::On(AccessLogTo::everything(LogTarget::File(cx.resolve(node.span, path)))));
            }
            None if node.as_table().is_some() => return table(node, cx).map(Self::On),
            None => cx.wrong_type(node, "`stdout`, `off`, a path or a table"),
        }
        None
    }

    fn schema() -> Schema {
        let names = [("stdout", "Standard output, as JSON."), ("off", "No access log.")];
        Schema::any_of(vec![Schema::names(&names), Schema::text("path"), AccessLogTable::schema()])
    }

    fn encode(&self) -> serde_json::Value {
        let Self::On(to) = self else { return json!("off") };
        if to.target == LogTarget::Stdout && to.format.value == LogFormat::Json && to.sample == Percent::ALL {
            return json!("stdout");
        }
        let mut table = json!({ "format": to.format.encode(), "sample": to.sample.encode() });
        match &to.target {
            LogTarget::Stdout => {}
            LogTarget::File(path) => table["path"] = path.encode(),
            LogTarget::Syslog(address) => table["syslog"] = address.encode(),
        }
        table
    }
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
        (None, Some(address)) => LogTarget::Syslog(address),
        (None, None) => LogTarget::Stdout,
    };
    Some(AccessLogTo { target, format: table.format, sample: table.sample })
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
