//! Changes to the parameters of a query.

use usher_api::Exchange;

use super::config::QueryEdits;
use crate::filters::escape;
use crate::filters::text::TemplateText;

/// Parameters to remove, set and add; names are kept decoded for comparison.
pub(super) struct Edits {
    /// Of `remove` and of `set`: what goes.
    gone: Vec<Box<[u8]>>,
    /// Of `set` and of `add`, behind what stays.
    written: Vec<(Box<str>, TemplateText)>,
}

impl Edits {
    pub(super) fn new(config: &QueryEdits) -> Self {
        let removed = config.remove.iter().map(|name| name.value.as_str());
        let gone = removed.chain(config.set.names()).map(|name| name.as_bytes().into()).collect();
        let entries = config.set.iter().chain(config.add.iter());
        let written = entries.map(|(key, value)| (key.name.as_str().into(), value.value.clone())).collect();
        Self { gone, written }
    }

    /// The new query; none if nothing is left.
    pub(super) fn apply(&self, exchange: &Exchange) -> Option<String> {
        let before = exchange.request.query.as_deref().unwrap_or_default();
        let mut out = String::with_capacity(before.len() + 32);
        for pair in before.split('&').filter(|pair| !pair.is_empty()) {
            let name = pair.split_once('=').map_or(pair, |(name, _)| name);
            if !self.gone.iter().any(|gone| is_name(name.as_bytes(), gone)) {
                separate(&mut out);
                out.push_str(pair);
            }
        }
        for (name, value) in &self.written {
            separate(&mut out);
            escape::push_query_part(name, &mut out);
            out.push('=');
            escape::push_query_part(&value.render(exchange), &mut out);
        }
        (!out.is_empty()).then_some(out)
    }
}

fn separate(out: &mut String) {
    if !out.is_empty() {
        out.push('&');
    }
}

/// Whether a name as it is written in a query, escapes and `+` decoded, is this name: an endpoint decodes it too.
pub(super) fn is_name(written: &[u8], name: &[u8]) -> bool {
    let mut rest = written;
    let mut wanted = name.iter();
    while let Some((&byte, tail)) = rest.split_first() {
        let (value, after) = match (byte, tail) {
            (b'+', _) => (b' ', tail),
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => (byte, tail),
            },
            _ => (byte, tail),
        };
        if wanted.next() != Some(&value) {
            return false;
        }
        rest = after;
    }
    wanted.next().is_none()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
