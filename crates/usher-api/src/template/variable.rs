//! The variables.

use std::fmt::Write as _;

use usher_http::cookie;

use super::Variables;
use super::agreed::Agreed;
use crate::exchange::Exchange;

/// What stands between braces.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Variable {
    /// `client.ip`
    ClientIp,
    /// `client.port`
    ClientPort,
    /// `listener`
    Listener,
    /// `request.id`
    RequestId,
    /// `request.method`
    Method,
    /// `request.scheme`
    Scheme,
    /// `request.host`, without port
    Host,
    /// `request.authority`: host and port, in normal form
    Authority,
    /// `request.path`
    Path,
    /// `request.query`, without `?`
    Query,
    /// `request.uri`: path, and `?query` if there is one
    Uri,
    /// `request.version`
    Version,
    /// `request.header.NAME`
    RequestHeader(Box<str>),
    /// `request.cookie.NAME`
    Cookie(Box<str>),
    /// `request.query.NAME`
    QueryValue(Box<str>),
    /// `path.NAME`; `rest` is short for `path.rest`
    Capture(Box<str>),
    /// `tls.NAME`: what was agreed in the TLS handshake
    Tls(Agreed),
    /// `user`
    User,
    /// `response.status`; `status` is short for it
    Status,
    /// `response.header.NAME`
    ResponseHeader(Box<str>),
}

const KNOWN: [&str; 32] = [
    "client.ip",
    "client.port",
    "listener",
    "path.NAME",
    "request.authority",
    "request.cookie.NAME",
    "request.header.NAME",
    "request.host",
    "request.id",
    "request.method",
    "request.path",
    "request.query",
    "request.query.NAME",
    "request.scheme",
    "request.uri",
    "request.version",
    "response.header.NAME",
    "response.status",
    "rest",
    "status",
    "tls.alpn",
    "tls.cipher",
    "tls.client.fingerprint",
    "tls.client.issuer",
    "tls.client.not_after",
    "tls.client.san",
    "tls.client.serial",
    "tls.client.subject",
    "tls.resumed",
    "tls.server_name",
    "tls.version",
    "user",
];

impl Variables for Variable {
    fn named(name: &str) -> Option<Self> {
        let named = [
            ("request.header.", Self::RequestHeader as fn(Box<str>) -> Self),
            ("request.cookie.", Self::Cookie),
            ("request.query.", Self::QueryValue),
            ("response.header.", Self::ResponseHeader),
            ("path.", Self::Capture),
        ];
        for (prefix, make) in named {
            if let Some(rest) = name.strip_prefix(prefix) {
                return (!rest.is_empty()).then(|| make(rest.into()));
            }
        }
        Some(match name {
            "client.ip" => Self::ClientIp,
            "client.port" => Self::ClientPort,
            "listener" => Self::Listener,
            "request.id" => Self::RequestId,
            "request.method" => Self::Method,
            "request.scheme" => Self::Scheme,
            "request.host" => Self::Host,
            "request.authority" => Self::Authority,
            "request.path" => Self::Path,
            "request.query" => Self::Query,
            "request.uri" => Self::Uri,
            "request.version" => Self::Version,
            "rest" => Self::Capture("rest".into()),
            "user" => Self::User,
            _ if name.starts_with("tls.") => Self::Tls(Agreed::named(name)?),
            "response.status" | "status" => Self::Status,
            _ => return None,
        })
    }

    fn known() -> Vec<&'static str> {
        KNOWN.to_vec()
    }
}

impl Variable {
    /// Appends its value, without bytes that may not stand in a field value.
    pub fn render(&self, exchange: &Exchange, out: &mut String) {
        let request = &exchange.request;
        // Writing to a String cannot fail.
        let _ = match self {
            Self::ClientIp => exchange.client.ip.map_or(Ok(()), |ip| write!(out, "{ip}")),
            Self::ClientPort => exchange.client.peer.map_or(Ok(()), |peer| write!(out, "{}", peer.port())),
            Self::Status => write!(out, "{}", exchange.response.status),
            Self::Uri => write!(out, "{}", request.path).and_then(|()| match &request.query {
                Some(query) => write!(out, "?{query}"),
                None => Ok(()),
            }),
            Self::Tls(agreed) => {
                if let Some(session) = &exchange.client.tls {
                    agreed.render(session, out);
                }
                Ok(())
            }
            Self::RequestHeader(name) => {
                push_bytes(out, request.fields.get_named(name.as_bytes()).unwrap_or_default());
                Ok(())
            }
            Self::ResponseHeader(name) => {
                push_bytes(out, exchange.response.fields.get_named(name.as_bytes()).unwrap_or_default());
                Ok(())
            }
            _ => {
                out.push_str(self.text(exchange));
                Ok(())
            }
        };
    }

    /// The value of a variable that is text already.
    fn text<'a>(&self, exchange: &'a Exchange) -> &'a str {
        let request = &exchange.request;
        match self {
            Self::Listener => &exchange.client.listener,
            Self::RequestId => exchange.id.as_str(),
            Self::Method => match &exchange.request.method {
                usher_http::Method::Other(name) => name,
                known => known.as_static(),
            },
            Self::Scheme => request.scheme,
            Self::Host => &request.host,
            Self::Authority => &request.authority,
            Self::Path => &request.path,
            Self::Query => request.query.as_deref().unwrap_or_default(),
            Self::Version => request.version.as_str(),
            Self::Cookie(name) => cookie_value(exchange, name),
            Self::QueryValue(name) => query_value(request.query.as_deref().unwrap_or_default(), name),
            Self::Capture(name) => exchange.captures.get(name).unwrap_or_default(),
            Self::User => exchange.user.as_deref().unwrap_or_default(),
            _ => "",
        }
    }
}

fn cookie_value<'a>(exchange: &'a Exchange, name: &str) -> &'a str {
    cookie::find(exchange.request.fields.all(usher_http::FieldId::Cookie), name.as_bytes())
        .and_then(|value| std::str::from_utf8(value).ok())
        .filter(|value| !value.contains(|c: char| c.is_control()))
        .unwrap_or_default()
}

/// The first value of a query parameter, as it is written (percent-encoded).
fn query_value<'a>(query: &'a str, name: &str) -> &'a str {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map_or("", |(_, value)| value)
}

fn push_bytes(out: &mut String, bytes: &[u8]) {
    out.extend(String::from_utf8_lossy(bytes).chars().filter(|c| !c.is_control() || *c == '\t'));
}
