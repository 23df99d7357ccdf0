//! What the tests of several modules need: a runtime as a worker has it, and whole reads and writes.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use crate::address::Address;
use crate::listen::{ListenOptions, Listener, bind};
use crate::options::SocketOptions;
use crate::transport::Transport;

/// Runs a future as a worker would.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

/// Any free port of the loopback.
pub(crate) fn loopback() -> Address {
    Address::Ip(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
}

/// The socket address inside.
pub(crate) fn ip(address: &Address) -> SocketAddr {
    match address {
        Address::Ip(address) => *address,
        Address::Unix(path) => panic!("`{}` is no IP address", path.display()),
    }
}

/// A listener with the default options.
pub(crate) fn listener(address: &Address) -> Listener {
    let bound = bind(address, &ListenOptions::default(), 1).expect("bind").remove(0);
    Listener::new(bound, &SocketOptions::default()).expect("a listener")
}

/// One read.
pub(crate) async fn read(stream: &mut impl Transport, buf: &mut [u8]) -> io::Result<usize> {
    poll_fn(|cx| stream.poll_read(cx, buf)).await
}

/// Reads to the end of the stream.
pub(crate) async fn read_all(stream: &mut impl Transport) -> io::Result<Vec<u8>> {
    let (mut all, mut buf) = (Vec::new(), vec![0; 4096]);
    loop {
        match read(stream, &mut buf).await? {
            0 => return Ok(all),
            n => all.extend_from_slice(&buf[..n]),
        }
    }
}

/// Writes all of `bytes`.
pub(crate) async fn write_all(stream: &mut impl Transport, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let n = poll_fn(|cx| stream.poll_write(cx, bytes)).await?;
        bytes = &bytes[n..];
    }
    Ok(())
}

/// Ends the write direction.
pub(crate) async fn shutdown(stream: &mut impl Transport) -> io::Result<()> {
    poll_fn(|cx| stream.poll_shutdown(cx)).await
}
