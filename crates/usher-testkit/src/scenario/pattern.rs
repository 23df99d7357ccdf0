//! Texts of scenario files: escapes become bytes, and in expectations `*` stands for any bytes.

use std::fmt;

/// Most bytes that a text may have once its repetitions are written out.
const MAX_TEXT_BYTES: usize = 64 * 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Byte(u8),
    Any,
}

/// A text of a scenario: sent as its bytes, or matched as a pattern.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Token>);

impl Pattern {
    /// Reads escapes: `\r \n \t \\ \" \*` and `\xNN`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut tokens = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
            match first {
                '*' => tokens.push(Token::Any),
                '\\' => {
                    let (byte, length) = escape(rest)?;
                    tokens.push(Token::Byte(byte));
                    rest = rest.get(length..).unwrap_or_default();
                }
                other => tokens.extend(other.encode_utf8(&mut [0; 4]).bytes().map(Token::Byte)),
            }
        }
        Ok(Self(tokens))
    }

    /// Reads `"text"` or `repeat COUNT "text"`, to the end of `source`.
    pub(super) fn parse_quoted(source: &str) -> Result<Self, String> {
        let (times, source) = match source.strip_prefix("repeat ") {
            None => (1, source),
            Some(rest) => {
                let (count, rest) =
                    rest.trim_start().split_once(' ').ok_or("`repeat` needs a count and a text")?;
                let times: usize = count.parse().map_err(|_| format!("`{count}` is not a count"))?;
                (times, rest.trim_start())
            }
        };
        let inside = source.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let inside = inside.ok_or_else(|| format!("a text in double quotes is due, not `{source}`"))?;
        if ends_in_backslash(inside) || has_bare_quote(inside) {
            return Err(format!("a double quote inside a text is written \\\": `{source}`"));
        }
        let tokens = Self::parse(inside)?.0;
        if tokens.len().saturating_mul(times) > MAX_TEXT_BYTES {
            return Err(format!("more than {MAX_TEXT_BYTES} bytes"));
        }
        Ok(Self(tokens.repeat(times)))
    }

    /// The bytes; a `*` is just that.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let byte = |token: &Token| match token {
            Token::Byte(byte) => *byte,
            Token::Any => b'*',
        };
        self.0.iter().map(byte).collect()
    }

    /// True when a `*` that stands for any bytes is in it.
    pub(super) fn has_wildcard(&self) -> bool {
        self.0.contains(&Token::Any)
    }

    /// True when the whole of `text` fits: greedy from the last `*` seen, so the time is at most the product of sizes.
    pub(super) fn matches(&self, text: &[u8]) -> bool {
        let (mut at, mut token) = (0, 0);
        let mut retry = None;
        while at < text.len() {
            match self.0.get(token) {
                Some(Token::Any) => {
                    retry = Some((token + 1, at));
                    token += 1;
                }
                Some(Token::Byte(byte)) if text.get(at) == Some(byte) => {
                    at += 1;
                    token += 1;
                }
                _ => match retry {
                    Some((after, from)) => {
                        retry = Some((after, from + 1));
                        (token, at) = (after, from + 1);
                    }
                    None => return false,
                },
            }
        }
        self.0.iter().skip(token).all(|token| *token == Token::Any)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&crate::visible(&self.bytes()))
    }
}

/// True when the last backslash of a text escapes nothing in it.
pub(super) fn ends_in_backslash(text: &str) -> bool {
    text.bytes().rev().take_while(|&byte| byte == b'\\').count() % 2 == 1
}

fn has_bare_quote(text: &str) -> bool {
    text.match_indices('"').any(|(at, _)| !ends_in_backslash(text.get(..at).unwrap_or_default()))
}

/// The byte of an escape whose backslash has been read, and how many bytes of text it took.
fn escape(rest: &str) -> Result<(u8, usize), String> {
    let byte = match rest.as_bytes().first() {
        Some(b'r') => b'\r',
        Some(b'n') => b'\n',
        Some(b't') => b'\t',
        Some(other @ (b'\\' | b'"' | b'*')) => *other,
        Some(b'x') => {
            let digits = rest.get(1..3).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
            let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            return byte.map(|byte| (byte, 3)).ok_or_else(|| "`\\x` needs two hexadecimal digits".to_owned());
        }
        _ => return Err(format!("unknown escape `\\{}`", rest.chars().next().unwrap_or(' '))),
    };
    Ok((byte, 1))
}
