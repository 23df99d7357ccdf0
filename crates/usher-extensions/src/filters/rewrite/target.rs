//! New paths: texts with variables, and replacements with groups of a regular expression.

use usher_api::Exchange;
use usher_config::{Context, Regex, Spanned, ValueError};

use super::config::RegexRule;
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
    path: Vec<Part>,
    query: Option<Vec<Part>>,
}

enum Part {
    Text(TemplateText),
    Group(usize),
}

impl Rule {
    pub(super) fn new(config: &RegexRule, cx: &mut Context<'_>) -> Option<Self> {
        let pattern = config.pattern.value.clone();
        if !check_line(&config.to, ("the replacement", config.to.span), cx) {
            return None;
        }
        let (path, query) = split(&config.to);
        let path = cx.value(config.to.span, parts(path, &pattern))?;
        let query = match query {
            Some(query) => Some(cx.value(config.to.span, parts(query, &pattern))?),
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
        let expand = |parts: &[Part], out: &mut String| {
            for part in parts {
                match part {
                    Part::Text(text) => text.template.render(exchange, out),
                    Part::Group(number) => {
                        out.push_str(found.get(*number).map_or("", |group| group.as_str()))
                    }
                }
            }
        };
        let mut out = String::with_capacity(path.len() + 32);
        out.push_str(path.get(..whole.start()).unwrap_or_default());
        expand(&self.path, &mut out);
        out.push_str(path.get(whole.end()..).unwrap_or_default());
        let query = self.query.as_ref().map(|parts| {
            let mut query = String::new();
            expand(parts, &mut query);
            query
        });
        Some((out, query))
    }
}

/// Splits a replacement into text and groups.
fn parts(text: &str, pattern: &Regex) -> Result<Vec<Part>, ValueError> {
    let mut found = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        plain.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        if let Some(after) = tail.strip_prefix('$') {
            plain.push('$');
            rest = after;
            continue;
        }
        let (name, after) = group_name(tail);
        let number = group(name, pattern)?;
        if !plain.is_empty() {
            found.push(Part::Text(std::mem::take(&mut plain).parse()?));
        }
        found.push(Part::Group(number));
        rest = after;
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        found.push(Part::Text(plain.parse()?));
    }
    Ok(found)
}

/// The name behind a `$`, and what follows: digits, or letters, digits and `_`; in braces if need be.
fn group_name(tail: &str) -> (&str, &str) {
    if let Some((name, after)) = tail.strip_prefix('{').and_then(|inside| inside.split_once('}')) {
        return (name, after);
    }
    let digits = tail.starts_with(|first: char| first.is_ascii_digit());
    let word =
        |char: char| if digits { char.is_ascii_digit() } else { char.is_ascii_alphanumeric() || char == '_' };
    tail.split_at(tail.find(|char| !word(char)).unwrap_or(tail.len()))
}

fn group(name: &str, pattern: &Regex) -> Result<usize, ValueError> {
    let regex = pattern.get();
    let number = match name.parse::<usize>() {
        Ok(number) => Some(number).filter(|number| *number < regex.captures_len()),
        Err(_) => regex.capture_names().position(|known| known == Some(name)),
    };
    number.ok_or_else(|| {
        let message = format!("the expression has no group `{name}`");
        let groups = regex.captures_len() - 1;
        ValueError::new(message).help(match groups {
            0 => "put what shall be kept in parentheses; write `$$` for a dollar sign".to_owned(),
            1 => "its only group is `$1`; write `$$` for a dollar sign".to_owned(),
            _ => format!("its groups are `$1` to `${groups}`; write `$$` for a dollar sign"),
        })
    })
}
