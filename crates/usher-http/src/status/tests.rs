use super::*;

#[test]
fn takes_three_digits_only() {
    for (text, want) in [
        ("100", Some(100)),
        ("200", Some(200)),
        ("999", Some(999)),
        ("099", None),
        ("000", None),
        ("20", None),
        ("2000", None),
        ("20a", None),
        ("+20", None),
        (" 20", None),
        ("", None),
    ] {
        assert_eq!(Status::parse(text.as_bytes()).map(Status::code), want, "{text}");
    }
    assert_eq!([99, 100, 999, 1000].map(|c| Status::new(c).is_some()), [false, true, true, false]);
}

#[test]
fn digits_and_display_are_the_code() {
    for code in 100..=999 {
        let status = Status::new(code).unwrap();
        assert_eq!(Status::parse(&status.digits()), Some(status));
        assert_eq!(status.to_string().as_bytes(), status.digits());
    }
}

#[test]
fn knows_reasons_and_classes() {
    assert_eq!(Status::OK.reason(), "OK");
    assert_eq!(Status::CONTENT_TOO_LARGE.reason(), "Content Too Large");
    assert_eq!(Status::new(299).unwrap().reason(), "");
    assert!(Status::EARLY_HINTS.is_informational() && !Status::OK.is_informational());
    assert!(Status::OK.is_success() && Status::FOUND.is_redirection());
    assert!(Status::GONE.is_client_error() && Status::BAD_GATEWAY.is_server_error());
    assert_eq!(Status::new(777).unwrap().class(), 7);
}

#[test]
fn knows_which_responses_have_no_body() {
    for (code, get, head) in [
        (100, false, false),
        (103, false, false),
        (200, true, false),
        (204, false, false),
        (205, true, false),
        (206, true, false),
        (304, false, false),
        (404, true, false),
        (502, true, false),
    ] {
        let status = Status::new(code).unwrap();
        assert_eq!((status.has_body(false), status.has_body(true)), (get, head), "{code}");
    }
}
