//! What goes together with TLS, and what does not.

use crate::Diagnostic;
use crate::config::{Carries, Config, DEFAULT_TLS_PORT, Listener, Protocol};
use crate::decode::{Context, Spanned};
use crate::source::Span;
use crate::value::BindAddress;

/// All of it. A `tls` that could not be read looks as if there were none, so nothing is said where there are errors.
pub(super) fn all(config: &Config, cx: &mut Context<'_>) {
    if cx.has_errors() {
        return;
    }
    for listener in &config.listeners {
        http3(listener, cx);
        if listener.tls.on().is_some() {
            with_tls(listener, cx);
        } else {
            without_tls(listener, cx);
        }
    }
    let has_tls = config.listeners.iter().any(|listener| listener.tls.on().is_some());
    if !config.listeners.is_empty() && !has_tls {
        for certificate in &config.certificates {
            let found = Diagnostic::warning("no listener shows this certificate, as none has TLS");
            let found = found.at(certificate.cert.span, "");
            cx.push(found.help("set `tls = true` on a `[[listener]]`"));
        }
    }
}

/// HTTP/3 where it is asked for and cannot be.
fn http3(listener: &Listener, cx: &mut Context<'_>) {
    let Some(asked) = listener.protocols.iter().find(|one| one.value == Protocol::H3) else { return };
    let no_udp = listener.bind.iter().find(|bind| matches!(bind.value, BindAddress::Unix(_)));
    if listener.tls.on().is_none() {
        let help = "set `tls = true` on this listener, or leave out `h3`";
        cx.error_help(asked.span, "HTTP/3 needs TLS", help);
    } else if let Some(proxy) = &listener.proxy_protocol {
        let error = Diagnostic::error("HTTP/3 cannot be spoken behind a PROXY header");
        let error = error.at(asked.span, "").at(proxy.span, "that header is for TCP only");
        cx.push(error.help("leave out `h3`, or give HTTP/3 a listener of its own"));
    } else if let Some(unix) = no_udp {
        let error = Diagnostic::error("HTTP/3 needs UDP, which a Unix socket has not");
        let error = error.at(asked.span, "").at(unix.span, "this one");
        cx.push(error.help("leave out `h3`, or listen on an address"));
    } else if listener.protocols.iter().all(|one| one.value == Protocol::H3) {
        let found = Diagnostic::warning("only HTTP/3 is spoken, which clients hear of by HTTP/1.1 or 2");
        cx.push(found.at(asked.span, "").help("add `h1` and `h2`"));
    }
}

fn with_tls(listener: &Listener, cx: &mut Context<'_>) {
    if listener.redirect_https == Some(true) {
        let found = Diagnostic::warning("`redirect_https` does nothing on a listener with TLS");
        let help = "set it on the listener that clients come to without TLS";
        cx.push(found.at(place(listener), "this one has TLS").help(help));
    }
    let early = listener.tls.on().is_some_and(|tls| tls.early_data);
    if early && (!listener.speaks(Protocol::H3) || listener.proxy_protocol.is_some()) {
        let found = Diagnostic::warning("`early_data` is for HTTP/3, which this listener does not speak");
        cx.push(found.at(place(listener), "").help("leave it out, or let `protocols` have `h3`"));
    }
}

/// Clients that are told `https://` come to that port, and begin with TLS.
fn without_tls(listener: &Listener, cx: &mut Context<'_>) {
    let expected = |bind: &&Spanned<BindAddress>| bind.port() == Some(DEFAULT_TLS_PORT);
    if let Some(bind) = listener.bind.iter().find(expected).filter(|_| listener.protocol == Carries::Http) {
        let found = Diagnostic::warning("this listener has no TLS, which clients expect on port 443");
        cx.push(found.at(bind.span, "").help("set `tls = true`"));
    }
}

fn place(listener: &Listener) -> Span {
    listener.bind.first().map_or(Span::NONE, |bind| bind.span)
}

#[cfg(test)]
mod tests;
