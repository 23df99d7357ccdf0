//! A client and endpoints for scenes that are written out.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::Instant;

use crate::message::{Broken, Framing, Head, Reader};
use crate::net::{self, SimStream, WriteEnd};
use crate::world::{Dialed, Reception, World};

/// A connection to the proxy.
pub(crate) struct Client {
    pub(crate) reader: Reader,
    pub(crate) writer: WriteEnd,
    opened: Instant,
}

/// A response, and whether it came whole.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) head: Head,
    pub(crate) body: Result<Vec<u8>, Broken>,
}

impl Client {
    pub(crate) fn new(world: &World) -> Self {
        Self::over(world.connect(64 << 10, None))
    }

    pub(crate) fn over(stream: SimStream) -> Self {
        let SimStream { reader, writer } = stream;
        Self { reader: Reader::new(reader), writer, opened: Instant::now() }
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.writer.write(text.as_bytes()).await.expect("the proxy takes it");
    }

    pub(crate) async fn receive(&mut self) -> Result<Got, Broken> {
        let head = self.reader.head().await?;
        let framing = match head.status() {
            100..=199 | 204 | 304 => Framing::Length(0),
            _ => head.framing(false)?,
        };
        let body = self.reader.body(framing).await.map(|(body, _)| body);
        Ok(Got { head, body })
    }

    /// Sends a request and gives the status of its response.
    pub(crate) async fn ask(&mut self, text: &str) -> u16 {
        self.send(text).await;
        let got = self.receive().await.expect("a response");
        got.body.expect("a whole response");
        got.head.status()
    }

    /// Waits for the end of the connection, and gives how long it was open.
    pub(crate) async fn ended(&mut self) -> Duration {
        let _ = self.reader.rest().await;
        self.opened.elapsed()
    }
}

/// GET of a path.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// POST of two bytes.
pub(crate) fn post(path: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
}

/// Whether `took` is `expected` or up to three ticks of the proxy's clock (and one of the scene's) more.
pub(crate) fn about(took: Duration, expected: Duration) -> bool {
    (expected..expected + Duration::from_millis(250)).contains(&took)
}

/// Endpoints whose every connection is served by `script`, given its number from 0 and its port.
pub(crate) fn endpoints<F: Future<Output = ()> + 'static>(
    script: impl Fn(usize, u16, Reader, WriteEnd) -> F + 'static,
) -> Reception {
    let count = Cell::new(0);
    Rc::new(move |port| {
        let (near, far) = net::pair(64 << 10, None);
        let SimStream { reader, writer } = far;
        spawn_local(script(count.replace(count.get() + 1), port, Reader::new(reader), writer));
        Dialed::Connected(near, Duration::ZERO)
    })
}

/// Answers requests for as long as they come, with the port as the body.
pub(crate) async fn answer(port: u16, mut reader: Reader, mut writer: WriteEnd) {
    while take(&mut reader).await {
        let text = port.to_string();
        let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
        if writer.write(response.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Reads a request with its body; false at the end of the connection.
pub(crate) async fn take(reader: &mut Reader) -> bool {
    let Ok(head) = reader.head().await else { return false };
    let framing = head.framing(true).expect("framing");
    reader.body(framing).await.is_ok()
}
