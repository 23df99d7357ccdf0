//! A line in the "combined" format of Apache and nginx:
//! `CLIENT - USER [TIME] "METHOD TARGET VERSION" STATUS BODY_BYTES "REFERER" "USER_AGENT"`.

use usher_api::RecordView;
use usher_http::FieldId;

use super::clock::Clock;
use super::text::{push_escaped, push_ip, push_number, push_word};

/// Appends the line without newline.
pub(super) fn write(view: &RecordView<'_>, out: &mut Vec<u8>, clock: &mut Clock) {
    let exchange = view.exchange;
    match exchange.client.ip {
        Some(ip) => push_ip(out, ip),
        None => out.push(b'-'),
    }
    out.extend_from_slice(b" - ");
    push_word(out, exchange.user.as_deref().unwrap_or_default().as_bytes());
    out.extend_from_slice(b" [");
    clock.clf(view.started_unix_micros, out);
    out.extend_from_slice(b"] \"");
    push_request_line(out, view);
    out.extend_from_slice(b"\" ");
    push_number(out, exchange.record.status.into());
    out.push(b' ');
    push_number(out, exchange.record.body_sent);
    let fields = &exchange.request.fields;
    let (referer, user_agent) = (fields.get_named(b"referer"), fields.get(FieldId::UserAgent));
    for value in [referer, user_agent] {
        out.extend_from_slice(b" \"");
        push_escaped(out, value.unwrap_or_default());
        out.push(b'"');
    }
}

/// The request line as it came; `-` if it could not be parsed.
pub(super) fn push_request_line(out: &mut Vec<u8>, view: &RecordView<'_>) {
    push_escaped(out, view.method.as_bytes());
    if view.method != "-" {
        out.push(b' ');
        push_escaped(out, view.target);
        out.push(b' ');
        push_escaped(out, view.version.as_bytes());
    }
}
