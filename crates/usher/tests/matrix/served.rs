//! The endpoint's hand in an exchange.

use std::any::Any;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use usher_http::sanitize::{Facts, Scratch, sanitize};
use usher_http::{Framing, Request, Response};
use usher_net::Stream;
use usher_net::tls::Secured;
use usher_wire::{Connection, Downstream, NotTrailers, ReplyContext, Sink, Source, h2, h3};

use crate::hand::{Hand, Outcome, Step, fields};

/// What an endpoint of HTTP/1 serves.
pub(crate) type H1 = Connection<Secured<Stream>>;

/// One request of an endpoint, whatever the protocol.
pub(crate) trait Serving: Downstream + Any {
    /// Breaks it off.
    fn abort(&mut self);

    /// Ready when the proxy has given the exchange up.
    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

impl Serving for H1 {
    fn abort(&mut self) {
        usher_net::Transport::abort(self.stream());
    }

    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let gone = Downstream::poll_gone(self, cx).is_ready();
        if gone || self.is_ended() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Serving for h2::ServerStream {
    fn abort(&mut self) {
        Self::abort(self);
    }

    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_gone(cx).map(drop)
    }
}

impl Serving for h3::ServerStream {
    fn abort(&mut self) {
        Self::abort(self);
    }

    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_gone(cx).map(drop)
    }
}

/// A request that came, and its response. Dropped before the response was finished, it is broken off.
pub(crate) struct Served {
    pub(crate) request: Request,
    pub(crate) facts: Facts,
    /// The protocol that it asks to switch to.
    pub(crate) upgrade: String,
    pub(crate) down: Box<dyn Serving>,
    /// Where a connection of HTTP/1 goes afterwards.
    back: Option<oneshot::Sender<H1>>,
    step: Step,
}

impl Served {
    /// Reads what the head means.
    pub(crate) fn new(mut request: Request, down: Box<dyn Serving>) -> Result<Self, &'static str> {
        let mut upgrade = Vec::new();
        request.scheme = "https";
        let facts = sanitize(&mut request, &mut Scratch::default(), &mut upgrade);
        let facts = facts.map_err(|error| error.as_str())?;
        let upgrade = String::from_utf8_lossy(&upgrade).into_owned();
        Ok(Self { request, facts, upgrade, down, back: None, step: Step::default() })
    }

    /// A request on a connection that may be used again.
    pub(crate) fn on(
        request: Request,
        connection: H1,
        back: oneshot::Sender<H1>,
    ) -> Result<Self, &'static str> {
        let mut served = Self::new(request, Box::new(connection))?;
        let any: &mut dyn Any = &mut *served.down;
        if let Some(connection) = any.downcast_mut::<H1>() {
            connection.begin_receive(served.facts.framing);
        }
        served.back = Some(back);
        Ok(served)
    }

    pub(crate) fn follow(mut self, step: &Step) -> Self {
        self.step = step.clone();
        self
    }

    /// Queues the final head; a length becomes a field.
    pub(crate) fn respond(&mut self, status: u16, pairs: &[(&str, &str)], framing: Framing) {
        let mut response = Response::default();
        response.status = status;
        response.fields = fields(pairs);
        if let Framing::Length(length) = framing {
            response.fields.add(b"Content-Length", length.to_string().as_bytes()).expect("a field");
        }
        let trailers: NotTrailers = Arc::from([]);
        let reply = ReplyContext {
            version: self.request.version,
            persistent: true,
            date: b"Sat, 01 Jan 2000 00:00:00 GMT",
            trailers: Some(&trailers),
            switches: status == 101,
        };
        self.down.begin_response(&response, framing, reply);
    }

    /// Sends an informational head.
    pub(crate) async fn inform(&mut self, status: u16, pairs: &[(&str, &str)]) -> Outcome {
        let mut response = Response::default();
        response.status = status;
        response.fields = fields(pairs);
        self.down.inform(&response);
        self.say(b"").await
    }

    /// A whole response.
    pub(crate) async fn answer(mut self, body: &[u8]) -> Outcome {
        self.respond(200, &[], Framing::Length(body.len() as u64));
        self.say(body).await?;
        self.done().await
    }

    /// Ends the response; the connection may serve another.
    pub(crate) async fn done(mut self) -> Outcome {
        self.end().await?;
        self.give_back();
        Ok(())
    }

    /// After the end of the response: the connection may serve another.
    pub(crate) fn give_back(self) {
        let any: Box<dyn Any> = self.down;
        if let (Some(back), Ok(connection)) = (self.back, any.downcast::<H1>()) {
            // Nobody waits for it at the end of a test.
            let _ = back.send(*connection);
        }
    }

    pub(crate) fn abort(mut self) {
        self.down.abort();
    }

    /// The proxy gives the exchange up.
    pub(crate) async fn left(mut self) {
        self.step.set("endpoint", "waits for the proxy to give the exchange up");
        poll_fn(|cx| self.down.poll_left(cx)).await;
    }

    /// The value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        crate::hand::get(&self.request.fields, name)
    }
}

impl Hand for Served {
    fn who(&self) -> &'static str {
        "endpoint"
    }

    fn step(&self) -> &Step {
        &self.step
    }

    fn source(&mut self) -> &mut dyn Source {
        &mut *self.down
    }

    fn sink(&mut self) -> &mut dyn Sink {
        &mut *self.down
    }
}
