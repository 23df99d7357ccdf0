//! Against BIND, if it is installed: it checks what we sign, and we check what it signs.

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::*;
use crate::dns::wire::Data;

const SECRET: &str = "c2VjcmV0LW9mLXRoZS10ZXN0cy1vZi11c2hlci0xMjM0NQ==";
const NAMED: &str = "/usr/sbin/named";

struct Bind {
    process: Child,
    server: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Drop for Bind {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn config(folder: &Path, port: u16, algorithm: TsigAlgorithm) -> String {
    let folder = folder.display();
    format!(
        "options {{ directory \"{folder}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};\n\
         pid-file none; session-keyfile \"{folder}/session.key\"; recursion no; dnssec-validation no; notify no; }};\n\
         controls {{ }};\n\
         key \"usher-key\" {{ algorithm {}; secret \"{SECRET}\"; }};\n\
         zone \"example.com\" {{ type primary; file \"{folder}/zone\"; allow-update {{ key \"usher-key\"; }}; }};\n",
        algorithm.as_str()
    )
}

/// None, with a message, where BIND is not installed.
fn start(algorithm: TsigAlgorithm) -> Option<Bind> {
    if !Path::new(NAMED).exists() {
        eprintln!("skipped: {NAMED} is not installed (Debian package `bind9`)");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    std::fs::write(folder.path().join("named.conf"), config(folder.path(), server.port(), algorithm))
        .unwrap();
    let zone = "$TTL 60\n@ IN SOA ns hostmaster 1 60 60 60 60\n@ IN NS ns\nns IN A 127.0.0.1\n";
    std::fs::write(folder.path().join("zone"), zone).unwrap();
    let mut process = Command::new(NAMED)
        .args(["-g", "-n", "1", "-c"])
        .arg(folder.path().join("named.conf"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
    let running = lines.by_ref().find(|line| line.ends_with("running"));
    assert!(running.is_some(), "named did not start");
    std::thread::spawn(move || lines.for_each(drop));
    Some(Bind { process, server, _folder: folder })
}

fn options(server: SocketAddr, algorithm: TsigAlgorithm) -> Rfc2136Options {
    Rfc2136Options {
        server,
        zone: None,
        key_name: "Usher-Key.".to_owned(),
        secret: SECRET.to_owned(),
        algorithm,
    }
}

const NAME: &str = "_acme-challenge.a.example.com";

async fn texts(server: SocketAddr) -> Vec<Data> {
    let answer = ask(server, NAME, TYPE_TXT, false).await.unwrap();
    let mut found: Vec<Data> = answer.of_type(TYPE_TXT).map(|record| record.data.clone()).collect();
    found.sort_by_key(|data| format!("{data:?}"));
    found
}

#[tokio::test]
async fn bind_takes_updates_of_every_algorithm() {
    for algorithm in [TsigAlgorithm::HmacSha256, TsigAlgorithm::HmacSha384, TsigAlgorithm::HmacSha512] {
        let Some(bind) = start(algorithm) else { return };
        let provider = Rfc2136::new(options(bind.server, algorithm));
        provider.set(NAME, "one").await.unwrap();
        provider.set(NAME, "two").await.unwrap();
        assert_eq!(texts(bind.server).await, [Data::Text(b"one".to_vec()), Data::Text(b"two".to_vec())]);
        provider.remove(NAME, "one").await.unwrap();
        assert_eq!(texts(bind.server).await, [Data::Text(b"two".to_vec())]);
        provider.remove(NAME, "two").await.unwrap();
        provider.remove(NAME, "two").await.unwrap();
        assert_eq!(texts(bind.server).await, []);
    }
}

#[tokio::test]
async fn says_why_bind_refuses() {
    let Some(bind) = start(TsigAlgorithm::HmacSha256) else { return };
    let good = options(bind.server, TsigAlgorithm::HmacSha256);
    let cases = [
        (Rfc2136Options { key_name: "other".to_owned(), ..good.clone() }, NAME, "does not know the key"),
        (Rfc2136Options { secret: "d3Jvbmc=".to_owned(), ..good.clone() }, NAME, "does not know the key"),
        (Rfc2136Options { secret: "?".to_owned(), ..good.clone() }, NAME, "not base64"),
        (good.clone(), "_acme-challenge.example.org", "no zone"),
        (Rfc2136Options { zone: Some("example.com".to_owned()), ..good }, "x.example.org", "NOTZONE"),
    ];
    for (options, name, part) in cases {
        let error = Rfc2136::new(options).set(name, "v").await.unwrap_err().to_string();
        assert!(error.contains(part), "{error} / {part}");
    }
}

#[test]
fn an_answer_that_was_changed_is_not_signed() {
    let secret = base64_any(SECRET).unwrap();
    let key = Key { name: "k", algorithm: TsigAlgorithm::HmacSha256, secret: &secret };
    let now = SystemTime::now();
    // An answer is signed over the request's signature; here it is missing, as in a replayed request.
    let message = update_message(1, "example.com", (NAME, "v"), true).unwrap();
    let (bytes, mac) = key.sign(message, now).unwrap();
    let parsed = crate::dns::wire::parse(&bytes).unwrap();
    assert_eq!(key.verify(&parsed, &bytes, &mac, now), None);
}
