//! What stands in an `.expect` file.

use std::collections::BTreeSet;
use std::fs;

use usher_testkit::Response;

use crate::{Outcome, folder};

/// A config with what its `.expect` says.
#[derive(Default)]
pub(crate) struct Example {
    pub(crate) file: &'static str,
    pub(crate) listeners: Vec<String>,
    pub(crate) admin: Option<String>,
    /// Addresses, and names with what kind they are.
    pub(crate) endpoints: Vec<(String, String)>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) asks: Vec<Ask>,
}

/// One request and what must come back.
#[derive(Default)]
pub(crate) struct Ask {
    pub(crate) line: usize,
    pub(crate) method: String,
    pub(crate) is_secure: bool,
    pub(crate) host: String,
    pub(crate) target: String,
    pub(crate) times: usize,
    pub(crate) at: Option<String>,
    pub(crate) preface: Option<String>,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) content: String,
    /// Options of curl's.
    pub(crate) curl: String,
    /// It does not come to a response, and curl says why.
    pub(crate) refused: Option<String>,
    pub(crate) checks: Vec<Check>,
}

pub(crate) enum Check {
    Version(String),
    Status(u16),
    Header(String, String),
    NoHeader(String),
    Body(String),
    NoBody(String),
    Spread(Vec<String>),
    Tunnel(String),
}

impl Example {
    /// Reads what is expected of a config.
    pub(crate) fn read(file: &'static str) -> Outcome<Self> {
        let path = folder().join(file).with_extension("expect");
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut example = Self { file, ..Self::default() };
        for (number, line) in text.lines().enumerate() {
            let content = line.trim();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            let (word, rest) = content.split_once(' ').unwrap_or((content, ""));
            let read = match line.starts_with(' ') {
                true => example.detail(word, rest),
                false => example.entry(word, rest, number + 1),
            };
            read.map_err(|error| format!("line {} of its .expect: {error}", number + 1))?;
        }
        if example.asks.is_empty() { Err("its .expect asks nothing".to_owned()) } else { Ok(example) }
    }

    fn entry(&mut self, word: &str, rest: &str, line: usize) -> Outcome {
        match word {
            "listen" => self.listeners.push(rest.to_owned()),
            "admin" => self.admin = Some(rest.to_owned()),
            "endpoint" => self.endpoints.push(pair(rest, ' ')?),
            "UDP" => {
                let (text, times) = rest.split_once(" x ").unwrap_or((rest, "1"));
                let (method, content, times) = (word.to_owned(), text.to_owned(), number(times)?);
                self.asks.push(Ask { line, method, content, times, ..Ask::default() });
            }
            "env" => self.environment.push(pair(rest, '=')?),
            method if method.bytes().all(|byte| byte.is_ascii_uppercase()) => {
                self.asks.push(Ask::new(method, rest, line)?);
            }
            other => return Err(format!("`{other}` is not known")),
        }
        Ok(())
    }

    fn detail(&mut self, word: &str, rest: &str) -> Outcome {
        let ask = self.asks.last_mut().ok_or("it stands under no request")?;
        let text = || rest.to_owned();
        match word {
            "at" => ask.at = Some(text()),
            "preface" => ask.preface = Some(text()),
            "send" => ask.fields.push(pair(rest, ':')?),
            "content" => ask.content = text(),
            "curl" => ask.curl = text(),
            "refused" => ask.refused = Some(text()),
            "version" => ask.checks.push(Check::Version(text())),
            "status" => ask.checks.push(Check::Status(number(rest)?)),
            "header" => {
                let (name, value) = pair(rest, ':')?;
                ask.checks.push(Check::Header(name, value));
            }
            "no-header" => ask.checks.push(Check::NoHeader(text())),
            "body" => ask.checks.push(Check::Body(text())),
            "no-body" => ask.checks.push(Check::NoBody(text())),
            "spread" => ask.checks.push(Check::Spread(rest.split(' ').map(str::to_owned).collect())),
            "tunnel" => ask.checks.push(Check::Tunnel(text())),
            other => return Err(format!("`{other}` is not known")),
        }
        Ok(())
    }
}

impl Ask {
    /// `http://HOST/TARGET` or `https://HOST/TARGET`, perhaps with ` x TIMES`.
    fn new(method: &str, rest: &str, line: usize) -> Outcome<Self> {
        let (url, times) = rest.split_once(" x ").unwrap_or((rest, "1"));
        let (scheme, after) = url.split_once("://").unwrap_or(("", url));
        let is_secure = scheme == "https";
        if !is_secure && scheme != "http" {
            return Err(format!("`{url}` begins with neither `http://` nor `https://`"));
        }
        let (host, target) = after.split_at(after.find('/').unwrap_or(after.len()));
        let (method, host, target) = (method.to_owned(), host.to_owned(), target.to_owned());
        Ok(Self { line, method, is_secure, host, target, times: number(times)?, ..Self::default() })
    }

    /// Whether it is curl that asks.
    pub(crate) fn needs_curl(&self) -> bool {
        self.is_secure || !self.curl.is_empty()
    }

    /// Whether it is a datagram.
    pub(crate) fn is_udp(&self) -> bool {
        self.method == "UDP"
    }

    /// Checks what datagrams were answered with.
    pub(crate) fn check_datagrams(&self, answers: &[String]) -> Outcome {
        for check in &self.checks {
            let holds = match check {
                Check::Body(part) => answers.iter().all(|answer| answer.contains(part)),
                Check::NoBody(part) => answers.iter().all(|answer| !answer.contains(part)),
                _ => return Err("a datagram has only a `body`".to_owned()),
            };
            if !holds {
                return Err(format!("the answers were {answers:?}"));
            }
        }
        Ok(())
    }

    /// Checks all responses, in the order in which they came.
    pub(crate) fn check(&self, responses: &[Response]) -> Outcome {
        responses.iter().try_for_each(|response| {
            let checked = self.checks.iter().try_for_each(|check| check.one(response));
            checked.map_err(|error| {
                format!("{error}; the response was\n{}", String::from_utf8_lossy(&response.raw))
            })
        })?;
        for check in &self.checks {
            let Check::Spread(names) = check else { continue };
            let answered: BTreeSet<String> = responses.iter().map(endpoint_of).collect();
            let wanted: BTreeSet<String> = names.iter().cloned().collect();
            if answered != wanted {
                return Err(format!("these answered: {answered:?}, and not {wanted:?}"));
            }
        }
        Ok(())
    }
}

impl Check {
    fn one(&self, response: &Response) -> Outcome {
        let text = || response.text();
        let (holds, what) = match self {
            Self::Version(version) => {
                (response.version == *version, format!("the version is `{}`", response.version))
            }
            Self::Status(status) => (response.status == *status, format!("the status is not {status}")),
            Self::Header(name, value) => {
                let found = response.fields.all(name).any(|found| found.contains(value));
                (found, format!("no field `{name}` holds `{value}`"))
            }
            Self::NoHeader(name) => (!response.fields.has(name), format!("there is a field `{name}`")),
            Self::Body(part) => (text().contains(part), format!("the body does not hold `{part}`")),
            Self::NoBody(part) => (!text().contains(part), format!("the body holds `{part}`")),
            Self::Spread(_) | Self::Tunnel(_) => return Ok(()),
        };
        if holds { Ok(()) } else { Err(what) }
    }
}

/// Which fake answered.
fn endpoint_of(response: &Response) -> String {
    let text = response.text();
    let first = text.lines().next().unwrap_or_default();
    first.strip_prefix("endpoint ").unwrap_or("nobody").to_owned()
}

fn pair(text: &str, by: char) -> Outcome<(String, String)> {
    let (first, second) = text.split_once(by).ok_or_else(|| format!("`{text}` has no `{by}`"))?;
    Ok((first.trim().to_owned(), second.trim().to_owned()))
}

fn number<T: std::str::FromStr>(text: &str) -> Outcome<T> {
    text.parse().map_err(|_| format!("`{text}` is not a number"))
}
