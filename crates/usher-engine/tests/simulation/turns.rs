//! Large bodies that wait long for their turn: nobody is blamed for that.

use std::time::Duration;

use tokio::task::spawn_local;

use crate::client::{Client, endpoints, get, take};
use crate::message::Reader;
use crate::net::WriteEnd;
use crate::world::{World, run};

/// Longer than any timeout.
const PAUSE: Duration = Duration::from_secs(10);
/// So much that one body is not moved before the other has to wait (bytes).
const BODY: usize = 2 << 20;
const CONFIG: &str = r#"
[[listener]]
bind = "127.0.0.1:8080"
[timeouts]
body_idle = "2s"
write_stall = "2s"
upstream = { idle = "2s" }
[[route]]
to = "127.0.0.1:9000"
[[route]]
path = "/taken-in"
to = "127.0.0.1:9000"
buffer_request = "4MiB"
[[route]]
path = "/whole"
to = "127.0.0.1:9000"
retry = { buffer_response = "4MiB" }
"#;

/// Answers with a large body.
async fn large(mut reader: Reader, mut writer: WriteEnd) {
    while take(&mut reader).await {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n");
        let sent = writer.write(&[head.as_bytes(), &vec![b'x'; BODY]].concat()).await;
        if sent.is_err() {
            return;
        }
    }
}

/// Two clients ask the same, and each is to get all of the answer.
fn both(request: &str) {
    run(|| async {
        let reception = endpoints(|_, _, reader, writer| large(reader, writer));
        let world = World::with_slow_turns(CONFIG, reception, PAUSE);
        let asked: Vec<_> = (0..2)
            .map(|_| {
                let (request, client) = (request.to_owned(), Client::new(&world));
                spawn_local(ask(client, request))
            })
            .collect();
        for one in asked {
            one.await.expect("no panic");
        }
    });
}

async fn ask(client: Client, request: String) {
    let Client { mut reader, mut writer, .. } = client;
    let sending = spawn_local(async move {
        let _ = writer.write(request.as_bytes()).await;
        writer
    });
    let head = reader.head().await.expect("a response");
    assert_eq!(head.status(), 200);
    let framing = head.framing(false).expect("framing");
    let (body, _) = reader.body(framing).await.expect("a whole body");
    assert_eq!(body.len(), BODY);
    drop(sending.await);
}

fn upload(path: &str) -> String {
    let body = "y".repeat(BODY);
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {BODY}\r\n\r\n{body}")
}

#[test]
fn a_response_that_waits_for_its_turn_is_not_late() {
    both(&get("/"));
}

#[test]
fn a_request_that_is_passed_on_is_not_late() {
    both(&upload("/"));
}

#[test]
fn a_request_that_is_taken_in_is_not_late() {
    both(&upload("/taken-in"));
}

#[test]
fn a_response_that_is_taken_in_is_not_late() {
    both(&get("/whole"));
}
