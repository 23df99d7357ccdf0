//! The explanation as text: one block per step, its name on the left.

use std::fmt::{self, Display, Formatter};

use super::{DestinationChosen, Explanation, FilterRun, Mark, OwnReply, RouteFound, Sent, Setting};

/// Columns that the names of steps take.
const MARGIN: usize = 12;

/// The lines of one step.
type Block = (&'static str, Vec<String>);

impl Display for Explanation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", plain(&self.asked.0), plain(&self.asked.1))?;
        for (name, lines) in self.blocks().iter().filter(|(_, lines)| !lines.is_empty()) {
            writeln!(f)?;
            let names = std::iter::once(*name).chain(std::iter::repeat(""));
            for (name, line) in names.zip(lines) {
                writeln!(f, "{}", format!("{name:MARGIN$}{}", plain(line)).trim_end())?;
            }
        }
        Ok(())
    }
}

/// Without what would control a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

impl Explanation {
    fn blocks(&self) -> Vec<Block> {
        let filters = self.filters.iter().zip(1..).flat_map(|(filter, number)| of_filter(filter, number));
        vec![
            ("listener", vec![format!("`{}`", self.listener)]),
            ("client", self.of_client()),
            ("request", self.of_request()),
            ("refused", self.of_refusal()),
            ("route", self.route.iter().flat_map(of_route).collect()),
            ("filters", filters.collect()),
            ("answer", self.reply.iter().flat_map(of_reply).collect()),
            ("cluster", self.destination.iter().flat_map(of_destination).collect()),
            ("sends", self.upstream.iter().flat_map(of_sent).collect()),
            ("limits", of_settings(&self.limits)),
            ("timeouts", of_settings(&self.timeouts)),
            ("mind", self.notes.clone()),
        ]
    }

    fn of_client(&self) -> Vec<String> {
        let client = &self.client;
        match (client.peer, client.ip) {
            (Some(peer), Some(ip)) if peer != ip => vec![format!("{ip}, as the trusted proxy {peer} says")],
            (Some(peer), _) if client.trusted => vec![format!("{peer}, a trusted proxy")],
            (Some(peer), _) => vec![peer.to_string()],
            (None, _) => vec!["on a Unix socket, without an address".to_owned()],
        }
    }

    fn of_request(&self) -> Vec<String> {
        let Some(meaning) = &self.meaning else { return Vec::new() };
        let mut lines = vec![
            format!("host   {}", if meaning.host.is_empty() { "none" } else { &meaning.host }),
            match &meaning.path_came {
                Some(came) => {
                    format!("path   {}   (came as `{came}`, matched and sent in this form)", meaning.path)
                }
                None => format!("path   {}", meaning.path),
            },
        ];
        lines.extend(meaning.query.iter().map(|query| format!("query  {query}")));
        lines.extend(meaning.upgrade.iter().map(|to| format!("wants to switch to {to}")));
        lines
    }

    fn of_refusal(&self) -> Vec<String> {
        let Some(refusal) = &self.refusal else { return Vec::new() };
        vec![
            format!("{} at step `{}`, before any route: {}", refusal.status, refusal.step, refusal.what),
            refusal.why.to_owned(),
        ]
    }
}

fn of_route(route: &RouteFound) -> Vec<String> {
    let mut lines = Vec::new();
    match &route.name {
        Some(name) => {
            lines.push(format!("`{name}`"));
            let fits = |what, pattern: &Option<String>| {
                pattern.as_ref().map(|text| format!("  {what} fits `{text}`"))
            };
            lines.extend(fits("host", &route.host));
            lines.extend(fits("path", &route.path));
            lines
                .extend(route.captures.iter().map(|(name, value)| format!("  {{path.{name}}} is `{value}`")));
        }
        None if !route.allowed.is_empty() => {
            lines.push(format!("none takes this method; allowed are {}", route.allowed.join(", ")));
        }
        None => lines.push("none".to_owned()),
    }
    if !route.near.is_empty() {
        lines.push("near misses:".to_owned());
    }
    lines.extend(route.near.iter().map(|(name, why)| format!("  `{name}`: {why}")));
    if route.more > 0 {
        lines.push(format!("  and {} more", route.more));
    }
    lines
}

fn of_filter(filter: &FilterRun, number: usize) -> Vec<String> {
    let set_to = if filter.set_to.is_empty() { String::new() } else { format!(": {}", filter.set_to) };
    let mut lines = vec![format!("{number} {} ({}){set_to}", filter.name, filter.phase.as_str())];
    if !filter.verdict.is_empty() {
        lines.push(format!("  {}", filter.verdict));
    }
    lines.extend(filter.changes.iter().map(|change| format!("  {change}")));
    if filter.ends() && filter.told {
        lines.push("  what follows is for a request that passes".to_owned());
    }
    lines
}

fn of_reply(reply: &OwnReply) -> Vec<String> {
    let mut lines = vec![format!("{} by usher itself, logged as `{}`", reply.status, reply.reason)];
    lines.extend(reply.fields.iter().map(|(name, value)| format!("  {name}: {value}")));
    lines.push(format!("  body: {}", reply.body));
    lines
}

fn of_destination(to: &DestinationChosen) -> Vec<String> {
    let mut lines = vec![format!("`{}`, {}", to.cluster, to.how)];
    lines.extend(to.shares.iter().map(|(name, percent)| format!("  {percent:5.1} %  `{name}`")));
    let endpoint = |(label, weight): &(String, u32)| {
        let weight = if *weight == 1 { String::new() } else { format!(" (weight {weight})") };
        let next = if to.endpoint.as_ref() == Some(label) { "   ← would be chosen now" } else { "" };
        format!("  {label}{weight}{next}")
    };
    let count = to.endpoints.len();
    lines.push(format!("{} of {count} endpoint{}", to.balance, if count == 1 { "" } else { "s" }));
    lines.extend(to.endpoints.iter().map(endpoint));
    if to.endpoint.is_none() {
        lines.push("  none can be chosen".to_owned());
    }
    lines
}

fn of_sent(sent: &Sent) -> Vec<String> {
    let mut lines = vec![format!("  {}", sent.line)];
    let mark = |mark: Mark| if mark == Mark::Passed { " " } else { "+" };
    lines.extend(
        sent.fields.iter().map(|field| format!("{} {}: {}", mark(field.mark), field.name, field.value)),
    );
    lines.extend(sent.dropped.iter().map(|(name, value)| format!("- {name}: {value}")));
    if sent.body != "none" {
        lines.push(format!("  body: {}", sent.body));
    }
    lines
}

/// Settings side by side.
fn of_settings(settings: &[Setting]) -> Vec<String> {
    let one = |of: &str| {
        let own = settings.iter().filter(|setting| setting.of == of);
        let own: Vec<String> = own.map(|setting| format!("{} {}", setting.name, setting.value)).collect();
        (!own.is_empty()).then(|| format!("{:10}{}", of, own.join(", ")))
    };
    ["listener", "route", "upstream"].into_iter().filter_map(one).collect()
}
