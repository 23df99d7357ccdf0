//! What a demo endpoint answers: a page, or JSON, that shows what it was asked.

use std::fmt::Write as _;

use serde_json::json;

/// A request as far as it is shown. Usher has checked it; here it is only taken apart.
#[derive(Debug, Default)]
pub(super) struct Request {
    method: String,
    target: String,
    fields: Vec<(String, String)>,
    /// More than the head was sent.
    pub(super) has_body: bool,
}

impl Request {
    /// Takes a head apart.
    pub(super) fn parse(head: &[u8]) -> Self {
        let text = String::from_utf8_lossy(head);
        let mut lines = text.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let field =
            |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
        let fields: Vec<(String, String)> = lines.filter_map(field).collect();
        let length =
            |(name, value): &(String, String)| name.eq_ignore_ascii_case("content-length") && value != "0";
        let coding = |(name, _): &(String, String)| name.eq_ignore_ascii_case("transfer-encoding");
        let has_body = fields.iter().any(|field| length(field) || coding(field));
        Self { method, target, fields, has_body }
    }

    fn wants_json(&self) -> bool {
        let accepts =
            |(name, value): &(String, String)| name.eq_ignore_ascii_case("accept") && value.contains("json");
        self.fields.iter().any(accepts)
            || self.target.split('?').next().is_some_and(|path| path.ends_with(".json"))
    }
}

/// The whole response.
pub(super) fn render(name: &str, request: &Request) -> Vec<u8> {
    let (kind, body) = match request.wants_json() {
        true => ("application/json", as_json(name, request)),
        false => ("text/html; charset=utf-8", as_html(name, request)),
    };
    let close = if request.has_body { "Connection: close\r\n" } else { "" };
    let length = body.len();
    let body = if request.method == "HEAD" { String::new() } else { body };
    format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{close}\r\n{body}")
        .into_bytes()
}

fn as_json(name: &str, request: &Request) -> String {
    let Request { method, target, fields, .. } = request;
    let fields: Vec<_> = fields.iter().map(|(name, value)| json!([name, value])).collect();
    format!("{:#}\n", json!({ "endpoint": name, "method": method, "target": target, "headers": fields }))
}

fn as_html(name: &str, request: &Request) -> String {
    let (method, target) = (escape(&request.method), escape(&request.target));
    let mut rows = String::new();
    for (name, value) in &request.fields {
        let _ = writeln!(rows, "<tr><th>{}<td>{}", escape(name), escape(value));
    }
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Usher demo: {name}</title>\n\
         <style>body{{font:1em/1.5 system-ui;margin:3em auto;max-width:45em}}th{{text-align:left;padding-right:2em}}</style>\n\
         <h1>The {name} endpoint</h1>\n<p>Usher showed your request here:\n<p><code>{method} {target}</code>\n\
         <table>\n{rows}</table>\n<p>Load the page again: the other endpoint answers.\n</html>\n"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(head: &str) -> String {
        String::from_utf8(render("left", &Request::parse(head.as_bytes()))).unwrap()
    }

    #[test]
    fn shows_what_it_was_asked() {
        let page = answer("GET /a?<b> HTTP/1.1\r\nHost: x\r\nX-A: \"1\"\r\n\r\n");
        assert!(page.contains("<code>GET /a?&lt;b&gt;</code>"), "{page}");
        assert!(page.contains("<tr><th>X-A<td>&quot;1&quot;"), "{page}");
        let json = answer("GET /a HTTP/1.1\r\nAccept: application/json\r\n\r\n");
        assert!(json.contains("\"endpoint\": \"left\""), "{json}");
        assert!(json.contains("Content-Type: application/json"), "{json}");
    }

    #[test]
    fn head_has_no_body() {
        let answer = answer("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(answer.ends_with("\r\n\r\n") && !answer.contains("Content-Length: 0"), "{answer}");
    }

    #[test]
    fn bodies_end_the_connection() {
        let cases = [
            ("Content-Length: 0", false),
            ("Content-Length: 5", true),
            ("transfer-encoding: chunked", true),
            ("X: 1", false),
        ];
        for (field, expected) in cases {
            let request = Request::parse(format!("POST / HTTP/1.1\r\n{field}\r\n\r\n").as_bytes());
            assert_eq!(request.has_body, expected, "{field}");
        }
    }
}
