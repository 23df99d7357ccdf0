//! Diagnostics as text for a terminal or a log.

use std::fmt::Write;
use std::ops::Range;

use unicode_width::UnicodeWidthStr as _;

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

/// Whether a character changes the direction of what follows it.
fn turns_direction(char: char) -> bool {
    matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
}

/// The part of a line to show, how many columns lie before the mark, and how wide the mark is. Of an endless line,
/// only what is near the mark is looked at.
fn excerpt(source: &Source, line: usize, label: &Label) -> (String, usize, usize) {
    let range = source.line_range(line);
    let text = source.text();
    let start = (label.span.start as usize).clamp(range.start, range.end);
    let end = (label.span.end as usize).clamp(start, range.end);
    let part = |range: Range<usize>| text.get(range).unwrap_or("");
    let (head, head_cut) = last(part(range.start..start), MAX_SHOWN);
    let (marked, marked_cut) = first(part(start..end), MAX_SHOWN);
    let (tail, tail_cut) = first(part(end..range.end), MAX_SHOWN);
    let (before, marked, after) = (visible(head), visible(marked), visible(tail));
    let whole = format!("{before}{marked}{after}");
    if !(head_cut || marked_cut || tail_cut) && whole.width() <= MAX_SHOWN {
        return (whole, before.width(), marked.width().max(1));
    }
    let (before, cut) = last(&before, LEAD);
    let dots = if cut || head_cut { "…" } else { "" };
    let behind = format!("{marked}{after}");
    let (behind, cut) = first(&behind, MAX_SHOWN - before.chars().count());
    let more = if cut || marked_cut || tail_cut { "…" } else { "" };
    let lead = dots.width() + before.width();
    (format!("{dots}{before}{behind}{more}"), lead, marked.width().clamp(1, MAX_SHOWN - LEAD))
}

/// The first characters of a text, and whether there are more.
fn first(text: &str, count: usize) -> (&str, bool) {
    text.char_indices().nth(count).map_or((text, false), |(at, _)| (&text[..at], true))
}

/// The last characters of a text, and whether there are more.
fn last(text: &str, count: usize) -> (&str, bool) {
    let start = text.char_indices().rev().nth(count.saturating_sub(1)).map_or(0, |(at, _)| at);
    (&text[start..], start > 0)
}

/// Text in which no control character reaches the terminal, nor one that turns the direction of writing (Unicode
/// Standard Annex 9), which would show the line in another order than it is read; a tab is two columns wide.
fn visible(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, char| {
        match char {
            '\t' => out.push_str("  "),
            '\n' => out.push('\n'),
            char if char.is_control() || turns_direction(char) => out.push('\u{fffd}'),
            char => out.push(char),
        }
        out
    })
}
