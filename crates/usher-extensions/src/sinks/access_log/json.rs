//! A line as a JSON object. What has no value is left out.

use usher_api::RecordView;

use super::clock::Clock;
use super::line::Line;
use super::text::{push_ip, push_json, push_millis, push_number};

/// The usual length of a line (bytes), so that the buffer grows once.
const USUAL: usize = 768;

/// Appends the line without newline.
pub(super) fn write(line: &Line<'_>, out: &mut Vec<u8>, clock: &mut Clock) {
    let view = line.view;
    out.reserve(USUAL);
    out.extend_from_slice(b"{\"time\":\"");
    clock.rfc3339(view.started_unix_micros, out);
    out.push(b'"');
    request(line, out);
    outcome(view, out);
    path(view, out);
    about(line, out);
    out.push(b'}');
}

fn request(line: &Line<'_>, out: &mut Vec<u8>) {
    let view = line.view;
    if let Some(ip) = view.exchange.client.ip {
        out.extend_from_slice(b",\"client\":\"");
        push_ip(out, ip);
        out.push(b'"');
    }
    text(out, b",\"method\":\"", view.method.as_bytes());
    text(out, b",\"host\":\"", view.exchange.request.host.as_bytes());
    text(out, b",\"target\":\"", line.target());
    text(out, b",\"version\":\"", view.version.as_bytes());
}

fn outcome(view: &RecordView<'_>, out: &mut Vec<u8>) {
    let record = &view.exchange.record;
    number(out, b",\"status\":", record.status.into());
    number(out, b",\"received\":", record.received);
    number(out, b",\"sent\":", record.sent);
    millis(out, b",\"total_ms\":", record.total);
    if !view.cluster.is_empty() {
        millis(out, b",\"connect_ms\":", record.connect);
        millis(out, b",\"first_byte_ms\":", record.first_byte);
    }
}

fn path(view: &RecordView<'_>, out: &mut Vec<u8>) {
    let record = &view.exchange.record;
    text(out, b",\"route\":\"", view.route.as_bytes());
    text(out, b",\"cluster\":\"", view.cluster.as_bytes());
    text(out, b",\"endpoint\":\"", view.endpoint.as_bytes());
    if !view.endpoint.is_empty() {
        out.extend_from_slice(if record.reused { b",\"reused\":true" } else { b",\"reused\":false" });
        number(out, b",\"retries\":", record.retries.into());
    }
}

fn about(line: &Line<'_>, out: &mut Vec<u8>) {
    let exchange = line.view.exchange;
    text(out, b",\"request_id\":\"", exchange.id.as_str().as_bytes());
    text(out, b",\"user\":\"", exchange.user.as_deref().unwrap_or_default().as_bytes());
    text(out, b",\"reason\":\"", exchange.record.reason.as_bytes());
    text(out, b",\"detail\":\"", line.detail(&mut String::new()).as_bytes());
    text(out, b",\"user_agent\":\"", line.user_agent());
    text(out, b",\"referer\":\"", line.referer());
}

#[inline]
fn text(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    if !value.is_empty() {
        out.extend_from_slice(key);
        push_json(out, value);
        out.push(b'"');
    }
}

#[inline]
fn number(out: &mut Vec<u8>, key: &[u8], value: u64) {
    out.extend_from_slice(key);
    push_number(out, value);
}

#[inline]
fn millis(out: &mut Vec<u8>, key: &[u8], micros: u64) {
    out.extend_from_slice(key);
    push_millis(out, micros);
}
