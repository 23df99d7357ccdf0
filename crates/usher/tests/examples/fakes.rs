//! Endpoints of examples: each says its name, and what it received.

use std::path::PathBuf;

use usher_testkit::{Endpoint, Port, Reply, Request, Usher};

use crate::Outcome;
use crate::datagrams::Answering;

/// Something that stands for an endpoint as long as it lives.
pub(crate) enum Fake {
    /// One of HTTP/1.
    Plain(Endpoint),
    /// Another proxy, which answers by itself: it speaks what the test kit does not.
    Usher(Box<Usher>),
    /// One of HTTP/1, and one that answers datagrams at the same address.
    Both(Endpoint, #[expect(dead_code, reason = "it is there as long as this is")] Answering),
    /// Nobody listens there.
    Nobody(Port),
}

impl Fake {
    /// Starts one. `-` as the name is nobody.
    pub(crate) fn start(
        name: &str,
        kind: &str,
        files: &[(String, String)],
        binary: PathBuf,
    ) -> Outcome<Self> {
        let failed = |error: usher_testkit::Error| error.to_string();
        match (name, kind) {
            ("-", _) => Port::reserve().map(Self::Nobody).map_err(failed),
            (_, "") => plain(name).map(Self::Plain).map_err(failed),
            (_, "udp") => {
                let endpoint = plain(name).map_err(failed)?;
                let answering = Answering::start(endpoint.address(), name)?;
                Ok(Self::Both(endpoint, answering))
            }
            (_, "h2c" | "tls") => {
                let builder = Usher::builder().binary(binary).config(&answering(name, kind));
                let builder = files.iter().fold(builder, |builder, (name, text)| builder.file(name, text));
                builder.start().map(|usher| Self::Usher(Box::new(usher))).map_err(failed)
            }
            _ => Err(format!("`{kind}` is no kind of endpoint")),
        }
    }

    /// Where it is.
    pub(crate) fn address(&self) -> Outcome<String> {
        Ok(match self {
            Self::Plain(endpoint) | Self::Both(endpoint, _) => endpoint.address().to_owned(),
            Self::Usher(usher) => usher.listen().map_err(|error| error.to_string())?.to_string(),
            Self::Nobody(port) => port.address().to_string(),
        })
    }
}

/// Says its name and what it received; agrees to every upgrade and sends back what then comes.
fn plain(name: &str) -> usher_testkit::Result<Endpoint> {
    let name = name.to_owned();
    Endpoint::start(move |request: &Request| match request.fields.get("Upgrade") {
        Some(protocol) => Reply::upgrade_echo(protocol),
        None => {
            let body = [format!("endpoint {name}\n").as_bytes(), &request.raw].concat();
            Reply::ok(body).field("X-Powered-By", "a fake").field("Server", "a fake")
        }
    })
}

/// One that speaks HTTP/2 without TLS, or anything with it. A call of gRPC succeeds.
fn answering(name: &str, kind: &str) -> String {
    let tls = if kind == "tls" { "tls = true" } else { "protocols = \"h2\"" };
    format!(
        r#"
automatic_https = {{ storage = "state" }}
access_log = "off"
workers = 1
[[certificate]]
cert = "certs/example.com.pem"
key = "certs/example.com.key"
default = true
[[listener]]
bind = "$LISTEN"
{tls}
[[route]]
respond = "endpoint {name}\n{{request.method}} {{request.uri}} {{request.version}} {{tls.version}}\n"
[[route]]
header = {{ Content-Type = "~application/grpc.*" }}
respond = {{ status = 200, content_type = "application/grpc" }}
headers = {{ response = {{ set = {{ grpc-status = "0" }} }} }}
"#
    )
}
