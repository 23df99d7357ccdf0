//! What answers the challenges, as the proxy would: on a plain port from `HttpChallenges`, on a TLS port from `Certificates`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{LocalSet, spawn_local};
use usher_api::HttpChallenges;
use usher_net::Stream;
use usher_net::tls::{AcceptorOptions, Certificates, TicketKeys, TlsAcceptor, accept};

use crate::world::World;

/// Answers until it is dropped.
pub(crate) struct Site {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
    answered: Arc<AtomicUsize>,
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Site {
    pub(crate) fn http(world: &World, address: SocketAddr) -> Self {
        let challenges = world.challenges.clone();
        Self::start(address, move |stream, answered| {
            let challenges = challenges.clone();
            spawn_local(async move { answer(stream, &challenges, &answered).await });
        })
    }

    pub(crate) fn tls(world: &World, address: SocketAddr) -> Self {
        let certificates: Arc<Certificates> = world.certificates.clone();
        let acceptor = TlsAcceptor::new(AcceptorOptions::new(certificates, TicketKeys::new())).unwrap();
        let acceptor = Arc::new(acceptor);
        Self::start(address, move |stream, answered| {
            let acceptor = acceptor.clone();
            spawn_local(async move {
                if accept(Stream::Tcp(stream), Vec::new(), &acceptor).await.is_ok() {
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        })
    }

    /// Challenges that were answered.
    pub(crate) fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    fn start(address: SocketAddr, take: impl Fn(TcpStream, Arc<AtomicUsize>) + Send + 'static) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let answered = Arc::new(AtomicUsize::new(0));
        let count = answered.clone();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            LocalSet::new().block_on(&runtime, async {
                let listener = TcpListener::bind(address).await.unwrap();
                ready.send(()).unwrap();
                let serve = async {
                    loop {
                        let (stream, _) = listener.accept().await.unwrap();
                        take(stream, count.clone());
                    }
                };
                tokio::select! { () = serve => {}, _ = stopped => {} }
            });
        });
        is_ready.recv().unwrap();
        Self { stop: Some(stop), thread: Some(thread), answered }
    }
}

async fn answer(mut stream: TcpStream, challenges: &HttpChallenges, answered: &AtomicUsize) {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(length) if length > 0 => head.extend_from_slice(&buffer[..length]),
            _ => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let found = head.split(' ').nth(1).and_then(|path| challenges.answer(path));
    answered.fetch_add(usize::from(found.is_some()), Ordering::Relaxed);
    let (status, body) = match &found {
        Some(answer) => (200, answer.as_ref()),
        None => (404, ""),
    };
    let text =
        format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    let _ = stream.write_all(text.as_bytes()).await;
}
