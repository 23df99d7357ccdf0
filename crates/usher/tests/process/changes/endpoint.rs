//! Who answers requests, and talks over WebSockets.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until};

use super::frame::{self, CLOSE, FIN, Heard, Reader};
use super::messages::{Count, Jitter};
use super::way::{Broken, Way, local};

/// What it counts of WebSockets, by path.
#[derive(Default)]
pub(super) struct Counts {
    open: AtomicI64,
    heard: AtomicU64,
    sockets: Mutex<HashMap<String, Count>>,
}

impl Counts {
    pub(super) fn open(&self) -> i64 {
        self.open.load(Ordering::Relaxed)
    }

    pub(super) fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    pub(super) fn of_sockets(&self) -> HashMap<String, Count> {
        self.sockets.lock().unwrap().clone()
    }
}

impl Way for TcpStream {
    async fn send(&mut self, data: &[u8]) -> Result<(), Broken> {
        Ok(self.write_all(data).await?)
    }

    async fn receive(&mut self) -> Result<Vec<u8>, Broken> {
        let mut buffer = vec![0; 4096];
        let len = self.read(&mut buffer).await?;
        buffer.truncate(len);
        Ok(buffer)
    }
}

/// Starts it, on a thread of its own, for as long as the test process lives.
pub(super) fn start(counts: Arc<Counts>, every: Duration) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        local(async move {
            listener.set_nonblocking(true).unwrap();
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let counts = counts.clone();
                tokio::task::spawn_local(async move {
                    // Whoever breaks off is missed at the other end.
                    let _ = serve(stream, &counts, every).await;
                });
            }
        });
    });
    address
}

async fn serve(mut stream: TcpStream, counts: &Counts, every: Duration) -> Result<(), Broken> {
    let mut head = Vec::new();
    loop {
        let piece = stream.receive().await?;
        if piece.is_empty() {
            return Ok(());
        }
        head.extend(piece);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        let text = String::from_utf8_lossy(&head);
        let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
        head.clear();
        if path.starts_with("/ws/") {
            let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
                          Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
            stream.send(switch.as_bytes()).await?;
            counts.open.fetch_add(1, Ordering::Relaxed);
            let mut count = Count::default();
            let ended = converse(&mut stream, (&path, every), (&mut count, &counts.heard)).await;
            counts.sockets.lock().unwrap().insert(path, count);
            counts.open.fetch_sub(1, Ordering::Relaxed);
            return ended;
        }
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await?;
    }
}

async fn converse(
    stream: &mut TcpStream,
    (path, every): (&str, Duration),
    (count, heard_by_all): (&mut Count, &AtomicU64),
) -> Result<(), Broken> {
    let (mut reader, mut random) = (Reader::default(), Jitter::of(&format!("{path} endpoint")));
    let mut next = Instant::now() + random.after(every);
    loop {
        let heard = tokio::select! {
            heard = reader.next(stream) => heard?,
            () = sleep_until(next) => {
                next += random.after(every);
                stream.send(&frame::message(count.sent, false)).await?;
                count.sent += 1;
                continue;
            }
        };
        match heard {
            Heard::Message(text) if frame::number(&text) == Some(count.heard) => {
                count.heard += 1;
                heard_by_all.fetch_add(1, Ordering::Relaxed);
            }
            Heard::Message(_) => return Err("out of order".into()),
            Heard::Ping => {}
            Heard::Close(code) => {
                let code = code.unwrap_or(1000).to_be_bytes();
                stream.send(&frame::write(FIN | CLOSE, &code, false)).await?;
                return Ok(());
            }
            Heard::End => return Ok(()),
        }
    }
}
