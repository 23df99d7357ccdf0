//! Clients that ask well, badly, slowly, several at once, or leave.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{sleep, timeout};

use super::endpoint::chunked;
use super::ledger::{Books, Meant, Produced};
use crate::message::{Broken, Framing, Head, Reader};
use crate::net::{SimStream, WriteEnd};
use crate::rng::{Rng, body_of};

/// Longer than all timeouts of the simulated config together: what takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(90);

/// Heads with no reading, or more than one. Nothing of them, and nothing behind them, may reach an endpoint.
const MALFORMED: &[&str] = &[
    "GET  /a/x HTTP/1.1\r\nHost: sim.example\r\n\r\n",
    "GET /a/x HTTP/1.1\r\n\r\n",
    "GET /a/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "POST /a/x HTTP/1.1\r\nHost: sim.example\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "POST /a/x HTTP/1.1\r\nHost: sim.example\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /a/x HTTP/1.1\r\nHost: sim.example\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "POST /a/x HTTP/1.1\r\nHost: sim.example\r\nContent-Length : 5\r\n\r\nhello",
    "POST /a/x HTTP/1.1\r\nHost: sim.example\r\nContent-Length: +5\r\n\r\nhello",
    "GET /a/x HTTP/1.1\r\nHost: sim.example\r\n folded: 1\r\n\r\n",
    "GET /a/x HTTP/1.1\r\nHost: sim.example\r\nX: a\0b\r\n\r\n",
    "GET /a/x HTTP/3.7\r\nHost: sim.example\r\n\r\n",
    "\u{1}\u{2}\u{3}\r\n\r\n",
];

/// What the receiving half expects next.
#[derive(Debug)]
struct Due {
    /// None for a request that is refused whatever it says.
    id: Option<u64>,
    method: &'static str,
    /// The client behaves: the proxy has no reason to complain about it.
    well: bool,
}

/// One client with one connection.
pub(crate) struct Visitor {
    pub(crate) books: Books,
    pub(crate) rng: Rng,
    /// Where its numbers of requests begin.
    pub(crate) first_id: u64,
}

impl Visitor {
    pub(crate) async fn run(mut self, stream: SimStream) {
        let SimStream { reader, writer } = stream;
        let depth = if self.rng.percent(30) { self.rng.within(2..6) } else { 1 };
        let window = Rc::new(Semaphore::new(depth));
        let (due, expected) = unbounded_channel();
        let books = self.books.clone();
        let slow = self.rng.percent(10).then(|| self.rng.fork());
        let receiving = receive(books.clone(), Reader::new(reader), expected, window.clone(), slow);
        let talk = async {
            tokio::join!(self.talk(writer, due, &window), receiving);
        };
        if timeout(PATIENCE, talk).await.is_err() {
            books.violated(format!("client {} waits for ever", self.first_id));
        }
    }

    async fn talk(&mut self, mut writer: WriteEnd, due: UnboundedSender<Due>, window: &Semaphore) {
        for number in 0..self.rng.within(1..9) as u64 {
            let Ok(permit) = window.acquire().await else { return };
            permit.forget();
            if self.rng.percent(10) {
                sleep(self.rng.millis(1..3_000)).await;
            }
            let went_on = match self.rng.within(0..100) {
                0..=3 => self.malformed(&mut writer, &due).await,
                4..=7 => self.break_off(&mut writer, &due, self.first_id + number).await,
                _ => self.request(&mut writer, &due, self.first_id + number).await,
            };
            if went_on.is_none() {
                return;
            }
        }
        if self.rng.percent(50) {
            writer.end();
        }
        // Kept open until all responses are there.
        drop(due);
        let _ = window.acquire_many(1_000).await;
    }

    /// A whole request.
    async fn request(&mut self, writer: &mut WriteEnd, due: &UnboundedSender<Due>, id: u64) -> Option<()> {
        let (bytes, meant, last) = self.compose(id);
        self.books.meant(id, meant.clone());
        self.books.count("request");
        due.send(Due { id: Some(id), method: meant.method, well: true }).ok()?;
        let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |at| at + 4);
        if bytes[..head].windows(7).any(|window| window == b"Expect:") {
            writer.write(&bytes[..head]).await.ok()?;
            sleep(self.rng.millis(0..300)).await;
            writer.write(&bytes[head..]).await.ok()?;
        } else {
            self.pieces(writer, &bytes).await?;
        }
        (!last).then_some(())
    }

    async fn pieces(&mut self, writer: &mut WriteEnd, bytes: &[u8]) -> Option<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let pause = self.rng.percent(10);
            let len = if pause { self.rng.within(1..rest.len() + 1) } else { rest.len() };
            writer.write(&rest[..len]).await.ok()?;
            rest = &rest[len..];
            if pause {
                sleep(self.rng.millis(1..200)).await;
            }
        }
        Some(())
    }

    /// A request's bytes, what they mean, and whether it is the connection's last.
    fn compose(&mut self, id: u64) -> (Vec<u8>, Meant, bool) {
        let rng = &mut self.rng;
        let method =
            *rng.choose(&["GET", "GET", "GET", "HEAD", "POST", "POST", "POST", "PUT", "DELETE", "PATCH"]);
        let cluster = *rng.choose(&["a", "b", "c"]);
        let target = format!("/{cluster}/{id}?q={}", rng.within(0..100));
        let with_body = matches!(method, "POST" | "PUT" | "PATCH") || rng.percent(3);
        let len = if with_body { rng.size() } else { 0 };
        let old = rng.percent(12);
        let last = old || rng.percent(8);
        let version = if old { "1.0" } else { "1.1" };
        let mut head = format!("{method} {target} HTTP/{version}\r\nHost: sim.example\r\nX-Id: {id}\r\n");
        if last && !old {
            head.push_str("Connection: close, X-Hop\r\nX-Hop: 1\r\n");
        } else if rng.percent(10) {
            head.push_str("Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\n");
        }
        if rng.percent(10) {
            head.push_str("X-Forwarded-For: 203.0.113.9\r\nX-Request-Id: forged\r\n");
        }
        let mut bytes = body_of(id, len);
        if with_body {
            if len > 0 && !old && rng.percent(10) {
                head.push_str("Expect: 100-continue\r\n");
            }
            if old || rng.percent(60) {
                head.push_str(&format!("Content-Length: {len}\r\n"));
            } else {
                head.push_str("Transfer-Encoding: chunked\r\n");
                bytes = chunked(rng, &bytes, "X-Trailer: yes\r\n");
            }
        }
        head.push_str("\r\n");
        bytes.splice(..0, head.bytes());
        (bytes, Meant { method, target, len }, last)
    }

    /// Something that is no request, with one behind it that must not be seen as one.
    async fn malformed(&mut self, writer: &mut WriteEnd, due: &UnboundedSender<Due>) -> Option<()> {
        self.books.count("malformed");
        due.send(Due { id: None, method: "GET", well: false }).ok()?;
        let text = *self.rng.choose(MALFORMED);
        self.pieces(writer, text.as_bytes()).await?;
        writer.write(b"GET /a/smuggled HTTP/1.1\r\nHost: sim.example\r\nX-Id: 0\r\n\r\n").await.ok()?;
        None
    }

    /// Part of a request, and then nothing more: the client is gone, or silent.
    async fn break_off(&mut self, writer: &mut WriteEnd, due: &UnboundedSender<Due>, id: u64) -> Option<()> {
        self.books.count("broken off");
        let (bytes, meant, _) = self.compose(id);
        self.books.meant(id, meant.clone());
        due.send(Due { id: Some(id), method: meant.method, well: false }).ok()?;
        let cut = self.rng.within(1..bytes.len());
        self.pieces(writer, &bytes[..cut]).await?;
        match self.rng.within(0..3) {
            0 => writer.abort(),
            1 => writer.end(),
            _ => sleep(Duration::from_secs(30)).await,
        }
        None
    }
}

async fn receive(
    books: Books,
    mut reader: Reader,
    mut expected: UnboundedReceiver<Due>,
    window: Rc<Semaphore>,
    mut slow: Option<Rng>,
) {
    let mut unanswered = VecDeque::new();
    while let Some(due) = expected.recv().await {
        if let Some(rng) = &mut slow {
            sleep(rng.millis(0..2_000)).await;
        }
        match response(&books, &mut reader, &due).await {
            Ok(true) => window.add_permits(1),
            Ok(false) => {
                // It said `close`: nothing may follow.
                match reader.rest().await {
                    Ok(rest) if rest.is_empty() => {}
                    // The body of a refusal, as nobody could know that half a head was one of HEAD.
                    Ok(_) if !due.well && due.method == "HEAD" => {}
                    Err(_) => {}
                    Ok(rest) => books.violated(format!("{} bytes behind the last response", rest.len())),
                }
                unanswered.push_back(due);
                break;
            }
            Err(Broken::Malformed(what)) => {
                books.violated(format!("the client of {due:?} got {what}"));
                break;
            }
            Err(_) => {
                books.count("broken connection");
                break;
            }
        }
    }
    // The writing half need not wait for responses that cannot come.
    window.close();
}

/// Reads the response to `due`; whether the connection goes on.
async fn response(books: &Books, reader: &mut Reader, due: &Due) -> Result<bool, Broken> {
    let mut hints = 0;
    let head = loop {
        let head = reader.head().await?;
        match head.status() {
            100..=199 if hints < 10 => hints += 1,
            _ => break head,
        }
    };
    let status = head.status();
    let bare = due.method == "HEAD" || matches!(status, 204 | 304);
    let framing = if bare { Framing::Length(0) } else { head.framing(false)? };
    let (body, trailers) = reader.body(framing).await?;
    match (due.id, head.number("x-id")) {
        (Some(id), Some(echoed)) if id == echoed => {
            books.count("response of an endpoint");
            let len = head.number("x-len").unwrap_or(u64::MAX) as usize;
            books.accepted(id, Produced { status, len }, &body);
            let (sent, seen) = (head.get("x-rules"), head.get("x-seen-rules"));
            if sent != seen || sent.is_none() {
                books.violated(format!("request {id} was served by two configs: {seen:?}, then {sent:?}"));
            }
            if trailers.iter().any(|trailer| *trailer != ("x-trailer".to_owned(), id.to_string())) {
                books.violated(format!("response to {id} has the trailers {trailers:?}"));
            }
        }
        (id, Some(echoed)) => books.violated(format!("request {id:?} got the response to {echoed}")),
        (_, None) => own(books, due, &head),
    }
    if head.closes() || framing == Framing::UntilEnd && !bare {
        return Ok(false);
    }
    if due.id.is_none() {
        books.violated(format!("the connection goes on behind a malformed request: {head:?}"));
    }
    Ok(true)
}

/// A response of the proxy itself: only with a reason.
fn own(books: &Books, due: &Due, head: &Head) {
    let status = head.status();
    let allowed: &[u16] = match due {
        Due { id: None, .. } => &[400, 501, 505],
        Due { well: true, .. } => &[502, 503, 504],
        Due { .. } => &[400, 408, 502, 503, 504],
    };
    if !allowed.contains(&status) {
        books.violated(format!("{due:?} was answered with {head:?}"));
    }
    books.count(match status {
        502 => "502",
        503 => "503",
        504 => "504",
        408 => "408",
        _ => "refused",
    });
}
