//! `redirect`: sends the client to another URL.
//!
//! The target is a template. When the config is built, its host is checked to be fixed (see `target.rs`); when a
//! request comes, it is rendered and percent-encoded, so that neither line breaks nor a second host get into
//! `Location`. The body is a line of HTML with the link, as RFC 9110 section 15.4 suggests.

pub mod config;
mod target;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

use usher_api::{BuildContext, Exchange, Filter, FilterFactory, Flow, Phase, Piece, Reply};
use usher_config::{Decode, Diagnostic, Node};
use usher_http::status::Status;

use self::target::Kind;
use super::escape;
use super::text::{TemplateText, check_line};

/// The filter `redirect`.
pub const FACTORY: FilterFactory = FilterFactory {
    name: "redirect",
    phase: Phase::Respond,
    summary: "send the client to another URL",
    schema: config::Redirect::schema,
    build,
};

fn build(node: &Node, cx: &mut BuildContext<'_, '_>) -> Option<Arc<dyn Filter>> {
    let config = config::Redirect::decode(node, cx.config)?;
    if !check_line(&config.to.text, ("the target", config.to.span), cx.config) {
        return None;
    }
    let kind = cx.config.value(config.to.span, target::kind(&config.to.text))?;
    let has_query = config.to.text.contains("{request.uri}") || config.to.text.contains("{request.query}");
    if config.keep_query && has_query {
        let warning = Diagnostic::warning("the query of the request is added twice").at(config.to.span, "");
        cx.config.push(warning.help("leave out `keep_query`: the target holds the query already"));
    }
    let config::Redirect { to, status, keep_query } = config;
    Some(Arc::new(Redirect { to: to.value, kind, status, keep_query }))
}

struct Redirect {
    to: TemplateText,
    kind: Kind,
    status: u16,
    keep_query: bool,
}

impl Filter for Redirect {
    fn on_request(&self, exchange: &mut Exchange) -> Flow {
        let query = exchange.request.query.as_deref().filter(|_| self.keep_query);
        let location = target::location(self.kind, &self.to.render(exchange), query);
        let body = page(self.status, &location);
        let reply = Reply::new(self.status, "redirect")
            .field("Location", location)
            .field("Content-Type", "text/html; charset=utf-8")
            .piece(Piece::Bytes(Cow::Owned(body.into_bytes())))
            .finished();
        Flow::Respond(Box::new(reply))
    }

    fn describe(&self) -> String {
        format!("{} to {}", self.status, self.to.text)
    }
}

/// For clients that do not follow by themselves.
fn page(status: u16, location: &str) -> String {
    let title = Status::new(status).map_or("", Status::reason);
    let mut link = String::with_capacity(location.len() + 16);
    escape::push_html(location, &mut link);
    format!("<!doctype html><title>{title}</title><a href=\"{link}\">{title}</a>\n")
}
