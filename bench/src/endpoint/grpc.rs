//! The endpoint of gRPC calls: HTTP/2 without TLS, one unary method that answers each message with the same one. Usher's
//! own server side, on a thread of its own.

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::LocalOptions;
use tokio::task::spawn_local;
use usher_http::{Fields, Framing, Request, Response, Version};
use usher_net::Stream;
use usher_wire::h2::{Limits, Server, ServerStream};
use usher_wire::{Downstream, NotTrailers, ReplyContext, Sink, Source, WireError};

use crate::http;

/// Streams at once on a connection: what servers in Go allow.
const STREAMS: u32 = 250;

/// Begins to serve on any free port, for as long as the process lives.
pub(crate) fn start() -> io::Result<SocketAddr> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let failed = serve(&tell).err();
        let _ = tell.send(failed.map_or_else(|| Err(io::Error::other("it ended")), Err));
    });
    told.recv().map_err(io::Error::other)?
}

fn serve(tell: &mpsc::Sender<io::Result<SocketAddr>>) -> io::Result<()> {
    let builder = &mut tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build_local(LocalOptions::default())?.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let _ = tell.send(listener.local_addr());
        let answer = Rc::new(Answer::new()?);
        loop {
            let (socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            spawn_local(connection(socket, Rc::clone(&answer)));
        }
    })
}

async fn connection(socket: TcpStream, answer: Rc<Answer>) {
    let limits = Limits { max_streams: STREAMS, ..Limits::default() };
    let mut server = Server::new(Stream::Tcp(socket), &[], limits);
    let mut request = Request::default();
    while let Ok(Some(stream)) = poll_fn(|cx| server.poll_request(cx, &mut request)).await {
        let known = request.raw_target() == http::GRPC_PATH.as_bytes();
        let answer = Rc::clone(&answer);
        spawn_local(async move { answer.give(stream, known).await });
    }
}

/// What every call is answered with.
struct Answer {
    head: Response,
    missing: Response,
    trailers: Fields,
    pass: NotTrailers,
    message: Vec<u8>,
}

impl Answer {
    fn new() -> io::Result<Self> {
        let (mut head, mut missing, mut trailers) =
            (Response::default(), Response::default(), Fields::default());
        let mut added = head.fields.add(b"content-type", b"application/grpc");
        added = added.and(trailers.add(b"grpc-status", b"0")).and(trailers.add(b"grpc-message", b""));
        added.map_err(|_| io::Error::other("a field that is none"))?;
        (head.status, missing.status) = (200, 404);
        Ok(Self { head, missing, trailers, pass: NotTrailers::from([]), message: http::grpc_message() })
    }

    /// Reads the message to its end, and answers.
    async fn give(&self, mut stream: ServerStream, known: bool) -> Result<(), WireError> {
        let mut expected = &self.message[..];
        let mut right = known;
        loop {
            let count = poll_fn(|cx| stream.poll_fill(cx)).await?;
            if count == 0 {
                break;
            }
            right &= expected.starts_with(stream.chunk());
            expected = expected.get(count..).unwrap_or_default();
            stream.consume(count);
        }
        let reply = ReplyContext {
            version: Version::Http2,
            persistent: true,
            date: b"Thu, 01 Jan 1970 00:00:00 GMT",
            trailers: Some(&self.pass),
            switches: false,
        };
        if !right || !expected.is_empty() {
            stream.begin_response(&self.missing, Framing::None, reply);
            return poll_fn(|cx| stream.poll_finish(cx, None)).await;
        }
        stream.begin_response(&self.head, Framing::Chunked, reply);
        let mut left = &self.message[..];
        while !left.is_empty() {
            let taken = poll_fn(|cx| stream.poll_send(cx, left)).await?;
            left = left.get(taken..).unwrap_or_default();
        }
        poll_fn(|cx| stream.poll_finish(cx, Some(&self.trailers))).await
    }
}
