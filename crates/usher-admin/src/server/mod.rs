//! The thread that serves the admin endpoint.

mod connection;

#[cfg(test)]
mod tests;

use std::io;
use std::net::IpAddr;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use axum::Router;
use tokio::sync::oneshot;
use usher_api::metrics::Registry;

use crate::Control;
use crate::guard::Guard;
use crate::pages::{self, Site};
use connection::Door;

/// Threads for what may wait: reloads, scrapes, questions of readiness; further ones queue.
const MAX_WAITING_THREADS: usize = 4;

/// How often [`AdminServer::finish`] looks.
const FINISH_CHECK: Duration = Duration::from_millis(5);

/// Where the endpoint listens; bound by the caller, so that an address in use is an error before anything starts.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(std::net::TcpListener),
    /// A Unix socket; who may connect is a matter of its file's mode.
    Unix(UnixListener),
}

/// The running endpoint. When it is dropped, it stops.
pub struct AdminServer {
    stop: Option<oneshot::Sender<()>>,
    leave: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl AdminServer {
    /// Starts to serve on a thread of its own.
    ///
    /// # Errors
    /// The socket or the thread cannot be set up.
    pub fn start(socket: Socket, registry: Arc<Registry>, control: Arc<dyn Control>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(MAX_WAITING_THREADS)
            .thread_name("admin-wait")
            .build()?;
        let site = Site { registry, control, guard: Guard::new(socket.ip()?) };
        let (stop, stopped) = oneshot::channel();
        let (leave, left) = oneshot::channel();
        let listener = {
            let _within = runtime.enter();
            socket.listen()?
        };
        let work = move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = listener.serve(pages::router(site), left) => {}
                    _ = stopped => {}
                }
            });
            // A reload that is under way need not hold up the end of the process.
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name("admin".to_owned()).spawn(work)?;
        Ok(Self { stop: Some(stop), leave: Some(leave), thread: Some(thread) })
    }

    /// Takes no more connections; requests that are under way are answered.
    pub fn leave(&mut self) {
        if let Some(leave) = self.leave.take() {
            let _ = leave.send(());
        }
    }

    /// Ends it. After [`leave`](Self::leave), waits for answers that are under way, for at most `patience`.
    pub fn finish(mut self, patience: Duration) {
        let deadline = Instant::now() + patience;
        while self.leave.is_none()
            && self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
            && Instant::now() < deadline
        {
            thread::sleep(FINISH_CHECK);
        }
        self.stop.take();
    }

    /// Closes the socket and all connections; waits for the thread.
    pub fn stop(mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Socket {
    fn ip(&self) -> io::Result<Option<IpAddr>> {
        match self {
            Self::Tcp(listener) => Ok(Some(listener.local_addr()?.ip())),
            Self::Unix(_) => Ok(None),
        }
    }

    fn listen(self) -> io::Result<Listening> {
        Ok(match self {
            Self::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                Listening::Tcp(Door::new(tokio::net::TcpListener::from_std(listener)?))
            }
            Self::Unix(listener) => {
                listener.set_nonblocking(true)?;
                Listening::Unix(Door::new(tokio::net::UnixListener::from_std(listener)?))
            }
        })
    }
}

enum Listening {
    Tcp(Door<tokio::net::TcpListener>),
    Unix(Door<tokio::net::UnixListener>),
}

impl Listening {
    /// Serves until `left` says so; for ever if its sender is just dropped.
    async fn serve(self, router: Router, left: oneshot::Receiver<()>) {
        let left = async move {
            if left.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        // Accepting does not fail, so there is no error to look at.
        let _ = match self {
            Self::Tcp(door) => axum::serve(door, router).with_graceful_shutdown(left).await,
            Self::Unix(door) => axum::serve(door, router).with_graceful_shutdown(left).await,
        };
    }
}
