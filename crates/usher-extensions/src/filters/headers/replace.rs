//! `replace`: changes to values that are there.

use usher_api::Exchange;
use usher_config::{Context, Key, Regex};

use super::config::ValueRule;
use crate::filters::fields::{Direction, add_all, changed, check_name};
use crate::filters::replacement::Replacement;
use crate::filters::text::check_line;

/// The changes to the values of one name.
pub(super) struct Replace {
    pub(super) name: Box<str>,
    rules: Vec<(Regex, Replacement)>,
}

impl Replace {
    pub(super) fn new(
        key: &Key,
        rules: &[ValueRule],
        direction: Direction,
        cx: &mut Context<'_>,
    ) -> Option<Self> {
        let named = check_name(&key.name, key.span, direction, cx);
        let rules = rules.iter().filter_map(|rule| {
            let pattern = rule.pattern.value.clone();
            let plain = check_line(&rule.to.replace('\t', " "), ("the replacement", rule.to.span), cx);
            let to = cx.value(rule.to.span, Replacement::parse(&rule.to, &pattern))?;
            plain.then_some((pattern, to))
        });
        let rules = rules.collect();
        named.then(|| Self { name: key.name.as_str().into(), rules })
    }

    /// Changes what there is of the name in the exchange's head. A value that comes out empty is taken away.
    pub(super) fn apply(&self, direction: Direction, exchange: &mut Exchange) {
        let name = self.name.as_bytes();
        let fields = match direction {
            Direction::Request => &exchange.request.fields,
            Direction::Response => &exchange.response.fields,
        };
        let Some(values) = changed(fields, name, |value| self.value(value, exchange)) else { return };
        direction.remove(exchange, &self.name);
        add_all(direction.fields(exchange), name, &values);
    }

    /// What a value becomes; none if no expression is found in it.
    fn value(&self, value: &str, exchange: &Exchange) -> Option<String> {
        let mut new: Option<String> = None;
        for (pattern, to) in &self.rules {
            let text = new.as_deref().unwrap_or(value);
            let Some(found) = pattern.get().captures(text) else { continue };
            let Some(whole) = found.get(0) else { continue };
            let mut out = String::with_capacity(text.len() + 32);
            out.push_str(text.get(..whole.start()).unwrap_or_default());
            to.push(|number| found.get(number).map(|group| group.as_str()), exchange, &mut out);
            out.push_str(text.get(whole.end()..).unwrap_or_default());
            new = Some(out);
        }
        new
    }
}
