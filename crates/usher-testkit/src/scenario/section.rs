//! The outer shape of a scenario file: headings at the left margin, their lines indented below.

use super::failure::Mismatch;
use super::parse;
use super::script::{ClientPlan, Config, EndpointPlan, Scenario, Side};

/// A line with its number from 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub(super) number: usize,
    pub(super) text: &'a str,
}

/// A heading and what is indented below it.
struct Section<'a> {
    heading: Line<'a>,
    body: Vec<Line<'a>>,
}

pub(super) fn error(line: usize, message: impl Into<String>) -> Mismatch {
    Mismatch { line: Some(line), ..Mismatch::new(message) }
}

/// Parses a whole file; the error carries its line.
pub(super) fn parse_scenario(text: &str) -> Result<Scenario, Mismatch> {
    let mut scenario = Scenario::default();
    for section in sections(text)? {
        add(&mut scenario, &section)?;
    }
    match (&scenario.config, scenario.direct) {
        (None, false) => Err(error(1, "a `config` or a line `direct` is due")),
        (Some(_), true) => Err(error(1, "`direct` has no proxy and so no `config`")),
        _ if scenario.clients.is_empty() => Err(error(1, "a `client` is due")),
        (None, true) if scenario.endpoints.is_empty() => Err(error(1, "`direct` needs an `endpoint`")),
        _ => Ok(scenario),
    }
}

fn sections(text: &str) -> Result<Vec<Section<'_>>, Mismatch> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for (at, text) in text.lines().enumerate() {
        let line = Line { number: at + 1, text: text.trim_end() };
        if line.text.starts_with('#') {
            continue;
        }
        if line.text.is_empty() || line.text.starts_with([' ', '\t']) {
            match sections.last_mut() {
                Some(section) => section.body.push(line),
                None if line.text.is_empty() => {}
                None => return Err(error(line.number, "an indented line without a heading above")),
            }
        } else {
            sections.push(Section { heading: line, body: Vec::new() });
        }
    }
    Ok(sections)
}

fn add(scenario: &mut Scenario, section: &Section<'_>) -> Result<(), Mismatch> {
    let line = section.heading.number;
    let words: Vec<&str> = section.heading.text.split_whitespace().collect();
    match words[..] {
        ["direct"] => scenario.direct = true,
        ["config"] | ["config", _] if scenario.config.is_some() => {
            return Err(error(line, "a second `config`"));
        }
        ["config"] => scenario.config = Some(Config { name: None, text: verbatim(&section.body) }),
        ["config", name] => {
            scenario.config = Some(Config { name: Some(name.to_owned()), text: verbatim(&section.body) });
        }
        ["file", name] => scenario.files.push((name.to_owned(), verbatim(&section.body))),
        ["client"] | ["client", _] => {
            let name = words.get(1).copied().unwrap_or_default().to_owned();
            let steps = parse::script(&section.body, Side::Client)?;
            scenario.clients.push(ClientPlan { name, steps });
        }
        ["endpoint", ref rest @ ..] => {
            let (unix, name) = match rest {
                [] => (false, ""),
                ["unix"] => (true, ""),
                [name] => (false, *name),
                [name, "unix"] => (true, *name),
                _ => return Err(error(line, "`endpoint [NAME] [unix]` is due")),
            };
            if scenario.endpoints.iter().any(|endpoint| endpoint.name == name) {
                return Err(error(line, format!("a second endpoint `{name}`")));
            }
            let role = parse::role(&section.body)?;
            scenario.endpoints.push(EndpointPlan { name: name.to_owned(), line, unix, role });
        }
        _ => return Err(error(line, format!("unknown heading `{}`", section.heading.text))),
    }
    Ok(())
}

/// The lines of a block without their common indentation.
pub(super) fn verbatim(body: &[Line<'_>]) -> String {
    let indentation = |line: &Line<'_>| line.text.len() - line.text.trim_start().len();
    let common = body.iter().filter(|line| !line.text.is_empty()).map(indentation).min().unwrap_or(0);
    body.iter().map(|line| format!("{}\n", line.text.get(common..).unwrap_or_default())).collect()
}
