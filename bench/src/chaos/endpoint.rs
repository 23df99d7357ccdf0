//! An endpoint that misbehaves when told to: one thread, HTTP/1.1.
//!
//! `GET /told/MANNER` tells it; `/healthz` is well whatever it was told; everything else is answered in that manner.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};

use crate::http::{self, MAX_HEAD};
use crate::options::Flags;

/// Bytes of every response.
pub(super) const BODY: usize = 8 * 1024;
/// How long a response takes.
const USUALLY: Duration = Duration::from_millis(2);
/// How long it takes when that is too long.
const SLOWLY: Duration = Duration::from_millis(400);
/// How long an endpoint that nobody ends lives.
const LIFETIME: Duration = Duration::from_secs(3600);

/// How an endpoint answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    Fine,
    /// After a while.
    Slow,
    /// 500.
    Errors,
    /// A reset instead of a response.
    Resets,
    /// The head of a response and half of its body, then a reset.
    Cuts,
}

impl Manner {
    const ALL: [Self; 5] = [Self::Fine, Self::Slow, Self::Errors, Self::Resets, Self::Cuts];

    /// The path that tells it.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Fine => "/told/fine",
            Self::Slow => "/told/slow",
            Self::Errors => "/told/errors",
            Self::Resets => "/told/resets",
            Self::Cuts => "/told/cuts",
        }
    }
}

/// `usher-bench chaos-endpoint --address ADDRESS`.
pub(crate) fn main(arguments: &[String]) -> io::Result<()> {
    let mut flags = Flags::new(arguments);
    let address = flags.value("--address")?.and_then(|address| address.parse().ok());
    flags.finish()?;
    let address = address.ok_or_else(|| io::Error::other("which address? `--address 127.0.0.1:8080`"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(LocalSet::new().run_until(serve(address)))
}

async fn serve(address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let told = Rc::new(Cell::new(Manner::Fine));
    let accepting = async {
        while let Ok((stream, _)) = listener.accept().await {
            let told = told.clone();
            // That a connection breaks off is what this is for.
            spawn_local(async move { drop(connection(stream, &told).await) });
        }
    };
    let _ = tokio::time::timeout(LIFETIME, accepting).await;
    Ok(())
}

async fn connection(mut stream: TcpStream, told: &Cell<Manner>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut bytes = Vec::with_capacity(4096);
    loop {
        let (size, path) = loop {
            if let Some(head) = http::request_head(&bytes).map_err(io::Error::other)? {
                let length = usize::try_from(head.length).unwrap_or(usize::MAX);
                if bytes.len() - head.size >= length {
                    break (head.size + length, head.path.to_vec());
                }
            }
            if bytes.len() > 4 * MAX_HEAD || stream.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
        };
        bytes.drain(..size);
        if path == b"/healthz" {
            stream.write_all(&response("200 OK", b"well")).await?;
        } else if let Some(manner) = Manner::ALL.iter().find(|manner| manner.path().as_bytes() == path) {
            told.set(*manner);
            stream.write_all(&response("200 OK", b"told")).await?;
        } else if !answer(&mut stream, told.get()).await? {
            return Ok(());
        }
    }
}

/// Answers as it was told; whether the connection goes on.
async fn answer(stream: &mut TcpStream, manner: Manner) -> io::Result<bool> {
    tokio::time::sleep(if manner == Manner::Slow { SLOWLY } else { USUALLY }).await;
    let whole = match manner {
        Manner::Errors => response("500 Internal Server Error", b"failed"),
        _ => response("200 OK", &http::body(BODY)),
    };
    let sent = match manner {
        Manner::Resets => 0,
        Manner::Cuts => whole.len() - BODY / 2,
        _ => whole.len(),
    };
    stream.write_all(&whole[..sent]).await?;
    if sent < whole.len() {
        // What was sent shall arrive before the reset does.
        tokio::time::sleep(USUALLY).await;
        socket2::SockRef::from(&*stream).set_linger(Some(Duration::ZERO))?;
    }
    Ok(sent == whole.len())
}

fn response(status: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}
