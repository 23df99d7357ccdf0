//! `hsts`: tells browsers to come by HTTPS only (RFC 6797).
//!
//! Responses over plain HTTP do not say it (section 7.2). One that an endpoint wrote gives way, as two would have no
//! meaning.

pub mod config;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use usher_api::{BuildContext, Exchange, Filter, FilterFactory, Phase};
use usher_config::{Decode, Node, Value};

/// The field.
const FIELD: &[u8] = b"Strict-Transport-Security";
/// What lists that browsers have built in ask for at least.
const PRELOAD_AGE: Duration = Duration::from_secs(31_536_000);

/// The filter `hsts`.
pub const FACTORY: FilterFactory = FilterFactory {
    name: "hsts",
    phase: Phase::Rewrite,
    summary: "tell browsers to come by HTTPS only",
    schema: config::Hsts::schema,
    build,
};

fn build(node: &Node, cx: &mut BuildContext<'_, '_>) -> Option<Arc<dyn Filter>> {
    if let Value::Bool(_) = node.value {
        cx.config.error_help(
            node.span,
            "`hsts` says for how long",
            "write `hsts = \"180d\"`, or leave it out",
        );
        return None;
    }
    let config = config::Hsts::decode(node, cx.config)?;
    if config.preload && (!config.subdomains || config.max_age < PRELOAD_AGE) {
        let help = "set `subdomains = true` and `max_age = \"365d\"`, or leave out `preload`";
        cx.config.error_help(node.span, "`preload` needs subdomains, and a year at least", help);
        return None;
    }
    let mut value = format!("max-age={}", config.max_age.as_secs());
    if config.subdomains {
        value.push_str("; includeSubDomains");
    }
    if config.preload {
        value.push_str("; preload");
    }
    Some(Arc::new(Hsts { value }))
}

struct Hsts {
    value: String,
}

impl Filter for Hsts {
    fn on_response(&self, exchange: &mut Exchange) {
        if exchange.request.scheme != "https" {
            return;
        }
        let fields = &mut exchange.response.fields;
        fields.remove_named(FIELD);
        // The value is made of digits and words: it is valid.
        let _ = fields.add(FIELD, self.value.as_bytes());
    }

    fn response_fields(&self) -> Vec<Box<str>> {
        vec!["strict-transport-security".into()]
    }

    fn describe(&self) -> String {
        self.value.clone()
    }
}
