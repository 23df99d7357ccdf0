use super::{Template, TemplateError};
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
        ("{response.status}", "404"),
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
