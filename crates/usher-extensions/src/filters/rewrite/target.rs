//! New paths: texts with variables, and replacements with groups of a regular expression.

use usher_api::Exchange;
use usher_config::{Context, Regex, Spanned};

use super::config::RegexRule;
use crate::filters::replacement::Replacement;
use crate::filters::text::{TemplateText, check_line};

/// A path, and the query behind its `?` if it has one.
pub(super) struct Target {
    pub(super) path: TemplateText,
    pub(super) query: Option<TemplateText>,
}

impl Target {
    pub(super) fn new(text: &Spanned<TemplateText>, cx: &mut Context<'_>) -> Option<Self> {
        if !check_line(&text.text, ("the path", text.span), cx) {
            return None;
        }
        let (path, query) = split(&text.text);
        if !path.starts_with(['/', '{']) {
            let help = format!("write `/{}`", text.text);
            cx.error_help(text.span, format!("the path `{}` does not begin with `/`", text.text), help);
            return None;
        }
        let path = cx.value(text.span, path.parse())?;
        let query = match query {
            Some(query) => Some(cx.value(text.span, query.parse())?),
            None => None,
        };
        Some(Self { path, query })
    }
}

/// Splits at the first `?` that is written, which none from a variable can be.
fn split(text: &str) -> (&str, Option<&str>) {
    text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)))
}

/// A regular expression and what replaces its first match.
pub(super) struct Rule {
    pattern: Regex,
    path: Replacement,
    query: Option<Replacement>,
}

impl Rule {
    pub(super) fn new(config: &RegexRule, cx: &mut Context<'_>) -> Option<Self> {
        let pattern = config.pattern.value.clone();
        if !check_line(&config.to, ("the replacement", config.to.span), cx) {
            return None;
        }
        let (path, query) = split(&config.to);
        let path = cx.value(config.to.span, Replacement::parse(path, &pattern))?;
        let query = match query {
            Some(query) => Some(cx.value(config.to.span, Replacement::parse(query, &pattern))?),
            None => None,
        };
        Some(Self { pattern, path, query })
    }

    /// As written.
    pub(super) fn pattern(&self) -> &str {
        self.pattern.as_str()
    }

    /// The new path and, if the rule writes one, the new query; none where the expression is not found.
    pub(super) fn apply(&self, exchange: &Exchange) -> Option<(String, Option<String>)> {
        let path = exchange.request.path.as_str();
        let found = self.pattern.get().captures(path)?;
        let whole = found.get(0)?;
        let group = |number: usize| found.get(number).map(|group| group.as_str());
        let mut out = String::with_capacity(path.len() + 32);
        out.push_str(path.get(..whole.start()).unwrap_or_default());
        self.path.push(group, exchange, &mut out);
        out.push_str(path.get(whole.end()..).unwrap_or_default());
        let query = self.query.as_ref().map(|replacement| {
            let mut query = String::new();
            replacement.push(group, exchange, &mut query);
            query
        });
        Some((out, query))
    }
}
