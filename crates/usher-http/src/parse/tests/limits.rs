//! Limits are exact: what has just their size passes, one byte more is refused, however it arrives.

use super::*;

fn limits(line: usize, head: usize, fields: usize) -> HeadLimits {
    HeadLimits { line, head, fields }
}

fn len(outcome: Outcome) -> Result<Option<usize>, ParseError> {
    outcome.map(|parsed| parsed.map(|(len, ..)| len))
}

#[test]
fn of_the_first_line() {
    let head = b"GET /abc HTTP/1.1\r\nA: b\r\n\r\n";
    assert_eq!(len(agreed(Kind::Request, head, &limits(17, 1000, 9))), Ok(Some(head.len())));
    assert_eq!(len(agreed(Kind::Request, head, &limits(16, 1000, 9))), Err(ParseError::LineTooLong));
    let head = b"\r\nGET /abc HTTP/1.1\r\nA: b\r\n\r\n";
    assert_eq!(len(agreed(Kind::Request, head, &limits(17, 1000, 9))), Ok(Some(head.len())));
    assert_eq!(len(agreed(Kind::Request, head, &limits(16, 1000, 9))), Err(ParseError::LineTooLong));
    let head = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n";
    assert_eq!(len(agreed(Kind::Response, head, &limits(15, 1000, 9))), Ok(Some(head.len())));
    assert_eq!(len(agreed(Kind::Response, head, &limits(14, 1000, 9))), Err(ParseError::LineTooLong));
}

#[test]
fn of_a_first_line_without_end() {
    let line = [b"GET /".as_slice(), &[b'a'; 100]].concat();
    // The end of the line may still come as long as CRLF would fit.
    for (size, want) in [
        (30, Ok(None)),
        (51, Ok(None)),
        (52, Err(ParseError::LineTooLong)),
        (105, Err(ParseError::LineTooLong)),
    ] {
        assert_eq!(len(agreed(Kind::Request, &line[..size], &limits(50, 1000, 9))), want, "{size}");
    }
}

#[test]
fn of_the_head() {
    for start in ["", "\r\n"] {
        let head = format!("{start}GET / HTTP/1.1\r\nA: b\r\nC: d\r\n\r\nbody");
        let size = "GET / HTTP/1.1\r\nA: b\r\nC: d\r\n\r\n".len();
        let whole = Ok(Some(size + start.len()));
        assert_eq!(len(agreed(Kind::Request, head.as_bytes(), &limits(99, size, 9))), whole);
        let more = agreed(Kind::Request, head.as_bytes(), &limits(99, size - 1, 9));
        assert_eq!(len(more), Err(ParseError::HeadTooLarge));
    }
}

#[test]
fn of_a_head_without_end() {
    let head = [b"GET / HTTP/1.1\r\nA: ".as_slice(), &[b'a'; 100]].concat();
    for (size, want) in
        [(49, Ok(None)), (50, Err(ParseError::HeadTooLarge)), (110, Err(ParseError::HeadTooLarge))]
    {
        assert_eq!(len(agreed(Kind::Request, &head[..size], &limits(20, 50, 9))), want, "{size}");
    }
}

#[test]
fn of_a_line_longer_than_the_head() {
    let head = b"GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\nA: b\r\n\r\n";
    assert_eq!(len(agreed(Kind::Request, head, &limits(99, 20, 9))), Err(ParseError::HeadTooLarge));
}

#[test]
fn of_the_number_of_fields() {
    for (lines, want) in [(2, true), (3, true), (4, false)] {
        let head = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(lines));
        let got = len(agreed(Kind::Request, head.as_bytes(), &limits(99, 1000, 3)));
        assert_eq!(got, if want { Ok(Some(head.len())) } else { Err(ParseError::TooManyFields) });
        let got = len(agreed(Kind::Trailers, &head.as_bytes()[16..], &limits(0, 1000, 3)));
        assert_eq!(got, if want { Ok(Some(head.len() - 16)) } else { Err(ParseError::TooManyFields) });
    }
}

#[test]
fn of_a_name() {
    let head = |len: usize| format!("GET / HTTP/1.1\r\n{}: b\r\n\r\n", "n".repeat(len)).into_bytes();
    let read = |head: &[u8]| read(Kind::Request, head, &[], &HeadLimits::default());
    assert!(matches!(read(&head(MAX_NAME)), Ok(Some(_))));
    assert_eq!(read(&head(MAX_NAME + 1)), Err(ParseError::FieldName));
    // Refused as soon as it is too long, not when its end comes.
    assert_eq!(read(&head(MAX_NAME + 1)[..16 + MAX_NAME + 1]), Err(ParseError::FieldName));
}

#[test]
fn what_is_wrong_behind_a_limit_is_too_long() {
    let head = b"GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaa\0 HTTP/1.1\r\n\r\n";
    assert_eq!(len(agreed(Kind::Request, head, &limits(20, 100, 9))), Err(ParseError::LineTooLong));
    let head = b"GET / HTTP/1.1\r\nA: bbbbbbbbbbbbbbbbbbbbbbbbbbb\0\r\n\r\n";
    assert_eq!(len(agreed(Kind::Request, head, &limits(20, 30, 9))), Err(ParseError::HeadTooLarge));
}

#[test]
fn body_bytes_are_not_counted() {
    let head = [b"GET / HTTP/1.1\r\nA: b\r\n\r\n".as_slice(), &[b'x'; 5000]].concat();
    assert_eq!(len(read(Kind::Request, &head, &[], &limits(50, 100, 9))), Ok(Some(24)));
}
