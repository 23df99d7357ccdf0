//! The lines under `expect request` and `expect response`: each looks at one thing of a message.

use super::failure::Mismatch;
use super::pattern::Pattern;
use crate::message::Fields;
use crate::{Framing, Message, Request, Response, visible};

/// One such line.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) line: usize,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    Status(Vec<u16>),
    Line(Pattern),
    Reason(Pattern),
    Method(Pattern),
    Target(Pattern),
    Version(Pattern),
    /// Exactly one line of that name, and it matches.
    Field(String, Pattern),
    /// At least one line of that name matches.
    AnyField(String, Pattern),
    Absent(Vec<String>),
    Trailer(String, Pattern),
    NoTrailers,
    Body(Pattern),
    BodyLength(usize),
    Framing(Framing),
    /// Somewhere in the bytes of the message.
    Contains(Vec<u8>),
    Lacks(Vec<u8>),
}

impl What {
    /// A check line; `None` when the word is not one.
    pub(super) fn parse(word: &str, rest: &str) -> Result<Option<Self>, String> {
        let named = |rest: &str| -> Result<(String, Pattern), String> {
            let (name, value) = rest.split_once(':').ok_or("`NAME: value` is due")?;
            Ok((name.to_owned(), Pattern::parse(value.trim_start())?))
        };
        Ok(Some(match word {
            "status" => {
                let codes: Result<Vec<u16>, String> = rest.split_whitespace().map(status).collect();
                What::Status(codes?)
            }
            "line" => What::Line(Pattern::parse(rest)?),
            "reason" => What::Reason(Pattern::parse(rest)?),
            "method" => What::Method(Pattern::parse(rest)?),
            "target" => What::Target(Pattern::parse(rest)?),
            "version" => What::Version(Pattern::parse(rest)?),
            "field" => named(rest).map(|(name, value)| What::Field(name, value))?,
            "any-field" => named(rest).map(|(name, value)| What::AnyField(name, value))?,
            "absent" => What::Absent(rest.split_whitespace().map(str::to_owned).collect()),
            "trailer" => named(rest).map(|(name, value)| What::Trailer(name, value))?,
            "no-trailers" => What::NoTrailers,
            "body" => What::Body(Pattern::parse_quoted(rest)?),
            "body-length" => What::BodyLength(number(rest)?),
            "framing" => What::Framing(match rest {
                "none" => Framing::None,
                "length" => Framing::Length,
                "chunked" => Framing::Chunked,
                "close" => Framing::Close,
                _ => return Err(format!("`{rest}` is not none, length, chunked or close")),
            }),
            "contains" => What::Contains(Pattern::parse_quoted(rest)?.bytes()),
            "lacks" => What::Lacks(Pattern::parse_quoted(rest)?.bytes()),
            _ => return Ok(None),
        }))
    }
}

pub(super) fn number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("`{text}` is not a number"))
}

pub(super) fn status(text: &str) -> Result<u16, String> {
    text.parse()
        .ok()
        .filter(|code| (100..600).contains(code))
        .ok_or_else(|| format!("`{text}` is not a status"))
}

/// What can be looked at; empty texts where a message has no such thing.
pub(super) struct Seen<'a> {
    status: u16,
    reason: &'a str,
    method: &'a str,
    target: &'a str,
    version: &'a str,
    message: &'a Message,
}

impl<'a> From<&'a Request> for Seen<'a> {
    fn from(request: &'a Request) -> Self {
        let Request { method, target, version, message } = request;
        Self { status: 0, reason: "", method, target, version, message }
    }
}

impl<'a> From<&'a Response> for Seen<'a> {
    fn from(response: &'a Response) -> Self {
        let Response { version, status, reason, message } = response;
        Self { status: *status, reason, method: "", target: "", version, message }
    }
}

/// The first check that fails, with its line.
pub(super) fn all(checks: &[Check], seen: &Seen<'_>) -> Result<(), Mismatch> {
    for check in checks {
        if let Err(mut mismatch) = one(&check.what, seen) {
            mismatch.line = Some(check.line);
            return Err(mismatch.with_bytes(&seen.message.raw));
        }
    }
    Ok(())
}

fn one(what: &What, seen: &Seen<'_>) -> Result<(), Mismatch> {
    let message = seen.message;
    match what {
        What::Status(allowed) if allowed.contains(&seen.status) => Ok(()),
        What::Status(allowed) => {
            let allowed: Vec<String> = allowed.iter().map(u16::to_string).collect();
            Err(Mismatch::differs("the status differs", allowed.join(" or "), seen.status.to_string()))
        }
        What::Line(pattern) => text("start line", pattern, &message.line),
        What::Reason(pattern) => text("reason", pattern, seen.reason),
        What::Method(pattern) => text("method", pattern, seen.method),
        What::Target(pattern) => text("target", pattern, seen.target),
        What::Version(pattern) => text("version", pattern, seen.version),
        What::Field(name, pattern) => field(&message.fields, name, pattern),
        What::AnyField(name, pattern) => any_field(&message.fields, name, pattern),
        What::Absent(names) => names.iter().try_for_each(|name| absent(&message.fields, name)),
        What::Trailer(name, pattern) => field(&message.trailers, name, pattern),
        What::NoTrailers if message.trailers.0.is_empty() => Ok(()),
        What::NoTrailers => Err(Mismatch::new("trailers came where none may be")),
        What::Body(pattern) if pattern.matches(&message.body) => Ok(()),
        What::Body(pattern) => {
            Err(Mismatch::differs("the body differs", format!("{pattern:?}"), visible(&message.body)))
        }
        What::BodyLength(length) if message.body.len() == *length => Ok(()),
        What::BodyLength(length) => {
            let received = message.body.len().to_string();
            Err(Mismatch::differs("the length of the body differs", length.to_string(), received))
        }
        What::Framing(framing) if message.framing == *framing => Ok(()),
        What::Framing(framing) => {
            let received = format!("{:?}", message.framing);
            Err(Mismatch::differs("the framing differs", format!("{framing:?}"), received))
        }
        What::Contains(bytes) if find(&message.raw, bytes) => Ok(()),
        What::Contains(bytes) => {
            Err(Mismatch::new(format!("the message does not contain `{}`", visible(bytes))))
        }
        What::Lacks(bytes) if !find(&message.raw, bytes) => Ok(()),
        What::Lacks(bytes) => Err(Mismatch::new(format!("the message contains `{}`", visible(bytes)))),
    }
}

fn text(name: &str, pattern: &Pattern, received: &str) -> Result<(), Mismatch> {
    match pattern.matches(received.as_bytes()) {
        true => Ok(()),
        false => Err(Mismatch::differs(
            &format!("the {name} differs"),
            format!("{pattern:?}"),
            visible(received.as_bytes()),
        )),
    }
}

fn field(fields: &Fields, name: &str, pattern: &Pattern) -> Result<(), Mismatch> {
    let values: Vec<&str> = fields.all(name).collect();
    match values[..] {
        [value] if pattern.matches(value.as_bytes()) => Ok(()),
        _ => Err(differs(&format!("there is not exactly one line `{name}` that matches"), pattern, &values)),
    }
}

fn any_field(fields: &Fields, name: &str, pattern: &Pattern) -> Result<(), Mismatch> {
    let values: Vec<&str> = fields.all(name).collect();
    match values.iter().any(|value| pattern.matches(value.as_bytes())) {
        true => Ok(()),
        false => Err(differs(&format!("no line `{name}` matches"), pattern, &values)),
    }
}

fn differs(message: &str, pattern: &Pattern, values: &[&str]) -> Mismatch {
    let received = match values {
        [] => "no such line".to_owned(),
        values => values.iter().map(|value| visible(value.as_bytes())).collect::<Vec<_>>().join("\n"),
    };
    Mismatch::differs(message, format!("{pattern:?}"), received)
}

fn absent(fields: &Fields, name: &str) -> Result<(), Mismatch> {
    match fields.get(name) {
        None => Ok(()),
        Some(value) => {
            Err(Mismatch::new(format!("`{name}: {}` came where it may not be", visible(value.as_bytes()))))
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || bytes.windows(wanted.len()).any(|window| window == wanted)
}
