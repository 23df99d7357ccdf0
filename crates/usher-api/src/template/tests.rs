use super::{Template, TemplateError, Variable, Variables as _};
use crate::exchange::Exchange;

fn exchange() -> Exchange {
    let mut exchange = Exchange::default();
    exchange.request.host = "example.com".to_owned();
    exchange.request.path = "/a/b".to_owned();
    exchange.request.query = Some("q=1&x=%3C".to_owned());
    exchange.captures.push("rest".into(), "b");
    exchange.request.fields.add(b"X-Name", b"<script>\"'&").unwrap();
    exchange.response.status = 404;
    exchange
}

fn render(text: &str) -> String {
    let mut out = String::new();
    Template::parse(text).unwrap().render(&exchange(), &mut out);
    out
}

#[test]
fn renders_variables() {
    let cases = [
        ("plain", "plain"),
        ("", ""),
        ("https://{request.host}/new/{rest}", "https://example.com/new/b"),
        ("{path.rest}{path.none}", "b"),
        ("{request.uri}", "/a/b?q=1&x=%3C"),
        ("{request.query.q}-{request.query.none}", "1-"),
        ("{response.status}{status}", "404404"),
        ("{{status}}", "{status}"),
        ("{{literal}}", "{literal}"),
        ("a}b", "a}b"),
        ("{client.ip}", ""),
    ];
    for (text, wanted) in cases {
        assert_eq!(render(text), wanted, "{text}");
    }
}

#[test]
fn refuses_what_is_no_variable() {
    assert_eq!(Template::parse("{request.host"), Err(TemplateError::Unclosed));
    assert_eq!(Template::parse("{hots}"), Err(TemplateError::Unknown("hots".to_owned())));
    assert_eq!(Template::parse("{path.}"), Err(TemplateError::Unknown("path.".to_owned())));
}

#[test]
fn escapes_values_in_html_but_not_its_text() {
    let mut out = String::new();
    Template::parse("<p>{request.header.X-Name}</p>").unwrap().render_html(&exchange(), &mut out);
    assert_eq!(out, "<p>&lt;script&gt;&quot;&#39;&amp;</p>");
}

#[test]
fn a_lenient_text_keeps_braces_that_are_its_own() {
    let cases = [
        ("p { margin: 0 } {status}", "p { margin: 0 } 404"),
        ("{{status}} {a{status}", "{404} {a404"),
        ("if (a) {{ b }} else { {nope} }", "if (a) {{ b }} else { {nope} }"),
        ("{", "{"),
        ("{status", "{status"),
        ("}{}", "}{}"),
        ("", ""),
    ];
    for (text, wanted) in cases {
        let mut out = String::new();
        Template::parse_lenient(text).render(&exchange(), &mut out);
        assert_eq!(out, wanted, "{text}");
    }
}

#[test]
fn a_text_without_variables_is_plain() {
    for (text, plain) in [("", Some("")), ("a {{b}}", Some("a {b}")), ("{user}", None)] {
        assert_eq!(Template::parse(text).unwrap().as_plain(), plain, "{text}");
    }
}

#[test]
fn errors_name_the_place_and_the_repair() {
    for (text, place, what, repair) in [
        ("a {request.hots} b", 2..16, "unknown variable `{request.hots}`", "did you mean `{request.host}`?"),
        ("{client.ip} {", 12..13, "`{` without `}`", "write `{{` for a brace"),
        (
            "{zzzzzzzz}",
            0..10,
            "unknown variable `{zzzzzzzz}`",
            "for a literal brace write `{{`; known are `client.ip`, ",
        ),
    ] {
        let error = Template::parse(text).unwrap_err();
        assert_eq!(error.place(text), Some(place), "{text}");
        let (found, help) = error.told::<Variable>();
        assert!(found == what && help.starts_with(repair), "{found}; {help}");
    }
}

/// What messages list can be written.
#[test]
fn known_names_are_names() {
    for name in Variable::known() {
        assert!(Variable::named(name).is_some(), "{name}");
    }
}
