//! A line from a text with variables, such as `{client.ip} {request.method} {status} {total_ms}`.

use std::fmt;

use usher_api::{RecordView, Template, TemplateError};

use super::Scratch;
use super::combined::push_request_line;
use super::text::{push_escaped, push_millis, push_number};

/// A parsed text. Knows the variables of [`Template`] and those of a finished request; the latter win.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineTemplate {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Record(Variable),
    /// A template of one variable.
    Exchange(Template),
}

/// Defines the variables of a finished request.
macro_rules! variables {
    ($($variable:ident = $name:literal,)*) => {
        /// A variable of a finished request.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Variable { $($variable,)* }

        impl Variable {
            const NAMES: &'static [&'static str] = &[$($name,)*];

            fn parse(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variable),)*
                    _ => None,
                }
            }
        }
    };
}

variables! {
    BodySent = "bytes.body",
    Received = "bytes.received",
    Sent = "bytes.sent",
    Cluster = "cluster",
    ConnectMillis = "connect_ms",
    Detail = "detail",
    Endpoint = "endpoint",
    FirstByteMillis = "first_byte_ms",
    Reason = "reason",
    RequestLine = "request.line",
    Method = "request.method",
    Target = "request.target",
    Version = "request.version",
    ResponseStatus = "response.status",
    Retries = "retries",
    Reused = "reused",
    Route = "route",
    Status = "status",
    Time = "time",
    ClfTime = "time.clf",
    TotalMillis = "total_ms",
}

/// Why a text is not a template of an access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownVariable(TemplateError);

impl fmt::Display for UnknownVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        if let TemplateError::Unknown(_) = self.0 {
            write!(f, "; and in an access log")?;
            for (i, name) in Variable::NAMES.iter().enumerate() {
                write!(f, "{} `{name}`", if i == 0 { "" } else { "," })?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for UnknownVariable {}

impl LineTemplate {
    /// Parses a text. `{{` and `}}` stand for braces.
    ///
    /// # Errors
    /// A variable that does not exist, or a brace without its other half.
    pub fn parse(text: &str) -> Result<Self, UnknownVariable> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let (brace, after) = (&rest[at..=at], &rest[at + 1..]);
            if let Some(doubled) = after.strip_prefix(brace) {
                plain.push_str(brace);
                rest = doubled;
            } else if brace == "}" {
                plain.push('}');
                rest = after;
            } else {
                let (name, after) = after.split_once('}').ok_or(UnknownVariable(TemplateError::Unclosed))?;
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain).into()));
                }
                parts.push(Part::of(name).map_err(UnknownVariable)?);
                rest = after;
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain.into()));
        }
        Ok(Self { parts })
    }

    /// Appends the line without newline.
    pub(super) fn write(&self, view: &RecordView<'_>, out: &mut Vec<u8>, scratch: &mut Scratch) {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Record(variable) => variable.write(view, out, scratch),
                Part::Exchange(template) => {
                    scratch.text.clear();
                    template.render(view.exchange, &mut scratch.text);
                    push_escaped(out, scratch.text.as_bytes());
                }
            }
        }
    }
}

impl Part {
    fn of(name: &str) -> Result<Self, TemplateError> {
        match Variable::parse(name) {
            Some(variable) => Ok(Self::Record(variable)),
            None => Template::parse(&format!("{{{name}}}")).map(Self::Exchange),
        }
    }
}

impl Variable {
    fn write(self, view: &RecordView<'_>, out: &mut Vec<u8>, scratch: &mut Scratch) {
        let record = &view.exchange.record;
        match self {
            Self::BodySent => push_number(out, record.body_sent),
            Self::Received => push_number(out, record.received),
            Self::Sent => push_number(out, record.sent),
            Self::Status | Self::ResponseStatus => push_number(out, record.status.into()),
            Self::Retries => push_number(out, record.retries.into()),
            Self::TotalMillis => push_millis(out, record.total),
            Self::ConnectMillis => push_millis(out, record.connect),
            Self::FirstByteMillis => push_millis(out, record.first_byte),
            Self::Time => scratch.clock.rfc3339(view.started_unix_micros, out),
            Self::ClfTime => scratch.clock.clf(view.started_unix_micros, out),
            Self::Reused => out.extend_from_slice(if record.reused { b"true" } else { b"false" }),
            Self::RequestLine => push_request_line(out, view),
            Self::Target => push_escaped(out, view.target),
            Self::Method => push_escaped(out, view.method.as_bytes()),
            Self::Version => push_escaped(out, view.version.as_bytes()),
            Self::Route => push_escaped(out, view.route.as_bytes()),
            Self::Cluster => push_escaped(out, view.cluster.as_bytes()),
            Self::Endpoint => push_escaped(out, view.endpoint.as_bytes()),
            Self::Reason => push_escaped(out, record.reason.as_bytes()),
            Self::Detail => push_escaped(out, record.detail.as_bytes()),
        }
    }
}
