//! Tests.

use super::super::testing::{body, build, exchange, field, reply};
use super::FACTORY;

#[test]
fn answers_as_configured() {
    let cases = [
        (r#"respond = "hello""#, 200, "text/plain; charset=utf-8", "hello", true),
        (
            r#"respond = { body = "{request.path}", status = 503 }"#,
            503,
            "text/plain; charset=utf-8",
            "/a",
            true,
        ),
        (
            r#"respond = { body = "{{}}", content_type = "application/json" }"#,
            200,
            "application/json",
            "{}",
            true,
        ),
        (r#"respond = { status = 404 }"#, 404, "", "", false),
        (r#"respond = { status = 204 }"#, 204, "", "", false),
        (r#"respond = """#, 200, "", "", false),
    ];
    for (config, status, content_type, text, finished) in cases {
        let reply = reply(&*build(&FACTORY, config), &mut exchange("/a")).expect("a response");
        assert_eq!((reply.status, reply.finished, reply.reason), (status, finished, "respond"), "{config}");
        assert_eq!(field(&reply, "content-type").unwrap_or_default(), content_type, "{config}");
        assert_eq!(body(&reply), text.as_bytes(), "{config}");
    }
}

#[test]
fn takes_the_body_from_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("page.html");
    std::fs::write(&path, "<p>{client.ip}").expect("written");
    let config = format!("respond = {{ file = {path:?}, headers = {{ X-A = \"{{client.ip}}\" }} }}");
    let reply = reply(&*build(&FACTORY, &config), &mut exchange("/")).expect("a response");
    assert_eq!(field(&reply, "content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(field(&reply, "X-A"), Some("192.0.2.1"));
    assert_eq!(body(&reply), b"<p>{client.ip}", "a file is no template");
}
