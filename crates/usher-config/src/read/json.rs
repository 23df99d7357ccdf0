//! JSON, strictly as RFC 8259 has it: no comments, no trailing commas, no repeated keys. A reader of our own, since
//! every key and value needs its place and a limit on depth.

use std::collections::HashMap;

use super::{MAX_DEPTH, duplicate, too_deep};
use crate::diagnostic::Diagnostic;
use crate::document::{Key, Node, Value};
use crate::source::{SourceId, Span};

/// The root and the errors of syntax: repeated keys, and the first thing that is not JSON.
pub(super) fn read(text: &str, source: SourceId) -> (Option<Node>, Vec<Diagnostic>) {
    let mut reader = Reader { text, bytes: text.as_bytes(), at: 0, source, depth: 0, errors: Vec::new() };
    match reader.document() {
        Ok(root) => (Some(root), reader.errors),
        Err(error) => {
            reader.errors.push(error);
            (None, reader.errors)
        }
    }
}

struct Reader<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    source: SourceId,
    depth: usize,
    errors: Vec<Diagnostic>,
}

type Result<T> = std::result::Result<T, Diagnostic>;

impl Reader<'_> {
    fn document(&mut self) -> Result<Node> {
        let root = self.value()?;
        self.space();
        if self.at < self.bytes.len() { Err(self.unexpected("the end of the text")) } else { Ok(root) }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn span(&self, start: usize) -> Span {
        Span::new(self.source, start..self.at)
    }

    /// "Expected …, found …" at the current byte.
    fn unexpected(&self, expected: &str) -> Diagnostic {
        let next = self.text.get(self.at..).and_then(|rest| rest.chars().next());
        let found = next.map_or("the end of the text".to_owned(), |next| format!("`{next}`"));
        let span = Span::new(self.source, self.at..self.at + next.map_or(0, char::len_utf8));
        let error =
            Diagnostic::error(format!("not valid JSON: expected {expected}, found {found}")).at(span, "");
        match next {
            Some('/' | '#') => error.help("JSON has no comments; use TOML or YAML to have them"),
            Some('\'') => error.help("JSON quotes texts with `\"`"),
            _ => error,
        }
    }

    /// Takes `byte`, after white space.
    fn expect(&mut self, byte: u8, expected: &str) -> Result<()> {
        self.space();
        if self.peek() != Some(byte) {
            return Err(self.unexpected(expected));
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self) -> Result<Node> {
        self.space();
        let start = self.at;
        let value = match self.peek() {
            Some(b'{') => return self.nested(start, Self::table),
            Some(b'[') => return self.nested(start, Self::list),
            Some(b'"') => Value::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true", Value::Bool(true))?,
            Some(b'f') => self.word("false", Value::Bool(false))?,
            Some(b'n') => self.word("null", Value::Null)?,
            _ => return Err(self.unexpected("a value")),
        };
        Ok(Node::new(self.span(start), value))
    }

    fn nested(&mut self, start: usize, inner: fn(&mut Self) -> Result<Value>) -> Result<Node> {
        self.at += 1;
        if self.depth >= MAX_DEPTH {
            return Err(too_deep(self.span(start)));
        }
        self.depth += 1;
        let value = inner(self)?;
        self.depth -= 1;
        Ok(Node::new(self.span(start), value))
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.unexpected("a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn list(&mut self) -> Result<Value> {
        let mut items = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value()?);
            if !self.more(b']', "`,` or `]`")? {
                return Ok(Value::List(items));
            }
        }
    }

    fn table(&mut self) -> Result<Value> {
        let mut entries = Vec::new();
        let mut seen: HashMap<String, Span> = HashMap::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Table(entries));
        }
        loop {
            let key = self.key()?;
            if let Some(first) = seen.insert(key.name.clone(), key.span) {
                self.errors.push(duplicate(&key.name, key.span, first));
            }
            self.expect(b':', "`:`")?;
            entries.push((key, self.value()?));
            if !self.more(b'}', "`,` or `}`")? {
                return Ok(Value::Table(entries));
            }
        }
    }

    fn key(&mut self) -> Result<Key> {
        self.space();
        let start = self.at;
        if self.peek() != Some(b'"') {
            let error = self.unexpected("a key in quotes");
            return Err(if error.help.is_none() {
                error.help("JSON keys are written like `\"workers\"`")
            } else {
                error
            });
        }
        let name = self.string()?;
        Ok(Key { name, span: self.span(start) })
    }

    /// After an item: whether another one follows.
    fn more(&mut self, close: u8, expected: &str) -> Result<bool> {
        self.space();
        match self.peek() {
            Some(b',') => self.at += 1,
            Some(byte) if byte == close => {
                self.at += 1;
                return Ok(false);
            }
            _ => return Err(self.unexpected(expected)),
        }
        self.space();
        if self.peek() == Some(close) {
            return Err(self.unexpected("another item").help("remove the comma before it"));
        }
        Ok(true)
    }

    fn string(&mut self) -> Result<String> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.bytes[self.at..];
            let plain =
                rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)).unwrap_or(rest.len());
            out.push_str(self.text.get(self.at..self.at + plain).unwrap_or(""));
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                Some(_) => {
                    return Err(
                        self.unexpected("`\"`, with control characters written as `\\n` or `\\u000a`")
                    );
                }
                None => return Err(self.unexpected("`\"`")),
            }
        }
    }

    fn escape(&mut self) -> Result<char> {
        let start = self.at;
        self.at += 1;
        let plain = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(start),
            _ => return Err(self.unexpected("one of `\"\\/bfnrtu`")),
        };
        self.at += 1;
        Ok(plain)
    }

    /// `\u` and four digits, twice for a character outside the basic plane.
    fn unicode(&mut self, start: usize) -> Result<char> {
        self.at += 1;
        let first = self.hex()?;
        let code = if (0xd800..0xdc00).contains(&first) && self.bytes[self.at..].starts_with(b"\\u") {
            self.at += 2;
            let second = self.hex()?;
            let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400);
            low.map(|low| 0x10000 + ((first - 0xd800) << 10) + low)
        } else {
            Some(first)
        };
        let error = || Diagnostic::error("not valid JSON: half of a surrogate pair").at(self.span(start), "");
        code.and_then(char::from_u32).ok_or_else(error)
    }

    fn hex(&mut self) -> Result<u32> {
        let digits = self.text.get(self.at..self.at + 4);
        let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let Some(code) = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) else {
            return Err(self.unexpected("four hexadecimal digits"));
        };
        self.at += 4;
        Ok(code)
    }

    fn number(&mut self) -> Result<Value> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        let whole = self.at;
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        if let Some(b'0'..=b'9') = self.peek() {
            return Err(self.unexpected("a number without leading zeros"));
        }
        let text = self.text.get(start..self.at).unwrap_or("");
        // A whole number that does not fit is kept as a float, so that whoever wants one says what fits.
        let integer = text.parse().ok().filter(|_| self.at == whole).map(Value::Integer);
        Ok(integer.unwrap_or_else(|| Value::Float(text.parse().unwrap_or(f64::NAN))))
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<()> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.unexpected("a digit"));
        }
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        Ok(())
    }
}
