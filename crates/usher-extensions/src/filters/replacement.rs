//! What replaces the match of a regular expression: text, groups and variables.

use usher_api::Exchange;
use usher_config::{Regex, ValueError};

use super::text::TemplateText;

/// A replacement, parsed when the config is read: `/users/$1?by={client.ip}`.
pub(super) struct Replacement(Vec<Part>);

enum Part {
    Text(TemplateText),
    Group(usize),
}

impl Replacement {
    /// Splits a replacement into text and groups.
    pub(super) fn parse(text: &str, pattern: &Regex) -> Result<Self, ValueError> {
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
        Ok(Self(found))
    }

    /// Appends the text for a match; `group` is what a group of the expression matched.
    pub(super) fn push<'t>(
        &self,
        group: impl Fn(usize) -> Option<&'t str>,
        exchange: &Exchange,
        out: &mut String,
    ) {
        for part in &self.0 {
            match part {
                Part::Text(text) => text.template.render(exchange, out),
                Part::Group(number) => out.push_str(group(*number).unwrap_or_default()),
            }
        }
    }
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
