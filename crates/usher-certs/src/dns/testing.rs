//! Small servers for tests: a name server, and an HTTP API that checks what it is asked.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::wire::{CLASS_IN, TYPE_A, TYPE_CNAME, TYPE_NS, TYPE_TXT, parse, push_name, push_text, push_u16};

/// A name server that knows some records: name, type, and what it says. `*` stands for a label that is not there.
pub(crate) struct NameServer {
    address: SocketAddr,
    records: Arc<Mutex<Vec<(String, u16, String)>>>,
    asked: Arc<Mutex<Vec<(String, bool)>>>,
}

/// Makes an answer to a question, by the records that are known.
type Answer = fn(&[u8], &[(String, u16, String)]) -> Vec<u8>;

/// How a server says that it does not want to answer (RFC 1035 section 4.1.1).
const REFUSED: u8 = 5;

impl NameServer {
    pub(crate) async fn start() -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), answer).await
    }

    /// Refuses everything.
    pub(crate) async fn refusing_at(address: SocketAddr) -> Self {
        let refusal = |question: &[u8], _: &[(String, u16, String)]| {
            let mut out = question.to_vec();
            (out[2], out[3]) = (out[2] | 0x80, out[3] | REFUSED);
            out
        };
        Self::start_at(address, refusal).await
    }

    async fn start_at(address: SocketAddr, answer: Answer) -> Self {
        let socket = UdpSocket::bind(address).await.unwrap();
        let server =
            Self { address: socket.local_addr().unwrap(), records: Arc::default(), asked: Arc::default() };
        let (known, asked) = (server.records.clone(), server.asked.clone());
        tokio::spawn(async move {
            let mut buffer = [0; 1024];
            loop {
                let (length, peer) = socket.recv_from(&mut buffer).await.unwrap();
                let question = &buffer[..length];
                let name = parse(question).unwrap().question.unwrap().0;
                asked.lock().unwrap().push((name, question[2] & 1 != 0));
                let answer = answer(question, &known.lock().unwrap());
                socket.send_to(&answer, peer).await.unwrap();
            }
        });
        server
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The names that were asked for, and whether it was to find out by asking others.
    pub(crate) fn asked(&self) -> Vec<(String, bool)> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn add(&self, name: &str, value: &str) {
        self.add_record(name, TYPE_TXT, value);
    }

    pub(crate) fn add_record(&self, name: &str, kind: u16, value: &str) {
        self.records.lock().unwrap().push((name.to_owned(), kind, value.to_owned()));
    }
}

/// What is known of the name, after its aliases; of another zone no more than who has it (RFC 1034 section 4.3.2).
fn answer(question: &[u8], records: &[(String, u16, String)]) -> Vec<u8> {
    let (name, kind) = parse(question).unwrap().question.unwrap();
    let mut out = question.to_vec();
    out[2] |= 0x80;
    let mut at = name.clone();
    while let Some(target) = value_of(records, &at, TYPE_CNAME).filter(|_| kind != TYPE_CNAME) {
        push_record(&mut out, ANSWERS, &at, TYPE_CNAME, target);
        at = target.clone();
    }
    let (kind, section) = match value_of(records, &at, kind) {
        None if at == name => (TYPE_NS, AUTHORITIES),
        _ => (kind, ANSWERS),
    };
    for value in values_of(records, &at, kind) {
        push_record(&mut out, section, &at, kind, value);
    }
    out
}

fn value_of<'a>(records: &'a [(String, u16, String)], name: &str, kind: u16) -> Option<&'a String> {
    values_of(records, name, kind).next()
}

fn values_of<'a>(
    records: &'a [(String, u16, String)],
    name: &str,
    kind: u16,
) -> impl Iterator<Item = &'a String> {
    let all = format!("*.{}", name.split_once('.').map_or("", |(_, parent)| parent));
    let owner = if records.iter().any(|record| record.0 == name) { name.to_owned() } else { all };
    records.iter().filter(move |record| record.0 == owner && record.1 == kind).map(|record| &record.2)
}

/// Where the low byte of the number of answers is, and of those who have a zone.
const ANSWERS: usize = 7;
const AUTHORITIES: usize = 9;

fn push_record(out: &mut Vec<u8>, section: usize, name: &str, kind: u16, value: &str) {
    out[section] += 1;
    push_name(out, name).unwrap();
    push_u16(out, kind);
    push_u16(out, CLASS_IN);
    out.extend_from_slice(&[0, 0, 0, 60]);
    let mut data = Vec::new();
    match kind {
        TYPE_TXT => return push_text(out, value).unwrap(),
        TYPE_A => data.extend_from_slice(&value.parse::<std::net::Ipv4Addr>().unwrap().octets()),
        _ => push_name(&mut data, value).unwrap(),
    }
    push_u16(out, data.len() as u16);
    out.extend_from_slice(&data);
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
