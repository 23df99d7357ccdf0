//! Diagnostics as text for a terminal or a log.

use std::fmt::Write;

use crate::diagnostic::{Diagnostic, Label, Severity};
use crate::source::{Source, Sources};

/// Characters of a source line that are shown; longer lines are cut around the place.
const MAX_SHOWN: usize = 120;
/// Characters shown before the place when a line is cut.
const LEAD: usize = 40;

/// Terminal escapes, or nothing.
struct Paint(bool);

impl Paint {
    fn wrap(&self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn title(&self, severity: Severity) -> String {
        match severity {
            Severity::Error => self.wrap("1;31", "error"),
            Severity::Warning => self.wrap("1;33", "warning"),
        }
    }

    fn quiet(&self, text: &str) -> String {
        self.wrap("34", text)
    }
}

/// Every finding, separated by blank lines, and a line that counts them.
pub(crate) fn all(found: &[Diagnostic], sources: &Sources, colour: bool) -> String {
    let mut out = String::new();
    for diagnostic in found {
        out.push_str(&self::diagnostic(diagnostic, sources, colour));
        out.push('\n');
    }
    let errors = found.iter().filter(|one| one.is_error()).count();
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let _ = match (errors, found.len() - errors) {
        (errors, 0) => writeln!(out, "{}", count(errors, "error")),
        (0, warnings) => writeln!(out, "{}", count(warnings, "warning")),
        (errors, warnings) => writeln!(out, "{}, {}", count(errors, "error"), count(warnings, "warning")),
    };
    out
}

/// One finding.
pub(crate) fn diagnostic(found: &Diagnostic, sources: &Sources, colour: bool) -> String {
    let paint = Paint(colour);
    let mut out = format!("{}: {}\n", paint.title(found.severity), visible(&found.message));
    let lines = found.labels.iter().filter_map(|label| sources.place(label.span)).map(|place| place.line);
    let gutter = lines.max().unwrap_or(0).to_string().len();
    for (index, label) in found.labels.iter().enumerate() {
        snippet(&mut out, label, sources, &Look { paint: &paint, gutter, primary: index == 0 });
    }
    if let Some(help) = &found.help {
        let mark = paint.quiet(&format!("{:gutter$} =", ""));
        let _ = writeln!(out, "{mark} {}: {}", paint.wrap("1;36", "help"), visible(help));
    }
    out
}

/// How one snippet is drawn.
struct Look<'a> {
    paint: &'a Paint,
    gutter: usize,
    primary: bool,
}

/// The place, the line, and the mark under it.
fn snippet(out: &mut String, label: &Label, sources: &Sources, look: &Look<'_>) {
    let (Some(place), Some(source)) = (sources.place(label.span), sources.get(label.span.source)) else {
        return;
    };
    let gutter = look.gutter;
    let arrow = look.paint.quiet(&format!("{:gutter$}-->", ""));
    let _ = writeln!(out, "{arrow} {place}");
    let bar = look.paint.quiet(&format!("{:gutter$} |", ""));
    let number = look.paint.quiet(&format!("{:gutter$} |", place.line));
    let (text, lead, width) = excerpt(source, place.line - 1, label);
    let mark = if look.primary { "^" } else { "-" }.repeat(width);
    let mark = look.paint.wrap(if look.primary { "1;31" } else { "34" }, &mark);
    let _ = writeln!(out, "{bar}\n{number} {text}");
    let remark = visible(&label.text);
    let _ = writeln!(out, "{}", format!("{bar} {:lead$}{mark} {remark}", "").trim_end());
}

/// The part of a line to show, how many columns lie before the mark, and how wide the mark is.
fn excerpt(source: &Source, line: usize, label: &Label) -> (String, usize, usize) {
    let range = source.line_range(line);
    let text = source.text();
    let start = (label.span.start as usize).clamp(range.start, range.end);
    let end = (label.span.end as usize).clamp(start, range.end);
    let before = visible(text.get(range.start..start).unwrap_or(""));
    let marked = visible(text.get(start..end).unwrap_or(""));
    let after = visible(text.get(end..range.end).unwrap_or(""));
    let (before_width, marked_width) = (before.chars().count(), marked.chars().count());
    let whole = format!("{before}{marked}{after}");
    if whole.chars().count() <= MAX_SHOWN {
        return (whole, before_width, marked_width.max(1));
    }
    let skip = before_width.saturating_sub(LEAD);
    let dots = if skip > 0 { "…" } else { "" };
    let shown: String = whole.chars().skip(skip).take(MAX_SHOWN).collect();
    let lead = before_width - skip + dots.chars().count();
    (format!("{dots}{shown}…"), lead, marked_width.clamp(1, MAX_SHOWN - LEAD))
}

/// Text in which no control character reaches the terminal; a tab is two columns wide.
fn visible(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, char| {
        match char {
            '\t' => out.push_str("  "),
            '\n' => out.push('\n'),
            char if char.is_control() => out.push('\u{fffd}'),
            char => out.push(char),
        }
        out
    })
}
