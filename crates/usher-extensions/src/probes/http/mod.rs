//! `http`: sends a request and looks at the answer.
//!
//! The request goes out as those of clients do: over TLS, HTTP/1.1, 2 or 3, with the Host that the cluster's endpoints see.
//! A redirect is not followed: it is an answer.

pub mod config;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use usher_api::{BuildContext, Probe, ProbeFactory, ProbeTarget, Probing, Unwell};
use usher_config::{Context, Decode as _, Node};
use usher_http::{Method, Request};
use usher_net::SystemDialer;

use super::way::{Question, ask};
use config::{Asking, Statuses};

/// What is read of a body in which a text is looked for (bytes).
const MAX_BODY: usize = 64 << 10;
/// Who asks, unless `headers` says otherwise.
const USER_AGENT: &str = concat!("usher/", env!("CARGO_PKG_VERSION"), " (health check)");
/// What decides how the answer ends, and is not the config's to say.
const OF_THE_CONNECTION: [&str; 5] = ["connection", "content-length", "transfer-encoding", "te", "upgrade"];

/// The probe `http`.
pub static FACTORY: ProbeFactory = ProbeFactory {
    name: "http",
    summary: "send a request and look at the answer",
    schema: config::Http::schema,
    build,
};

struct Http {
    method: Method,
    path: String,
    query: Option<String>,
    headers: Vec<(String, String)>,
    statuses: Vec<Statuses>,
    body: Option<String>,
}

fn build(node: &Node, cx: &mut BuildContext<'_, '_>) -> Option<Arc<dyn Probe>> {
    let config = config::Http::decode(node, cx.config)?;
    let cx = &mut *cx.config;
    if let (Asking::Head, Some(body)) = (config.method, &config.body) {
        let help = "set `method = \"GET\"`, or leave `body` out";
        cx.error_help(body.span, "the answer to HEAD has no body", help);
    }
    let headers = headers(&config, cx);
    let (path, query) = match config.path.split_once('?') {
        Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
        None => (config.path.clone(), None),
    };
    let method = match config.method {
        Asking::Get => Method::Get,
        Asking::Head => Method::Head,
    };
    let (statuses, body) = (config.status.to_vec(), config.body.map(|body| body.value));
    Some(Arc::new(Http { method, path, query, headers, statuses, body }))
}

fn headers(config: &config::Http, cx: &mut Context<'_>) -> Vec<(String, String)> {
    let mut headers = vec![("User-Agent".to_owned(), USER_AGENT.to_owned())];
    for (key, value) in &config.headers {
        let name = key.name.to_ascii_lowercase();
        if name == "host" {
            cx.error_help(key.span, "`Host` is not a further field", "write it as `host`, beside `headers`");
        } else if OF_THE_CONNECTION.contains(&name.as_str()) {
            cx.error(key.span, format!("`{}` is not the config's to say", key.name));
        } else if Request::default().fields.add(name.as_bytes(), value.as_bytes()).is_err() {
            let name = key.name.escape_debug();
            cx.error(
                value.span,
                format!("`{name}` cannot be sent with this value: one of them is malformed"),
            );
        } else {
            headers.retain(|(other, _)| !other.eq_ignore_ascii_case(&name));
            headers.push((key.name.clone(), value.value.clone()));
        }
    }
    headers
}

impl Probe for Http {
    fn ask<'a>(&'a self, target: &'a ProbeTarget, dialer: &'a SystemDialer) -> Probing<'a> {
        Box::pin(async move {
            let request = self.request(target);
            let wanted = if self.body.is_some() { MAX_BODY } else { 0 };
            let question =
                Question { request: &request, host: &target.host, body: &[], wanted, is_call: false };
            let answer = ask(target, dialer, &question).await?;
            let status = answer.response.status;
            if !self.statuses.iter().any(|statuses| statuses.0.contains(&status)) {
                return Err(Unwell::new(format!("status {status}")));
            }
            match &self.body {
                Some(text) if !contains(&answer.body, text.as_bytes()) => {
                    Err(Unwell::new(format!("status {status}, without the text that its body shall have")))
                }
                _ => Ok(()),
            }
        })
    }
}

impl Http {
    fn request(&self, target: &ProbeTarget) -> Request {
        let mut request = Request::default();
        request.method = self.method.clone();
        request.scheme = if target.tls.is_some() { "https" } else { "http" };
        request.authority = target.host.to_string();
        request.path.clone_from(&self.path);
        request.query.clone_from(&self.query);
        for (name, value) in &self.headers {
            // What cannot be added was refused when this was built.
            let _ = request.fields.add(name.as_bytes(), value.as_bytes());
        }
        request
    }
}

/// Whether a text is somewhere in it.
fn contains(body: &[u8], text: &[u8]) -> bool {
    body.windows(text.len()).any(|part| part == text)
}
