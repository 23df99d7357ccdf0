//! Datagrams: how they are asked and answered.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::Outcome;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often an endpoint looks whether it is to end.
const LOOK: Duration = Duration::from_millis(50);
/// No datagram is larger (bytes).
const LARGEST: usize = 64 << 10;

/// Answers datagrams with its name and what it was sent, until it is dropped.
pub(crate) struct Answering {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Answering {
    pub(crate) fn start(address: &str, name: &str) -> Outcome<Self> {
        let failed = |error: std::io::Error| format!("a fake of UDP: {error}");
        let socket = UdpSocket::bind(address).map_err(failed)?;
        socket.set_read_timeout(Some(LOOK)).map_err(failed)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, name) = (stop.clone(), format!("endpoint {name}\n"));
        let answer = move || {
            let mut buffer = vec![0; LARGEST];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((length, of)) = socket.recv_from(&mut buffer) {
                    let _ = socket.send_to(&[name.as_bytes(), &buffer[..length]].concat(), of);
                }
            }
        };
        Ok(Self { stop, thread: Some(thread::spawn(answer)) })
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}

/// Sends a datagram, as a client of its own, and gives the answer.
pub(crate) fn ask(address: SocketAddr, text: &str) -> Outcome<String> {
    let answer = || {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(address)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.send(text.as_bytes())?;
        let mut buffer = vec![0; LARGEST];
        let length = socket.recv(&mut buffer)?;
        buffer.truncate(length);
        String::from_utf8(buffer).map_err(|_| std::io::Error::from(ErrorKind::InvalidData))
    };
    answer().map_err(|error| format!("no answer to a datagram: {error}"))
}
