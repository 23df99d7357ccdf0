//! What an access log is set to do, from its section of the config.

use std::fmt;
use std::io;
use std::path::PathBuf;

use usher_config::config::{AccessLogTo, LogFormat, LogTarget, SyslogAddress};
use usher_config::{Context, Percent};

use super::template::{LineTemplate, LineVariable};

/// "local use 7" (RFC 5424, table 1): what web servers use.
const FACILITY: u8 = 23;

/// What access logs are set to do. Two that are equal may share the open logs, as across a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLogOptions {
    /// One for each place that lines go to.
    pub logs: Vec<LogOptions>,
}

/// What is logged in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// Where lines go.
    pub destination: Destination,
    /// What a line looks like.
    pub format: LineFormat,
    /// The share of requests that is logged. Errors of the proxy's own making are always logged.
    pub sample: Percent,
    /// Whether the queries of targets and referrers are logged.
    pub query: bool,
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Standard output.
    Stdout,
    /// A file, appended to. Its folder must exist.
    File(PathBuf),
    /// A syslog daemon.
    Syslog {
        /// Where it listens.
        address: SyslogAddress,
        /// The facility (RFC 5424, table 1), 0 to 23.
        facility: u8,
        /// The name under which messages are sent.
        tag: String,
    },
}

/// What a line looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineFormat {
    /// A JSON object.
    Json,
    /// The "combined" format of Apache and nginx.
    Combined,
    /// A text with variables.
    Template(LineTemplate),
}

impl AccessLogOptions {
    /// The options that a section of the config sets; templates with mistakes are reported.
    pub fn from_config(config: &[AccessLogTo], context: &mut Context<'_>) -> Option<Self> {
        let logs: Vec<_> = config.iter().map(|one| LogOptions::from_config(one, context)).collect();
        logs.into_iter().collect::<Option<_>>().map(|logs| Self { logs })
    }
}

impl LogOptions {
    fn from_config(config: &AccessLogTo, context: &mut Context<'_>) -> Option<Self> {
        let format = match &config.format.value {
            LogFormat::Json => LineFormat::Json,
            LogFormat::Combined => LineFormat::Combined,
            LogFormat::Template(text) => match LineTemplate::parse(text) {
                Ok(template) => LineFormat::Template(template),
                Err(error) => {
                    let (message, help) = error.told::<LineVariable>();
                    let whole = config.format.span;
                    let place = error.place(text).map(|part| context.sources().part(whole, text, part));
                    context.error_help(place.unwrap_or(whole), message, help);
                    return None;
                }
            },
        };
        let destination = match &config.target {
            LogTarget::Stdout => Destination::Stdout,
            LogTarget::File(path) => Destination::File(path.clone()),
            LogTarget::Syslog(address) => {
                Destination::Syslog { address: address.clone(), facility: FACILITY, tag: "usher".to_owned() }
            }
        };
        Some(Self { destination, format, sample: config.sample, query: config.query })
    }
}

/// Why an access log cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// The file cannot be opened or made.
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// Standard output cannot be used.
    Stdout(io::Error),
    /// No thread can be started.
    Thread(io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, cause } => {
                write!(f, "the access log `{}` cannot be opened: {cause}", path.display())?;
                match cause.kind() {
                    io::ErrorKind::NotFound => write!(f, "; make its folder first"),
                    io::ErrorKind::PermissionDenied => write!(f, "; let this user write there"),
                    _ => Ok(()),
                }
            }
            Self::Stdout(cause) => write!(f, "the access log cannot be written to standard output: {cause}"),
            Self::Thread(cause) => write!(f, "the access log's thread cannot be started: {cause}"),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File { cause, .. } | Self::Stdout(cause) | Self::Thread(cause) => Some(cause),
        }
    }
}
