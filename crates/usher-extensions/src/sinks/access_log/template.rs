//! A line from a text with variables, such as `{client.ip} {request.method} {status} {total_ms}`.

use usher_api::TemplateError;
use usher_api::template::{self, Part, TemplateOf, Variables};

use super::Scratch;
use super::combined::push_request_line;
use super::line::Line;
use super::text::{push_escaped, push_json, push_millis, push_number};

/// A parsed text. Knows the variables of [`usher_api::Template`] and those of a finished request; the latter win.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineTemplate {
    text: TemplateOf<LineVariable>,
    /// It begins like a JSON object, so values are written as the insides of JSON strings.
    is_json: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LineVariable {
    Record(Variable),
    Exchange(template::Variable),
}

impl Variables for LineVariable {
    fn named(name: &str) -> Option<Self> {
        let of_record = Variable::named(name).map(Self::Record);
        of_record.or_else(|| template::Variable::named(name).map(Self::Exchange))
    }

    fn known() -> Vec<&'static str> {
        let mut names = template::Variable::known();
        names.extend(Variable::NAMES);
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// Defines the variables of a finished request.
macro_rules! variables {
    ($($variable:ident = $name:literal,)*) => {
        /// A variable of a finished request.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Variable { $($variable,)* }

        impl Variable {
            const NAMES: &'static [&'static str] = &[$($name,)*];

            fn named(name: &str) -> Option<Self> {
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

impl LineTemplate {
    /// Parses a text. `{{` and `}}` stand for braces.
    ///
    /// # Errors
    /// A variable that does not exist, or a brace without its other half.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let text = TemplateOf::parse(text)?;
        let is_json = matches!(text.parts(), [Part::Text(first), ..] if first.trim_start().starts_with('{'));
        Ok(Self { text, is_json })
    }

    /// Appends the line without newline.
    pub(super) fn write(&self, line: &Line<'_>, out: &mut Vec<u8>, scratch: &mut Scratch) {
        let push = if self.is_json { push_json } else { push_escaped };
        for part in self.text.parts() {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Variable(LineVariable::Record(variable)) => {
                    if !variable.write_number(line, out, scratch) {
                        variable.write_text(line, out, push);
                    }
                }
                Part::Variable(LineVariable::Exchange(variable)) => {
                    scratch.text.clear();
                    variable.render(line.view.exchange, &mut scratch.text);
                    push(out, scratch.text.as_bytes());
                }
            }
        }
    }
}

impl Variable {
    /// Appends what needs no escaping; false if it is a text.
    fn write_number(self, line: &Line<'_>, out: &mut Vec<u8>, scratch: &mut Scratch) -> bool {
        let (view, record) = (line.view, &line.view.exchange.record);
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
            _ => return false,
        }
        true
    }

    fn write_text(self, line: &Line<'_>, out: &mut Vec<u8>, push: fn(&mut Vec<u8>, &[u8])) {
        let view = line.view;
        match self {
            Self::RequestLine => push_request_line(out, line, push),
            Self::Target => push(out, line.target()),
            Self::Method => push(out, view.method.as_bytes()),
            Self::Version => push(out, view.version.as_bytes()),
            Self::Route => push(out, view.route.as_bytes()),
            Self::Cluster => push(out, view.cluster.as_bytes()),
            Self::Endpoint => push(out, view.endpoint.as_bytes()),
            Self::Reason => push(out, view.exchange.record.reason.as_bytes()),
            Self::Detail => push(out, line.detail(&mut String::new()).as_bytes()),
            // The numbers.
            _ => {}
        }
    }
}
