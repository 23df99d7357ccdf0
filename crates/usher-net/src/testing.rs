//! What the tests of several modules need: a runtime as a worker has it, and whole reads and writes.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use crate::address::Address;
use crate::listen::{ListenOptions, Listener, bind};
use crate::options::SocketOptions;
use crate::transport::Transport;

/// Runs a scene in another process, `module_path!()` of the test and its name given: what it sets holds for all of it.
pub(crate) fn alone((module, test): (&str, &str), scene: impl FnOnce()) {
    const ALONE: &str = "USHER_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return scene();
    }
    let (_, module) = module.split_once("::").expect("a crate and a module");
    let mut command = std::process::Command::new(std::env::current_exe().expect("a path"));
    command.args([&format!("{module}::{test}"), "--exact"]).env(ALONE, "1");
    let output = command.output().expect("an end");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains(" 1 passed"), "{said}");
}

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
