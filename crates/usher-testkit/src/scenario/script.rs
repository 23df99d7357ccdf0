//! A scenario as data: what parsing yields and running plays.

use super::check::Check;
use super::pattern::Pattern;
use std::net::IpAddr;
use std::time::Duration;

/// A whole file.
#[derive(Debug, Default)]
pub(super) struct Scenario {
    /// The config of the proxy; `None` in direct mode, where clients connect to the first endpoint.
    pub(super) config: Option<Config>,
    pub(super) direct: bool,
    /// Files beside the config: name and content.
    pub(super) files: Vec<(String, String)>,
    pub(super) endpoints: Vec<EndpointPlan>,
    pub(super) clients: Vec<ClientPlan>,
}

/// The config file that the proxy is started with.
#[derive(Debug, Default)]
pub(super) struct Config {
    pub(super) name: Option<String>,
    pub(super) text: String,
}

#[derive(Debug)]
pub(super) struct EndpointPlan {
    pub(super) name: String,
    pub(super) line: usize,
    /// On a Unix socket rather than TCP.
    pub(super) unix: bool,
    pub(super) role: Role,
}

/// What an endpoint is for.
#[derive(Debug)]
pub(super) enum Role {
    /// Plays these steps.
    Script(Vec<Step>),
    /// Nobody may connect to it.
    Untouched,
    /// It may be connected to and sent parts of requests, but no whole one.
    NoRequest,
    /// An address on which nobody listens.
    Refuse,
    /// Answers every request of every connection alike.
    Serve { status: u16, body: Answer },
}

/// The body that a serving endpoint answers with.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Text(Vec<u8>),
    /// The request as it came.
    Echo,
}

#[derive(Debug)]
pub(super) struct ClientPlan {
    pub(super) name: String,
    pub(super) steps: Vec<Step>,
}

/// Whose script is parsed or played: it decides which messages come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Endpoint,
}

#[derive(Debug)]
pub(super) struct Step {
    pub(super) line: usize,
    pub(super) action: Action,
}

#[derive(Debug)]
pub(super) enum Action {
    /// Client: a new connection, to `$LISTEN` unless said; earlier ones stay open.
    Connect {
        to: Option<String>,
        from: Option<IpAddr>,
    },
    /// Endpoint: the next connection; earlier ones stay open.
    Accept,
    Send(Vec<u8>),
    Split {
        size: usize,
        pause: Duration,
    },
    Timeout(Duration),
    Pause(Duration),
    Expect(Expect),
    Shutdown,
    Close,
    Reset,
    /// Sends back whatever comes until the peer ends its side.
    Echo,
    /// What else comes on this connection does not matter.
    Ignore,
    Mark(String),
    Await(String),
}

#[derive(Debug)]
pub(super) enum Expect {
    Request {
        head_only: bool,
        checks: Vec<Check>,
    },
    Response {
        to: String,
        part: Part,
        checks: Vec<Check>,
    },
    Bytes(Vec<u8>),
    Line(Pattern),
    /// The end of the connection, in order or by reset.
    Close,
    /// The end of the peer's side in order.
    Eof,
    /// The end by reset.
    Reset,
    /// The end in whichever way, whatever comes before.
    End,
}

/// How much of a response is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    /// The body stays unread.
    Head,
    /// The connection must end before the message does.
    Cut,
}
