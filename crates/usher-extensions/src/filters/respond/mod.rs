//! `respond`: answers with a fixed response.
//!
//! For maintenance pages, `robots.txt`, health checks of a load balancer in front, or refusing a path for good. A
//! body without variables, and that of a file, is one buffer that all responses share.

pub mod config;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use usher_api::{BuildContext, Exchange, Filter, FilterFactory, Flow, Phase, Piece, Reply};
use usher_config::{Context, Decode, Node, Span, Spanned};
use usher_http::media;

use super::fields::{Direction, FieldText};
use super::text::TemplateText;

/// The largest file that a body is taken from (bytes); for larger ones there is `static_files`.
const MAX_FILE: u64 = 1024 * 1024;
/// The type of a body that says nothing else.
const PLAIN: &str = "text/plain; charset=utf-8";

/// The filter `respond`.
pub const FACTORY: FilterFactory = FilterFactory {
    name: "respond",
    phase: Phase::Respond,
    summary: "answer with a fixed response",
    schema: config::Respond::schema,
    build,
};

fn build(node: &Node, cx: &mut BuildContext<'_, '_>) -> Option<Arc<dyn Filter>> {
    let config = config::Respond::decode(node, cx.config)?;
    let cx = &mut *cx.config;
    if let (Some(_), Some(file)) = (&config.body, &config.file) {
        cx.error_help(file.span, "the response has two bodies: `body` and `file`", "keep one of them");
        return None;
    }
    let body = match (&config.body, &config.file) {
        (Some(text), _) => text_body(text),
        (None, Some(path)) => Body::Shared(read(path, path.span, cx)?),
        (None, None) => Body::None,
    };
    if !matches!(body, Body::None) && matches!(config.status, 204 | 205 | 304) {
        let span = config.body.as_ref().map(|body| body.span).or(config.file.as_ref().map(|file| file.span));
        let message = format!("a response with status {} has no body", config.status);
        cx.error_help(span.unwrap_or(Span::NONE), message, "use status 200, or remove the body");
        return None;
    }
    let mut fields = Vec::new();
    fields.extend(content_type(&config, &body, cx));
    for (key, value) in &config.headers {
        if key.name.eq_ignore_ascii_case("content-type") {
            cx.error_help(
                key.span,
                "the type of the body is not a further field",
                "write it as `content_type`",
            );
            continue;
        }
        fields.extend(FieldText::new((&key.name, key.span), value, Direction::Response, cx));
    }
    Some(Arc::new(Respond { status: config.status, body, fields }))
}

fn text_body(text: &Spanned<TemplateText>) -> Body {
    match text.template.as_plain() {
        Some("") => Body::None,
        Some(plain) => Body::Shared(plain.as_bytes().into()),
        None => Body::Template(text.value.clone()),
    }
}

fn content_type(config: &config::Respond, body: &Body, cx: &mut Context<'_>) -> Option<FieldText> {
    let implied = || {
        let name = config.file.as_ref().map(|path| path.as_os_str().as_encoded_bytes());
        let text = name.map_or(PLAIN, media::for_file);
        text.parse().ok().map(Spanned::nowhere)
    };
    if matches!(body, Body::None) && config.content_type.is_none() {
        return None;
    }
    let value = config.content_type.clone().or_else(implied)?;
    FieldText::new(("Content-Type", Span::NONE), &value, Direction::Response, cx)
}

/// Reads a file for good.
fn read(path: &Path, span: Span, cx: &mut Context<'_>) -> Option<Arc<[u8]>> {
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes));
    cx.uses_file(path.to_path_buf());
    match opened {
        Err(error) => {
            cx.error(span, format!("cannot read `{}`: {error}", path.display()));
            None
        }
        Ok(_) if bytes.len() as u64 > MAX_FILE => {
            let message = format!("`{}` has more than 1 MiB", path.display());
            cx.error_help(span, message, "serve its folder by `static_files`");
            None
        }
        Ok(_) => Some(bytes.into()),
    }
}

enum Body {
    None,
    Shared(Arc<[u8]>),
    Template(TemplateText),
}

struct Respond {
    status: u16,
    body: Body,
    fields: Vec<FieldText>,
}

impl Filter for Respond {
    fn on_request(&self, exchange: &mut Exchange) -> Flow {
        let mut reply = Reply::new(self.status, "respond");
        let mut spare = String::new();
        for field in &self.fields {
            if let Some(value) = field.value(exchange, &mut spare) {
                reply = reply.field(Cow::Owned(field.name.to_string()), value);
            }
        }
        let reply = match &self.body {
            Body::None => reply,
            Body::Shared(bytes) => reply.piece(Piece::Shared(bytes.clone())).finished(),
            Body::Template(text) => {
                reply.piece(Piece::Bytes(Cow::Owned(text.render(exchange).into_bytes()))).finished()
            }
        };
        Flow::Respond(Box::new(reply))
    }

    fn describe(&self) -> String {
        match &self.body {
            Body::None => format!("{} without a body", self.status),
            Body::Shared(bytes) => format!("{} with {} bytes", self.status, bytes.len()),
            Body::Template(text) => format!("{} with `{}`", self.status, text.text),
        }
    }
}
