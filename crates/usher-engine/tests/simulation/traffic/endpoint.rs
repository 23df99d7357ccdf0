//! Endpoints that answer well, badly, late or never.

use std::time::Duration;

use tokio::time::sleep;

use super::ledger::{Books, Produced};
use crate::message::{Framing, Head, Reader};
use crate::net::WriteEnd;
use crate::rng::{Rng, body_of};

/// What an endpoint does with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Answer,
    /// Answers before it reads the body.
    Early,
    /// Answers, and closes soon after without having said so.
    AnswerAndLeave,
    /// Closes without a word.
    Leave,
    /// Resets without a word.
    Reset,
    /// Breaks off within the response.
    BreakOff,
    /// Stops within the response, and holds the connection.
    Stall,
    Garbage,
    /// Says nothing, and holds the connection.
    Silent,
}

/// One connection at an endpoint.
pub(crate) struct Host {
    pub(crate) books: Books,
    pub(crate) rng: Rng,
    pub(crate) reader: Reader,
    pub(crate) writer: WriteEnd,
    /// In percent: how often something other than a plain answer happens.
    pub(crate) badness: u64,
}

type Served = Option<()>;

impl Host {
    pub(crate) async fn run(mut self) {
        while let Ok(head) = self.reader.head().await {
            if self.serve(&head).await.is_none() {
                return;
            }
        }
    }

    fn mood(&mut self) -> Mood {
        use Mood::{AnswerAndLeave, BreakOff, Early, Garbage, Leave, Reset, Silent, Stall};
        if !self.rng.percent(self.badness) {
            return Mood::Answer;
        }
        *self.rng.choose(&[
            Early,
            Early,
            AnswerAndLeave,
            AnswerAndLeave,
            AnswerAndLeave,
            Leave,
            Reset,
            BreakOff,
            BreakOff,
            Stall,
            Garbage,
            Silent,
        ])
    }

    /// Serves one request; none if the connection ends.
    async fn serve(&mut self, head: &Head) -> Served {
        let id = self.books.arrived(head)?;
        let framing = match head.framing(true) {
            Ok(framing) => framing,
            Err(broken) => {
                self.books.violated(format!("request {id} arrived with {broken:?}"));
                return None;
            }
        };
        let mood = self.mood();
        if mood == Mood::Early {
            self.books.count("early response");
            self.answer(id, head).await?;
            return self.body(id, framing).await;
        }
        if !(matches!(mood, Mood::Leave | Mood::Reset) && self.rng.percent(50)) {
            if head.get("expect").is_some() && self.rng.percent(70) {
                self.put(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            }
            self.body(id, framing).await?;
        }
        if self.rng.percent(20) {
            sleep(self.rng.millis(1..900)).await;
        }
        self.act(mood, id, head).await
    }

    async fn act(&mut self, mood: Mood, id: u64, head: &Head) -> Served {
        match mood {
            Mood::Answer | Mood::Early => self.answer(id, head).await,
            Mood::AnswerAndLeave => {
                self.answer(id, head).await?;
                sleep(self.rng.millis(0..300)).await;
                None
            }
            Mood::Leave => None,
            Mood::Reset => {
                self.writer.abort();
                None
            }
            Mood::BreakOff | Mood::Stall => self.half(mood, id, head).await,
            Mood::Garbage => {
                let garbage: [&[u8]; 5] = [
                    b"\0\x01\x02",
                    b"HTTP/1.1 2000 OK\r\n\r\n",
                    b"SSH-2.0-sim\r\n",
                    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                ];
                // To HEAD, the last would be an answer: nothing of a body is read.
                let known = if head.start.starts_with("HEAD ") { 4 } else { garbage.len() };
                let bytes = *self.rng.choose(&garbage[..known]);
                self.put(bytes).await?;
                self.hold().await
            }
            Mood::Silent => self.hold().await,
        }
    }

    async fn put(&mut self, bytes: &[u8]) -> Served {
        self.writer.write(bytes).await.ok()
    }

    /// Waits until the other side gives up.
    async fn hold(&mut self) -> Served {
        let waited = tokio::time::timeout(Duration::from_secs(120), self.reader.rest()).await;
        if waited.is_err() {
            self.books.violated("the proxy holds on to an endpoint that says nothing".into());
        }
        None
    }

    async fn body(&mut self, id: u64, framing: Framing) -> Served {
        let (body, _) = self.reader.body(framing).await.ok()?;
        self.books.body_arrived(id, &body);
        Some(())
    }

    /// A whole response.
    async fn answer(&mut self, id: u64, request: &Head) -> Served {
        for _ in 0..(self.rng.within(0..12).saturating_sub(9)) {
            self.put(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n").await?;
        }
        let response = Response::new(&mut self.rng, id, request, true);
        self.books.produces(id, response.produced);
        self.pieces(&response.bytes).await?;
        response.persistent.then_some(())
    }

    /// Part of a response, which must never look whole: it says how long it is, or is reset.
    async fn half(&mut self, mood: Mood, id: u64, request: &Head) -> Served {
        let response = Response::new(&mut self.rng, id, request, false);
        self.books.produces(id, response.produced);
        let cut = self.rng.within(1..response.bytes.len());
        self.pieces(&response.bytes[..cut]).await?;
        if mood == Mood::Stall {
            return self.hold().await;
        }
        if self.rng.percent(50) {
            self.writer.abort();
        }
        None
    }

    async fn pieces(&mut self, bytes: &[u8]) -> Served {
        let mut rest = bytes;
        while !rest.is_empty() {
            let pause = self.rng.percent(15);
            let len = if pause { self.rng.within(1..rest.len() + 1) } else { rest.len() };
            self.put(&rest[..len]).await?;
            rest = &rest[len..];
            if pause {
                sleep(self.rng.millis(1..400)).await;
            }
        }
        Some(())
    }
}

/// The bytes of a response.
struct Response {
    bytes: Vec<u8>,
    produced: Produced,
    persistent: bool,
}

impl Response {
    /// `any` allows framings whose end cannot be told from a break.
    fn new(rng: &mut Rng, id: u64, request: &Head, any: bool) -> Self {
        let method = request.start.split(' ').next().unwrap_or_default();
        let status = if any { *rng.choose(&[200, 200, 200, 200, 201, 404, 500, 204, 304]) } else { 200 };
        let len = rng.size();
        let bare = method == "HEAD" || matches!(status, 204 | 304);
        let seen = request.get("x-rules").unwrap_or("none");
        let mut persistent = !rng.percent(10);
        let mut head =
            format!("HTTP/1.1 {status} Sim\r\nX-Id: {id}\r\nX-Len: {len}\r\nX-Seen-Rules: {seen}\r\n");
        let body = body_of(!id, len);
        let mut bytes = Vec::new();
        match rng.within(0..if any { 3 } else { 2 }) {
            _ if status == 204 => {}
            0 => {
                head.push_str(&format!("Content-Length: {len}\r\n"));
                bytes = body;
            }
            1 => {
                head.push_str("Transfer-Encoding: chunked\r\n");
                bytes = chunked(rng, &body, &format!("X-Trailer: {id}\r\n"));
            }
            _ => {
                persistent = persistent && bare;
                bytes = body;
            }
        }
        if !persistent && rng.percent(50) {
            head.push_str("Connection: close\r\n");
        }
        head.push_str("\r\n");
        if bare {
            bytes.clear();
        }
        bytes.splice(..0, head.bytes());
        Self { bytes, produced: Produced { status, len }, persistent }
    }
}

/// A body in chunks of random sizes, perhaps with trailers.
pub(crate) fn chunked(rng: &mut Rng, body: &[u8], trailers: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len() + 64);
    let mut rest = body;
    while !rest.is_empty() {
        let most = *rng.choose(&[3_000, 30_000, 100_000]);
        let len = rng.within(1..most).min(rest.len());
        let extension = if rng.percent(5) { ";a=b" } else { "" };
        bytes.extend_from_slice(format!("{len:x}{extension}\r\n").as_bytes());
        bytes.extend_from_slice(&rest[..len]);
        bytes.extend_from_slice(b"\r\n");
        rest = &rest[len..];
    }
    let trailers = if rng.percent(30) { trailers } else { "" };
    bytes.extend_from_slice(format!("0\r\n{trailers}\r\n").as_bytes());
    bytes
}
