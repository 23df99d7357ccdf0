//! What a process says when it begins to serve.

use std::fmt::Write;

use usher_config::config::Admin;
use usher_net::Address;

use super::control::Control;
use crate::assemble;
use crate::demo::Demo;
use crate::terminal::say;

/// Says what is served, where, and from which config.
pub(super) fn show(control: &Control, memory: &str, demo: Option<&Demo>) {
    let snapshot = &control.built.snapshot;
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let mut text = format!(
        "usher {} serves {} with {}, process {}\n",
        env!("CARGO_PKG_VERSION"),
        control.origin.name(),
        count(control.workers.len(), "worker"),
        std::process::id(),
    );
    for held in &control.sockets.held {
        let _ = writeln!(
            text,
            "  listener {}: {}",
            held.listener,
            link(&held.local, scheme(control, &held.listener))
        );
    }
    if let Some(told) = assemble::default_listener(&control.loaded) {
        let _ = writeln!(text, "  {told}");
    }
    let _ = writeln!(
        text,
        "  {}, {}",
        count(snapshot.routes.len(), "route"),
        count(snapshot.clusters.len(), "cluster")
    );
    let _ = writeln!(text, "  memory: {memory}");
    if let Admin::On(admin) = &control.loaded.config.admin {
        let _ = writeln!(text, "  admin: {} (/metrics, /healthz, /readyz)", admin.bind.value);
    }
    if let Some(demo) = demo {
        text.push_str(&demo.hints());
    }
    say(&text);
}

/// How a listener is spoken to.
fn scheme(control: &Control, listener: &str) -> &'static str {
    let listeners = &control.built.snapshot.listeners;
    let spec = listeners.iter().find(|spec| *spec.name == *listener);
    if spec.is_some_and(|spec| spec.udp.is_some()) {
        return "udp";
    }
    match spec.map(|spec| (spec.tcp.is_some(), spec.tls.is_some())) {
        Some((true, false)) => "tcp",
        Some((true, true)) => "tls",
        Some((false, true)) => "https",
        _ => "http",
    }
}

/// As a browser takes it.
fn link(address: &Address, scheme: &str) -> String {
    match address {
        Address::Ip(address) if address.ip().is_unspecified() => {
            format!("{scheme}://localhost:{} (all addresses, {address})", address.port())
        }
        Address::Ip(address) => format!("{scheme}://{address}"),
        Address::Unix(_) => address.to_string(),
    }
}
