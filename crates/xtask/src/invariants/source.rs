//! Rust source as code only: comments and the insides of literals blanked out, lines kept, so that words can be
//! looked for without a parser.

/// The code of `source`; what is blanked becomes spaces.
pub(super) fn code(source: &str) -> String {
    let mut blanked = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => string(rest, 1),
            'r' if !ends_in_word(&blanked) && is_raw(rest) => raw_string(rest),
            '\'' => character(rest),
            _ => 0,
        };
        if length == 0 {
            blanked.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            let (skipped, after) = rest.split_at(length);
            blanked.extend(skipped.chars().map(|letter| if letter == '\n' { '\n' } else { ' ' }));
            rest = after;
        }
    }
    blanked
}

/// Whether `word` stands in a line of code by itself, not as a part of a longer word.
pub(super) fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        !ends_in_word(before) && !after.starts_with(is_word)
    })
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn ends_in_word(text: &str) -> bool {
    // The `b` and `c` of byte and C strings belong to the literal.
    text.ends_with(is_word)
        && !matches!(text.trim_end_matches(['b', 'c']), rest if rest.len() < text.len() && !rest.ends_with(is_word))
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of a literal that ends with an unescaped quotation mark after `start` bytes.
fn string(text: &str, start: usize) -> usize {
    let mut escaped = false;
    for (at, letter) in text[start..].char_indices() {
        match letter {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return start + at + 1,
            _ => escaped = false,
        }
    }
    text.len()
}

fn is_raw(text: &str) -> bool {
    text[1..].trim_start_matches('#').starts_with('"')
}

fn raw_string(text: &str) -> usize {
    let hashes = text[1..].len() - text[1..].trim_start_matches('#').len();
    let end = format!("\"{}", "#".repeat(hashes));
    let begin = 2 + hashes;
    text[begin..].find(&end).map_or(text.len(), |at| begin + at + end.len())
}

/// The length of a character literal; 0 for a lifetime.
fn character(text: &str) -> usize {
    let mut letters = text.char_indices().skip(1);
    match (letters.next(), letters.next()) {
        (Some((_, '\\')), _) => text[3..].find('\'').map_or(0, |at| at + 4),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_has_words() {
        let cases = [
            ("unsafe { x() }", true),
            ("let a = 'u'; unsafe fn x() {}", true),
            ("fn f<'a>(x: &'a str) { unsafe {} }", true),
            (r#"let q = '"'; unsafe {}"#, true),
            (r#"let q = "\\"; unsafe {}"#, true),
            (r##"let q = r#"a "quoted" word"#; unsafe {}"##, true),
            (r"let q = '\''; unsafe {}", true),
            ("// unsafe", false),
            ("/* a /* nested */ unsafe */ ok()", false),
            (r#"let text = "say \"unsafe\"";"#, false),
            (r##"let text = br#"unsafe"#;"##, false),
            (r##"let text = r#"unsafe " unsafe"#;"##, false),
            ("#![deny(unsafe_code)]", false),
            ("fn is_unsafe() {}", false),
        ];
        for (source, found) in cases {
            assert_eq!(has_word(&code(source), "unsafe"), found, "{source}");
        }
    }

    #[test]
    fn lines_stay() {
        let source = "a\n/* b\nc */ d\n\"e\nf\"\n";
        assert_eq!(code(source).lines().count(), source.lines().count());
        assert_eq!(code(source).lines().nth(2), Some("     d"));
    }
}
