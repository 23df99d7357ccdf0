//! What means something to nginx, but not here: its variables, and its name for any host.

use super::Config;
use crate::decode::Context;
use crate::diagnostic::Diagnostic;
use crate::document::{Document, Node, Value};

/// nginx's variables without their `$`, and what stands for them here.
const VARIABLES: [(&str, &str); 17] = [
    ("host", "{request.host}"),
    ("http_host", "{request.authority}"),
    ("remote_addr", "{client.ip}"),
    ("realip_remote_addr", "{client.ip}"),
    ("remote_port", "{client.port}"),
    ("remote_user", "{user}"),
    ("scheme", "{request.scheme}"),
    ("uri", "{request.path}"),
    ("document_uri", "{request.path}"),
    ("request_uri", "{request.uri}"),
    ("request_method", "{request.method}"),
    ("request_id", "{request.id}"),
    ("args", "{request.query}"),
    ("query_string", "{request.query}"),
    ("server_protocol", "{request.version}"),
    ("status", "{status}"),
    ("proxy_add_x_forwarded_for", "nothing: `X-Forwarded-For` is always set"),
];
/// Prefixes of variables that have a name in them.
const NAMED: [(&str, &str); 4] = [
    ("http_", "{request.header.NAME}"),
    ("arg_", "{request.query.NAME}"),
    ("cookie_", "{request.cookie.NAME}"),
    ("sent_http_", "{response.header.NAME}"),
];

/// Warns of them, wherever a text holds them: `$` before such a name means nothing else in a pattern either.
pub(super) fn all(config: &Config, document: &Document, cx: &mut Context<'_>) {
    below(&document.root, cx);
    for host in config.routes.iter().flat_map(|route| &route.host).filter(|host| host.value == "_") {
        let found = Diagnostic::warning("no client asks for the host `_`").at(host.span, "");
        cx.push(found.help("leave out `host`: a route without it takes every host"));
    }
}

fn below(node: &Node, cx: &mut Context<'_>) {
    match &node.value {
        Value::List(items) => items.iter().for_each(|item| below(item, cx)),
        Value::Table(entries) => entries.iter().for_each(|(_, node)| below(node, cx)),
        Value::String(text) if text.contains('$') && !node.substituted => {
            if let Some((written, ours)) = find(text) {
                warn(node, &written, &ours, cx);
            }
        }
        _ => {}
    }
}

/// The first such variable in a text, with its `$`, and what to write.
fn find(text: &str) -> Option<(String, String)> {
    text.split('$').skip(1).find_map(|rest| {
        let end = rest.find(|char: char| !char.is_ascii_alphanumeric() && char != '_').unwrap_or(rest.len());
        let name = &rest[..end];
        ours(name).map(|ours| (format!("${name}"), ours))
    })
}

fn ours(name: &str) -> Option<String> {
    if let Some((_, ours)) = VARIABLES.iter().find(|(theirs, _)| *theirs == name) {
        return Some((*ours).to_owned());
    }
    let named = NAMED.iter().find_map(|(prefix, ours)| Some((name.strip_prefix(prefix)?, ours)));
    let (field, ours) = named.filter(|(field, _)| !field.is_empty())?;
    Some(
        ours.replace(
            "NAME",
            &if ours.contains("header") { field.replace('_', "-") } else { field.to_owned() },
        ),
    )
}

fn warn(node: &Node, written: &str, ours: &str, cx: &mut Context<'_>) {
    let place = cx.sources().part(node.span, written, 0..written.len());
    let found = Diagnostic::warning(format!("`{written}` is plain text here")).at(place, "");
    let write = if ours.starts_with('{') { format!("write `{ours}`") } else { format!("write {ours}") };
    cx.push(found.help(format!("is it nginx's variable? {write}")));
}
