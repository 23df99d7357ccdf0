//! Small servers for tests: a name server, and an HTTP API that checks what it is asked.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::wire::{CLASS_IN, TYPE_TXT, parse, push_name, push_text, push_u16};

/// A name server that knows TXT records.
pub(crate) struct NameServer {
    address: SocketAddr,
    records: Arc<Mutex<Vec<(String, String)>>>,
}

impl NameServer {
    pub(crate) async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let records: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
        let known = records.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 1024];
            loop {
                let (length, peer) = socket.recv_from(&mut buffer).await.unwrap();
                let answer = answer(&buffer[..length], &known.lock().unwrap());
                socket.send_to(&answer, peer).await.unwrap();
            }
        });
        Self { address, records }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn add(&self, name: &str, value: &str) {
        self.records.lock().unwrap().push((name.to_owned(), value.to_owned()));
    }
}

fn answer(question: &[u8], records: &[(String, String)]) -> Vec<u8> {
    let asked = parse(question).unwrap().question.unwrap();
    let mut out = question.to_vec();
    out[2] |= 0x80;
    let found: Vec<_> = records.iter().filter(|(name, _)| *name == asked.0 && asked.1 == TYPE_TXT).collect();
    out[7] = found.len() as u8;
    for (name, value) in found {
        push_name(&mut out, name).unwrap();
        push_u16(&mut out, TYPE_TXT);
        push_u16(&mut out, CLASS_IN);
        out.extend_from_slice(&[0, 0, 0, 60]);
        push_text(&mut out, value).unwrap();
    }
    out
}

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
    }
}

/// An HTTP server that gives prepared answers in order, and keeps what it was asked.
pub(crate) struct Api {
    pub(crate) base: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Api {
    pub(crate) async fn start(answers: &[(u16, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let answers: Arc<Mutex<VecDeque<(u16, String)>>> = Arc::new(Mutex::new(
            answers.iter().map(|(status, body)| (*status, (*body).to_owned())).collect(),
        ));
        let seen = asked.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, answers.clone(), seen.clone()));
            }
        });
        Self { base, asked }
    }

    /// What was asked, in order.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(
    stream: TcpStream,
    answers: Arc<Mutex<VecDeque<(u16, String)>>>,
    seen: Arc<Mutex<Vec<Asked>>>,
) {
    let mut stream = BufReader::new(stream);
    while let Some(asked) = read(&mut stream).await {
        seen.lock().unwrap().push(asked);
        let (status, body) = answers.lock().unwrap().pop_front().unwrap_or((500, "unexpected".to_owned()));
        let text = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|length| *length > 0)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let mut asked = Asked { method: words.next()?, target: words.next()?, ..Asked::default() };
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        asked.fields.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let mut body = vec![0; asked.field("content-length").parse().unwrap_or_default()];
    stream.read_exact(&mut body).await.ok()?;
    asked.body = String::from_utf8(body).unwrap();
    Some(asked)
}
