//! `grpc_web`: browsers cannot read trailers, in which gRPC says how a call went. gRPC-Web puts them into the body, as a last
//! frame with its highest bit set; and as text, the whole body is base64.
//!
//! Source: the document "gRPC Web" of the gRPC project.

pub mod config;
#[cfg(test)]
mod tests;
mod text;

use std::sync::Arc;

use usher_api::{BuildContext, DryRun, Exchange, Filter, FilterFactory, Flow, Phase, Transformation};
use usher_config::{Decode, Node, Value};
use usher_http::transform::{Transform, Untransformable};
use usher_http::{FieldId, Fields};

use self::text::{Decoder, Encoder};

/// Marks the frame with trailers.
const TRAILERS: u8 = 0x80;
const GRPC: &str = "application/grpc";
const WEB: &str = "application/grpc-web";
const TEXT: &str = "application/grpc-web-text";

/// The filter `grpc_web`.
pub const FACTORY: FilterFactory = FilterFactory {
    name: "grpc_web",
    phase: Phase::Rewrite,
    summary: "translate gRPC-Web of browsers into gRPC",
    schema: config::GrpcWeb::schema,
    build,
};

fn build(node: &Node, cx: &mut BuildContext<'_, '_>) -> Option<Arc<dyn Filter>> {
    let enabled = match &node.value {
        Value::Bool(enabled) => *enabled,
        _ => config::GrpcWeb::decode(node, cx.config)?.enabled,
    };
    enabled.then(|| Arc::new(GrpcWeb) as Arc<dyn Filter>)
}

struct GrpcWeb;

/// What a content type of gRPC-Web says: whether the body is text, and the kind of messages (`+proto`, or nothing).
fn kind(content_type: &[u8]) -> Option<(bool, &str)> {
    let whole = std::str::from_utf8(content_type).ok()?;
    let name = whole.split(';').next().unwrap_or(whole).trim();
    let rest_of = |prefix: &str| {
        let rest = name
            .get(..prefix.len())
            .filter(|start| start.eq_ignore_ascii_case(prefix))
            .map(|_| &name[prefix.len()..]);
        rest.filter(|rest| rest.is_empty() || rest.starts_with('+'))
    };
    rest_of(TEXT).map(|rest| (true, rest)).or_else(|| rest_of(WEB).map(|rest| (false, rest)))
}

/// What follows the name in a content type of gRPC: the kind of messages and parameters, or nothing.
fn messages(content_type: &[u8]) -> Option<String> {
    let (name, rest) = std::str::from_utf8(content_type).ok()?.split_at_checked(GRPC.len())?;
    let is_grpc =
        name.eq_ignore_ascii_case(GRPC) && matches!(rest.as_bytes().first(), None | Some(b'+' | b';' | b' '));
    is_grpc.then(|| rest.to_owned())
}

impl Filter for GrpcWeb {
    fn on_request(&self, exchange: &mut Exchange) -> Flow {
        let fields = &mut exchange.request.fields;
        let Some((is_text, messages)) = fields.get(FieldId::ContentType).and_then(kind) else {
            return Flow::Continue;
        };
        let plain = format!("application/grpc{messages}");
        fields.remove(FieldId::ContentType);
        fields.push(FieldId::ContentType, plain.as_bytes());
        // An endpoint that offers nothing else may answer with text to who accepts it: that is for us to do.
        fields.remove(FieldId::Accept);
        if is_text {
            exchange.request_transform = Some(Transformation(Box::new(Decoder::default())));
        }
        // Remembered in the one place that lasts until the response.
        let mark = if is_text { "text" } else { "binary" };
        exchange.captures.push(MARK.into(), mark);
        Flow::Continue
    }

    fn on_response(&self, exchange: &mut Exchange) {
        let Some(is_text) = exchange.captures.get(MARK).map(|mark| mark == "text") else { return };
        let fields = &mut exchange.response.fields;
        // An error that no gRPC server made, or what is gRPC-Web already, is left alone.
        let Some(messages) = fields.get(FieldId::ContentType).and_then(messages) else { return };
        fields.remove(FieldId::ContentType);
        fields
            .push(FieldId::ContentType, format!("{}{messages}", if is_text { TEXT } else { WEB }).as_bytes());
        fields.remove(FieldId::Trailer);
        let encoder = is_text.then(Encoder::default);
        exchange.response_transform = Some(Transformation(Box::new(Answer { encoder })));
    }

    fn request_fields(&self) -> Vec<Box<str>> {
        vec!["content-type".into(), "accept".into()]
    }

    fn describe(&self) -> String {
        "gRPC-Web into gRPC".to_owned()
    }

    fn dry_run(&self, _: &mut Exchange) -> Option<DryRun> {
        Some(DryRun::passes("calls of gRPC-Web become calls of gRPC"))
    }
}

/// The name under which a request is remembered; no path pattern can have it.
const MARK: &str = "\u{1}grpc_web";

/// A response: frames as they are, then the trailers as one more.
struct Answer {
    encoder: Option<Encoder>,
}

impl Transform for Answer {
    fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), Untransformable> {
        match &mut self.encoder {
            Some(encoder) => encoder.push(piece, out),
            None => out.extend_from_slice(piece),
        }
        Ok(())
    }

    fn finish(
        &mut self,
        trailers: Option<&Fields>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Fields>, Untransformable> {
        let mut lines = Vec::new();
        for field in trailers.iter().flat_map(|trailers| trailers.iter()) {
            lines.extend(field.name.iter().map(u8::to_ascii_lowercase));
            lines.extend_from_slice(b": ");
            lines.extend_from_slice(field.value);
            lines.extend_from_slice(b"\r\n");
        }
        let mut frame = Vec::with_capacity(5 + lines.len());
        if !lines.is_empty() {
            frame.push(TRAILERS);
            frame.extend_from_slice(&(lines.len() as u32).to_be_bytes());
            frame.extend_from_slice(&lines);
        }
        match &mut self.encoder {
            Some(encoder) => {
                encoder.push(&frame, out);
                encoder.finish(out);
            }
            None => out.extend_from_slice(&frame),
        }
        Ok(None)
    }
}
