//! A line in the "combined" format of Apache and nginx:
//! `CLIENT - USER [TIME] "METHOD TARGET VERSION" STATUS BODY_BYTES "REFERER" "USER_AGENT"`.

use super::clock::Clock;
use super::line::Line;
use super::text::{push_escaped, push_ip, push_number, push_word};

/// Appends the line without newline.
pub(super) fn write(line: &Line<'_>, out: &mut Vec<u8>, clock: &mut Clock) {
    let exchange = line.view.exchange;
    match exchange.client.ip {
        Some(ip) => push_ip(out, ip),
        None => out.push(b'-'),
    }
    out.extend_from_slice(b" - ");
    push_word(out, exchange.user.as_deref().unwrap_or_default().as_bytes());
    out.extend_from_slice(b" [");
    clock.clf(line.view.started_unix_micros, out);
    out.extend_from_slice(b"] \"");
    push_request_line(out, line, push_escaped);
    out.extend_from_slice(b"\" ");
    push_number(out, exchange.record.status.into());
    out.push(b' ');
    push_number(out, exchange.record.body_sent);
    for value in [line.referer(), line.user_agent()] {
        out.extend_from_slice(b" \"");
        push_escaped(out, value);
        out.push(b'"');
    }
}

/// The request line as it came, escaped by `push`; what that makes of nothing if it could not be parsed.
pub(super) fn push_request_line(out: &mut Vec<u8>, line: &Line<'_>, push: fn(&mut Vec<u8>, &[u8])) {
    let view = line.view;
    push(out, view.method.as_bytes());
    if !view.method.is_empty() {
        out.push(b' ');
        push(out, line.target());
        out.push(b' ');
        push(out, view.version.as_bytes());
    }
}
