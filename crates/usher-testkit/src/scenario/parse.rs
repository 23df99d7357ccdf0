//! The lines of a script: what is sent, what is expected, and the checks below an expectation.

use super::check::{Check, What, number, status};
use super::failure::Mismatch;
use super::pattern::{Pattern, ends_in_backslash};
use super::script::{Action, Answer, Expect, Part, Role, Side, Step};
use super::section::{Line, error, verbatim};
use std::time::Duration;

/// Longest pause and longest timeout that a scenario may ask for.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// A script in the making: bytes to send are joined until something else is asked for, so that they leave in one write.
struct Script {
    side: Side,
    steps: Vec<Step>,
    pending: Option<(usize, Vec<u8>)>,
}

/// What an endpoint is for: one word, or a script.
pub(super) fn role(body: &[Line<'_>]) -> Result<Role, Mismatch> {
    let is_step = |line: &&Line<'_>| !line.text.is_empty() && !line.text.trim_start().starts_with('#');
    let steps: Vec<&Line<'_>> = body.iter().filter(is_step).collect();
    let [only] = steps[..] else {
        return match steps.is_empty() {
            true => Ok(Role::Untouched),
            false => script(body, Side::Endpoint).map(Role::Script),
        };
    };
    let text = only.text.trim();
    match text {
        "untouched" => return Ok(Role::Untouched),
        "no-request" => return Ok(Role::NoRequest),
        "refuse" => return Ok(Role::Refuse),
        "serve echo" => return Ok(Role::Serve { status: 200, body: Answer::Echo }),
        _ => {}
    }
    let Some(rest) = text.strip_prefix("serve ") else {
        return script(body, Side::Endpoint).map(Role::Script);
    };
    let (status, quoted) = match rest.split_once(' ') {
        Some((status, quoted)) if !rest.starts_with('"') => (code(status, only.number)?, quoted),
        _ => (200, rest),
    };
    let body = Pattern::parse_quoted(quoted).map_err(|message| error(only.number, message))?;
    Ok(Role::Serve { status, body: Answer::Text(body.bytes()) })
}

/// Parses the lines of one script.
pub(super) fn script(body: &[Line<'_>], side: Side) -> Result<Vec<Step>, Mismatch> {
    let mut script = Script { side, steps: Vec::new(), pending: None };
    let mut lines = body;
    while let Some((line, rest)) = lines.split_first() {
        lines = rest;
        let text = line.text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        match text.strip_prefix("send <<") {
            Some(end) => {
                let at = rest.iter().position(|line| line.text.trim() == end);
                let at = at.ok_or_else(|| error(line.number, format!("the block has no end `{end}`")))?;
                let (block, after) = rest.split_at(at);
                let block = verbatim(block);
                for text in block.lines() {
                    script.send(line.number, wire_line(text, line.number)?);
                }
                lines = after.get(1..).unwrap_or_default();
            }
            None => script.line(Line { number: line.number, text })?,
        }
    }
    script.flush();
    Ok(script.steps)
}

/// A line as it goes over the wire: CRLF at its end unless a backslash is there.
fn wire_line(text: &str, number: usize) -> Result<Vec<u8>, Mismatch> {
    let failed = |message| error(number, message);
    match text.strip_suffix('\\').filter(|_| ends_in_backslash(text)) {
        Some(open) => Ok(Pattern::parse(open).map_err(failed)?.bytes()),
        None => Ok([&Pattern::parse(text).map_err(failed)?.bytes()[..], b"\r\n"].concat()),
    }
}

impl Script {
    fn send(&mut self, line: usize, bytes: Vec<u8>) {
        self.pending.get_or_insert((line, Vec::new())).1.extend(bytes);
    }

    fn flush(&mut self) {
        if let Some((line, bytes)) = self.pending.take() {
            self.steps.push(Step { line, action: Action::Send(bytes) });
        }
    }

    fn line(&mut self, line: Line<'_>) -> Result<(), Mismatch> {
        let after_mark = |rest: &str| rest.strip_prefix(' ').unwrap_or(rest).to_owned();
        if let Some(rest) = line.text.strip_prefix('>') {
            let bytes = wire_line(&after_mark(rest), line.number)?;
            self.send(line.number, bytes);
            return Ok(());
        }
        let (word, rest) = line.text.split_once(' ').unwrap_or((line.text, ""));
        let rest = rest.trim_start();
        if word == "send" {
            let text = Pattern::parse_quoted(rest).map_err(|message| error(line.number, message))?;
            self.send(line.number, text.bytes());
            return Ok(());
        }
        self.flush();
        if let Some(text) = line.text.strip_prefix('<') {
            let expect = expected_line(&after_mark(text), line.number)?;
            self.push(line.number, Action::Expect(expect));
        } else if word == "expect" {
            self.expect(rest, line.number)?;
        } else if let Some(what) = What::parse(word, rest).map_err(|message| error(line.number, message))? {
            self.check(Check { line: line.number, what })?;
        } else {
            let action = self.action(word, rest).map_err(|message| error(line.number, message))?;
            self.push(line.number, action);
        }
        Ok(())
    }

    fn push(&mut self, line: usize, action: Action) {
        self.steps.push(Step { line, action });
    }

    /// Adds a check to the expectation above it.
    fn check(&mut self, check: Check) -> Result<(), Mismatch> {
        let line = check.line;
        match self.steps.last_mut().map(|step| &mut step.action) {
            Some(Action::Expect(Expect::Request { checks, .. } | Expect::Response { checks, .. })) => {
                checks.push(check);
                Ok(())
            }
            _ => Err(error(line, "a check without an `expect request` or `expect response` above it")),
        }
    }

    fn expect(&mut self, rest: &str, line: usize) -> Result<(), Mismatch> {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let response = |part, to: &str| Expect::Response { to: to.to_owned(), part, checks: Vec::new() };
        let expect = match (self.side, &words[..]) {
            (_, ["close"]) => Expect::Close,
            (_, ["eof"]) => Expect::Eof,
            (_, ["reset"]) => Expect::Reset,
            (_, ["end"]) => Expect::End,
            (Side::Endpoint, ["request"]) => Expect::Request { head_only: false, checks: Vec::new() },
            (Side::Endpoint, ["request", "head"]) => Expect::Request { head_only: true, checks: Vec::new() },
            (Side::Client, ["response"]) => response(Part::Whole, "GET"),
            (Side::Client, ["response", "to", method]) => response(Part::Whole, method),
            (Side::Client, ["response", "head"]) => response(Part::Head, "GET"),
            (Side::Client, ["partial", "response"]) => response(Part::Cut, "GET"),
            (Side::Client, ["refusal", statuses @ ..]) if !statuses.is_empty() => {
                return self.refusal(statuses, line);
            }
            _ if rest.starts_with('"') || rest.starts_with("repeat ") => {
                Expect::Bytes(literal(Pattern::parse_quoted(rest), line)?)
            }
            _ => return Err(error(line, format!("`expect {rest}` is not known here"))),
        };
        self.push(line, Action::Expect(expect));
        Ok(())
    }

    /// `expect refusal 400`: that status, `Connection: close`, and the close (RFC 9112 section 9.6).
    fn refusal(&mut self, statuses: &[&str], line: usize) -> Result<(), Mismatch> {
        let statuses: Result<Vec<u16>, Mismatch> = statuses.iter().map(|status| code(status, line)).collect();
        let close = Pattern::parse("close").map_err(|message| error(line, message))?;
        let whats = [What::Status(statuses?), What::Field("Connection".to_owned(), close)];
        let checks = whats.into_iter().map(|what| Check { line, what }).collect();
        let expect = Expect::Response { to: "GET".to_owned(), part: Part::Whole, checks };
        self.push(line, Action::Expect(expect));
        self.push(line, Action::Expect(Expect::Close));
        Ok(())
    }

    fn action(&self, word: &str, rest: &str) -> Result<Action, String> {
        let words: Vec<&str> = rest.split_whitespace().collect();
        Ok(match (self.side, word, &words[..]) {
            (Side::Client, "connect", words) => connect(words)?,
            (Side::Endpoint, "accept", []) => Action::Accept,
            // It only ends what is joined into one write, as any step does.
            (_, "flush", []) => Action::Send(Vec::new()),
            (_, "split", [size]) => Action::Split { size: number(size)?, pause: Duration::ZERO },
            (_, "split", [size, pause]) => Action::Split { size: number(size)?, pause: duration(pause)? },
            (_, "timeout", [time]) => Action::Timeout(duration(time)?),
            (_, "pause", [time]) => Action::Pause(duration(time)?),
            (_, "shutdown", []) => Action::Shutdown,
            (_, "close", []) => Action::Close,
            (_, "reset", []) => Action::Reset,
            (_, "echo", []) => Action::Echo,
            (_, "ignore", []) => Action::Ignore,
            (_, "mark", [name]) => Action::Mark((*name).to_owned()),
            (_, "await", [name]) => Action::Await((*name).to_owned()),
            _ => return Err(format!("`{word} {rest}` is not known here")),
        })
    }
}

fn expected_line(text: &str, line: usize) -> Result<Expect, Mismatch> {
    match text.strip_suffix('\\').filter(|_| ends_in_backslash(text)) {
        Some(open) => Ok(Expect::Bytes(literal(Pattern::parse(open), line)?)),
        None => Ok(Expect::Line(Pattern::parse(text).map_err(|message| error(line, message))?)),
    }
}

fn literal(pattern: Result<Pattern, String>, line: usize) -> Result<Vec<u8>, Mismatch> {
    let pattern = pattern.map_err(|message| error(line, message))?;
    match pattern.has_wildcard() {
        true => Err(error(line, "a `*` has no meaning here, as the count of bytes is read; write `\\*`")),
        false => Ok(pattern.bytes()),
    }
}

fn connect(words: &[&str]) -> Result<Action, String> {
    let from = |address: &str| address.parse().map_err(|_| format!("`{address}` is not an IP address"));
    Ok(match words {
        [] => Action::Connect { to: None, from: None },
        ["from", address] => Action::Connect { to: None, from: Some(from(address)?) },
        [to] => Action::Connect { to: Some((*to).to_owned()), from: None },
        [to, "from", address] => Action::Connect { to: Some((*to).to_owned()), from: Some(from(address)?) },
        _ => return Err("`connect [ADDRESS] [from IP]` is due".to_owned()),
    })
}

fn code(text: &str, line: usize) -> Result<u16, Mismatch> {
    status(text).map_err(|message| error(line, message))
}

fn duration(text: &str) -> Result<Duration, String> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = text.get(..text.len() - unit.len()).unwrap_or_default();
    let wait = match (digits.parse::<u64>(), unit) {
        (Ok(count), "ms") => Duration::from_millis(count),
        (Ok(count), "s") => Duration::from_secs(count),
        _ => return Err(format!("`{text}` is not a time like `50ms` or `2s`")),
    };
    if wait > MAX_WAIT { Err(format!("`{text}` is longer than {MAX_WAIT:?}")) } else { Ok(wait) }
}
