//! The limits and the timeouts that apply to a request.

use usher_config::value::format_duration;

use super::Setting;
use super::run::size;
use crate::snapshot::{ListenerSpec, Route};

/// Limits, then timeouts.
pub(super) fn of(listener: &ListenerSpec, route: &Route) -> (Vec<Setting>, Vec<Setting>) {
    let one = |name, value, of| Setting { name, value, of };
    let limits = vec![
        one("request_line", size(listener.head.line as u64), "listener"),
        one("head", size(listener.head.head as u64), "listener"),
        one("fields", listener.head.fields.to_string(), "listener"),
        one("body", route.max_body.map_or("unlimited".to_owned(), size), "route"),
    ];
    let times = &listener.timeouts;
    let own = |name, own: Option<_>, others| {
        one(name, format_duration(own.unwrap_or(others)), if own.is_some() { "route" } else { "listener" })
    };
    let timeouts = vec![
        one("head", format_duration(times.head), "listener"),
        own("body_idle", route.body_idle, times.body_idle),
        own("write_stall", route.write_stall, times.write_stall),
        one("keep_alive", format_duration(times.keep_alive), "listener"),
        own("tunnel_idle", route.tunnel_idle, times.tunnel_idle),
    ];
    (limits, timeouts)
}
