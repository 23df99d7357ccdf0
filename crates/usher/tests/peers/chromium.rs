//! A browser: what it says it spoke, and what the access log says.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use usher_testkit::Usher;

use crate::peer::{Peer, find};
use crate::secure::{Pki, logged};

const CONFIG: &str = r#"
workers = 2
access_log = "access.log"
[[listener]]
bind = "$LISTEN"
tls = true
[[route]]
path = "/page"
respond = { file = "page.html", content_type = "text/html" }
[[route]]
path = "/part/*"
respond = { body = "{path.rest} ", content_type = "text/plain" }
"#;

/// Loads parts at once, and then says how it and they came.
const PAGE: &str = r#"<!doctype html>
<title>waiting</title>
<p id="seen"></p>
<script>
const parts = Array.from({ length: 20 }, (_, number) =>
  fetch("/part/" + number, { method: number % 2 ? "POST" : "GET", body: number % 2 ? "x".repeat(70000) : undefined })
    .then(answer => answer.text()));
Promise.all(parts).then(texts => {
  const page = performance.getEntriesByType("navigation")[0].nextHopProtocol;
  const all = new Set(performance.getEntriesByType("resource").map(entry => entry.nextHopProtocol));
  document.getElementById("seen").textContent = `page=${page} parts=${[...all]} ${texts.join("")}end`;
});
</script>
"#;

const OPTIONS: &str = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking \
    --disable-component-update --disable-sync --disable-dev-shm-usage --disable-extensions --no-proxy-server \
    --virtual-time-budget=20000 --dump-dom";

const PATIENCE: Duration = Duration::from_secs(150);

/// The base64 of the SHA-256 of the certificate's public key, by which the browser is told to trust it.
fn fingerprint(openssl: &Path, pki: &Pki) -> String {
    let openssl = openssl.display();
    let script = format!(
        "{openssl} x509 -in site.pem -pubkey -noout | {openssl} pkey -pubin -outform der \
         | {openssl} dgst -sha256 -binary | {openssl} base64"
    );
    let mut command = Command::new("sh");
    Peer::start(command.args(["-c", &script]).current_dir(pki.path(""))).finish().trim().to_owned()
}

/// Starts a proxy, lets the browser load the page, and gives the proxy and the page as it was at last.
fn load(more: impl Fn(&str) -> Vec<String>) -> Option<(Usher, String)> {
    let (chromium, openssl) = (find("chromium", "chromium")?, find("openssl", "openssl")?);
    let pki = Pki::new();
    let usher = pki.usher(CONFIG).file("page.html", PAGE).start().unwrap();
    // `localhost` would be looked for at `::1` first; other names are none of this test's business.
    let host = format!("site.test:{}", usher.listen().unwrap().port());
    let mut command = Command::new(chromium);
    command.args(OPTIONS.split_whitespace()).args(more(&host));
    command.arg("--host-resolver-rules=MAP site.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1");
    command.arg(format!("--user-data-dir={}", pki.path("profile").display()));
    command.arg(format!("--ignore-certificate-errors-spki-list={}", fingerprint(&openssl, &pki)));
    command.arg(format!("https://{host}/page")).env("HOME", pki.path(""));
    let page = Peer::start(&mut command).finish_within(PATIENCE);
    Some((usher, page))
}

fn check(usher: &Usher, page: &str, protocol: &str, version: &str) {
    let parts: String = (0..20).map(|number| format!("{number} ")).collect();
    assert!(page.contains(&format!("page={protocol} parts={protocol} {parts}end")), "{page}");
    for target in ["/page", "/part/0", "/part/19"] {
        let line = logged(usher, target, |line| line["target"] == target);
        assert_eq!((&line["version"], &line["status"]), (&version.into(), &200.into()), "{line}");
    }
}

#[test]
fn a_page_over_h2() {
    let loaded = load(|_| vec!["--disable-quic".to_owned()]);
    let Some((usher, page)) = loaded else { return };
    check(&usher, &page, "h2", "HTTP/2.0");
}

#[test]
fn a_page_over_h3() {
    let force = |host: &str| vec!["--enable-quic".to_owned(), format!("--origin-to-force-quic-on={host}")];
    let Some((usher, page)) = load(force) else { return };
    check(&usher, &page, "h3", "HTTP/3.0");
}
