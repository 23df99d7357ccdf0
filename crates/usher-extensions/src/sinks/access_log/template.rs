//! A line from a text with variables, such as `{client.ip} {request.method} {status} {total_ms}`.

use usher_api::template::{self, Part, TemplateOf, Variables};
use usher_api::{RecordView, TemplateError};

use super::Scratch;
use super::combined::push_request_line;
use super::text::{push_escaped, push_millis, push_number};

/// A parsed text. Knows the variables of [`usher_api::Template`] and those of a finished request; the latter win.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineTemplate(TemplateOf<LineVariable>);

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
        TemplateOf::parse(text).map(Self)
    }

    /// Appends the line without newline.
    pub(super) fn write(&self, view: &RecordView<'_>, out: &mut Vec<u8>, scratch: &mut Scratch) {
        for part in self.0.parts() {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Variable(LineVariable::Record(variable)) => variable.write(view, out, scratch),
                Part::Variable(LineVariable::Exchange(variable)) => {
                    scratch.text.clear();
                    variable.render(view.exchange, &mut scratch.text);
                    push_escaped(out, scratch.text.as_bytes());
                }
            }
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
