//! `client_certificate`: who may come in by the certificate that the TLS handshake verified.
//!
//! What is listed in one option is an alternative; all options that are set must be fulfilled. `Client-Cert` and
//! `Client-Cert-Chain` of the client's own are always taken away, so that nobody can claim a certificate.

pub mod config;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use usher_api::{BuildContext, DryRun, Exchange, Filter, FilterFactory, Flow, Phase, Reply};
use usher_config::{Decode, Node, Value};
use usher_net::tls::ClientCertificate as Shown;

/// The fields of RFC 9440.
const FIELD: &[u8] = b"Client-Cert";
const CHAIN_FIELD: &[u8] = b"Client-Cert-Chain";
/// Hexadecimal digits of SHA-256.
const FINGERPRINT: usize = 64;

/// The filter `client_certificate`.
pub const FACTORY: FilterFactory = FilterFactory {
    name: "client_certificate",
    phase: Phase::Authenticate,
    summary: "let clients in by the certificate of their TLS handshake",
    schema: config::ClientCertificate::schema,
    build,
};

fn build(node: &Node, cx: &mut BuildContext<'_, '_>) -> Option<Arc<dyn Filter>> {
    let config = match (&node.value, node.as_str()) {
        (Value::Bool(true), _) | (_, Some("required")) => config::ClientCertificate::default(),
        (Value::Bool(false), _) | (_, Some("optional")) => {
            config::ClientCertificate { required: false, ..config::ClientCertificate::default() }
        }
        _ => config::ClientCertificate::decode(node, cx.config)?,
    };
    let mut fingerprints = Vec::new();
    for text in &config.fingerprint {
        let digits: String = text.chars().filter(|c| *c != ':').map(|c| c.to_ascii_lowercase()).collect();
        if digits.len() != FINGERPRINT || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            let help = "write the 64 hexadecimal digits of `openssl x509 -noout -fingerprint -sha256`";
            cx.config.error_help(text.span, format!("`{}` is no fingerprint", text.value), help);
            return None;
        }
        fingerprints.push(digits);
    }
    let texts = |list: &usher_config::OneOrMany<usher_config::Spanned<String>>| {
        list.iter().map(|text| text.value.clone()).collect()
    };
    Some(Arc::new(ClientCertificate {
        required: config.required,
        subjects: texts(&config.subject),
        sans: texts(&config.san),
        fingerprints,
        forward: config.forward,
    }))
}

struct ClientCertificate {
    required: bool,
    subjects: Vec<String>,
    sans: Vec<String>,
    fingerprints: Vec<String>,
    forward: bool,
}

impl ClientCertificate {
    /// Why a client is not let in.
    fn refusal(&self, shown: Option<&Shown>) -> Option<&'static str> {
        let Some(shown) = shown else {
            return self.required.then_some("no client certificate");
        };
        let listed = |patterns: &[String], is_it: &dyn Fn(&str) -> bool| {
            patterns.is_empty() || patterns.iter().any(|pattern| is_it(pattern))
        };
        if !listed(&self.subjects, &|pattern| matches(pattern, &shown.subject)) {
            return Some("the subject of the client certificate is not listed");
        }
        if !listed(&self.sans, &|pattern| shown.sans.iter().any(|san| matches(pattern, san))) {
            return Some("no name of the client certificate is listed");
        }
        let known = listed(&self.fingerprints, &|digits| digits == shown.fingerprint);
        (!known).then_some("the fingerprint of the client certificate is not listed")
    }
}

impl Filter for ClientCertificate {
    fn on_request(&self, exchange: &mut Exchange) -> Flow {
        let session = exchange.client.tls.clone();
        let shown = session.as_ref().and_then(|session| session.client.as_ref());
        if let Some(why) = self.refusal(shown) {
            exchange.record.detail = why;
            return Flow::Respond(Box::new(Reply::new(403, "client_certificate")));
        }
        let fields = &mut exchange.request.fields;
        fields.remove_alike(FIELD);
        fields.remove_alike(CHAIN_FIELD);
        if let Some(shown) = shown {
            if self.forward {
                // RFC 9440 section 2.2: a byte sequence of RFC 8941.
                let _ = fields.add(FIELD, format!(":{}:", STANDARD.encode(&shown.der)).as_bytes());
            }
            exchange.user.get_or_insert_with(|| shown.subject.clone());
        }
        Flow::Continue
    }

    fn request_fields(&self) -> Vec<Box<str>> {
        vec!["client-cert".into(), "client-cert-chain".into()]
    }

    fn describe(&self) -> String {
        (if self.required { "required" } else { "optional" }).to_owned()
    }

    fn dry_run(&self, _: &mut Exchange) -> Option<DryRun> {
        Some(match self.required {
            true => DryRun::asks(
                "look at the certificate of the client's TLS handshake, and answer 403 without a good one",
            ),
            false => DryRun::passes("a client certificate is looked at if there is one"),
        })
    }
}

/// Whether a text is as a pattern says, in which each `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}
