//! `grpc`: calls the health service that gRPC servers have.
//!
//! The protocol is that of `grpc.health.v1` (the gRPC project's `health-checking.md`): one call with the name of a service,
//! one message with its state. Both messages are so small that they are written and read here.

pub mod config;
mod message;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use usher_api::{BuildContext, Probe, ProbeFactory, ProbeTarget, Probing, Unwell};
use usher_config::{Decode as _, Node};
use usher_http::{Method, Request};
use usher_net::SystemDialer;

use super::way::{Answer, Question, ask};

/// The method that is called.
const PATH: &str = "/grpc.health.v1.Health/Check";
/// What is read of an answer, whose message has a few bytes.
const MAX_ANSWER: usize = 4 << 10;
/// Who asks.
const USER_AGENT: &[u8] = concat!("usher/", env!("CARGO_PKG_VERSION"), " (health check)").as_bytes();

/// The probe `grpc`.
pub static FACTORY: ProbeFactory = ProbeFactory {
    name: "grpc",
    summary: "call the health service of gRPC",
    schema: config::Grpc::schema,
    build,
};

struct Grpc {
    /// The call's message.
    call: Vec<u8>,
}

fn build(node: &Node, cx: &mut BuildContext<'_, '_>) -> Option<Arc<dyn Probe>> {
    let config = config::Grpc::decode(node, cx.config)?;
    Some(Arc::new(Grpc { call: message::call(&config.service) }))
}

impl Probe for Grpc {
    fn ask<'a>(&'a self, target: &'a ProbeTarget, dialer: &'a SystemDialer) -> Probing<'a> {
        Box::pin(async move {
            let request = request(target);
            let question = Question {
                request: &request,
                host: &target.host,
                body: &self.call,
                wanted: MAX_ANSWER,
                is_call: true,
            };
            judge(&ask(target, dialer, &question).await?)
        })
    }
}

fn request(target: &ProbeTarget) -> Request {
    let mut request = Request::default();
    request.method = Method::Post;
    request.scheme = if target.tls.is_some() { "https" } else { "http" };
    request.authority = target.host.to_string();
    request.path = PATH.to_owned();
    let timeout = format!("{}m", target.timeout.as_millis().clamp(1, 99_999_999));
    let fields: [(&[u8], &[u8]); 3] = [
        (b"content-type", b"application/grpc"),
        (b"user-agent", USER_AGENT),
        (b"grpc-timeout", timeout.as_bytes()),
    ];
    for (name, value) in fields {
        // All of them are well-formed.
        let _ = request.fields.add(name, value);
    }
    request
}

/// What the answer says of the endpoint.
fn judge(answer: &Answer) -> Result<(), Unwell> {
    let status = answer.response.status;
    if status != 200 {
        return Err(Unwell::new(format!("status {status}, where gRPC has 200")));
    }
    // A call that fails at once has its status in the head.
    let of_head = |name| answer.response.fields.get_named(name).map(<[u8]>::to_vec);
    let code = answer.outcome.0.clone().or_else(|| of_head(b"grpc-status"));
    let text = answer.outcome.1.clone().or_else(|| of_head(b"grpc-message"));
    match code.as_deref() {
        Some(b"0") => {}
        Some(b"5") => return Err(Unwell::new("it does not know the service (grpc-status 5)")),
        Some(b"12") => return Err(Unwell::new("it has no health service (grpc-status 12)")),
        Some(code) => {
            let (code, text) = (String::from_utf8_lossy(code), text.unwrap_or_default());
            let text = String::from_utf8_lossy(&text);
            return Err(Unwell::new(format!("grpc-status {code}: {text}")));
        }
        None => return Err(Unwell::new("an answer without grpc-status")),
    }
    match message::state(&answer.body) {
        Some(1) => Ok(()),
        Some(0) => Err(Unwell::new("its state is UNKNOWN")),
        Some(2) => Err(Unwell::new("its state is NOT_SERVING")),
        Some(3) => Err(Unwell::new("its state is SERVICE_UNKNOWN")),
        Some(other) => Err(Unwell::new(format!("its state is {other}, which has no meaning"))),
        None => Err(Unwell::new("its answer is malformed: no message of the health service")),
    }
}
