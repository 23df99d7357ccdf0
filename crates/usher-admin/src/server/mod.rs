//! The thread that serves the admin endpoint.

mod connection;

#[cfg(test)]
mod tests;

use std::io;
use std::net::IpAddr;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use axum::Router;
use tokio::sync::oneshot;
use usher_api::metrics::Registry;

use crate::Control;
use crate::guard::Guard;
use crate::pages::{self, Site};
use connection::Door;

/// Threads for what may wait: reloads, scrapes, questions of readiness; further ones queue.
const MAX_WAITING_THREADS: usize = 4;

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
        let listener = {
            let _within = runtime.enter();
            socket.listen()?
        };
        let work = move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = listener.serve(pages::router(site)) => {}
                    _ = stopped => {}
                }
            });
            // A reload that is under way need not hold up the end of the process.
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name("admin".to_owned()).spawn(work)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
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
    async fn serve(self, router: Router) {
        // Never ends, so never gives an error.
        let _ = match self {
            Self::Tcp(door) => axum::serve(door, router).await,
            Self::Unix(door) => axum::serve(door, router).await,
        };
    }
}
