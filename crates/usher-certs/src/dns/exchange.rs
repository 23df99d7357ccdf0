//! One question to one name server, over UDP, and over TCP where the answer does not fit (RFC 7766).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::wire::{Message, parse, query};

/// How long one attempt may take.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(2);
/// How often it is asked over UDP.
const ATTEMPTS: usize = 2;
/// The largest datagram that is read, in bytes.
const MAX_DATAGRAM: usize = 4096;

/// A number that others cannot guess, so that they cannot answer in the server's place.
pub(super) fn random_id() -> u16 {
    let mut bytes = [0; 2];
    // Without randomness the number is 0, and the random port of the socket is what is left to guess.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    u16::from_be_bytes(bytes)
}

/// Asks for records.
pub(super) async fn ask(server: SocketAddr, name: &str, kind: u16, recursive: bool) -> io::Result<Message> {
    let id = random_id();
    let no_name = || io::Error::new(io::ErrorKind::InvalidInput, format!("`{name}` is not a DNS name"));
    let question = query(id, name, kind, recursive).ok_or_else(no_name)?;
    let asked = (name.to_ascii_lowercase(), kind);
    let fits =
        |message: &Message| message.id == id && message.response && message.question.as_ref() == Some(&asked);
    let answer = send(server, &question, &fits).await?;
    Ok(answer.0)
}

/// Sends a message, and gives the answer that `fits` with its bytes.
pub(super) async fn send(
    server: SocketAddr,
    message: &[u8],
    fits: &dyn Fn(&Message) -> bool,
) -> io::Result<(Message, Vec<u8>)> {
    let mut last = io::Error::from(io::ErrorKind::TimedOut);
    for _ in 0..ATTEMPTS {
        match timeout(ATTEMPT_LIMIT, over_udp(server, message, fits)).await {
            Ok(Ok((answer, _))) if answer.truncated => return send_over_tcp(server, message, fits).await,
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => last = error,
            Err(_) => {}
        }
    }
    Err(last)
}

/// Sends a message over TCP only.
pub(super) async fn send_over_tcp(
    server: SocketAddr,
    message: &[u8],
    fits: &dyn Fn(&Message) -> bool,
) -> io::Result<(Message, Vec<u8>)> {
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    timeout(ATTEMPT_LIMIT, over_tcp(server, message, fits)).await.map_err(late)?
}

async fn over_udp(
    server: SocketAddr,
    message: &[u8],
    fits: &dyn Fn(&Message) -> bool,
) -> io::Result<(Message, Vec<u8>)> {
    let own = match server {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(own).await?;
    socket.connect(server).await?;
    socket.send(message).await?;
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let bytes = buffer.get(..length).unwrap_or_default();
        // What does not fit may be forged: the real answer may still come.
        if let Some(answer) = parse(bytes).filter(|answer| fits(answer)) {
            return Ok((answer, bytes.to_vec()));
        }
    }
}

async fn over_tcp(
    server: SocketAddr,
    message: &[u8],
    fits: &dyn Fn(&Message) -> bool,
) -> io::Result<(Message, Vec<u8>)> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(message.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    stream.write_all(&[&length.to_be_bytes(), message].concat()).await?;
    let length = stream.read_u16().await?;
    let mut bytes = vec![0; length.into()];
    stream.read_exact(&mut bytes).await?;
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "its answer cannot be read");
    let answer = parse(&bytes).filter(|answer| fits(answer)).ok_or_else(broken)?;
    Ok((answer, bytes))
}
