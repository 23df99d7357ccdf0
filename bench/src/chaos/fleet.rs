//! The endpoints: processes of their own, so that they can be killed and stopped.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::endpoint::Manner;
use super::faults::ENDPOINTS;
use crate::process::{Launch, Process, Scratch};

/// The port of all of them; they differ in their addresses.
pub(super) const PORT: u16 = 8080;
/// How long one may take to start, and to do what it is told.
const WITHIN: Duration = Duration::from_secs(10);

/// All endpoints.
pub(super) struct Fleet {
    members: Vec<Option<Process>>,
    scratch: Scratch,
}

impl Fleet {
    /// Starts all of them.
    pub(super) fn start() -> io::Result<Self> {
        let mut fleet = Self { members: (0..ENDPOINTS).map(|_| None).collect(), scratch: Scratch::new()? };
        (0..ENDPOINTS).try_for_each(|index| fleet.begin(index))?;
        (0..ENDPOINTS).try_for_each(|index| fleet.tell(index, Manner::Fine))?;
        Ok(fleet)
    }

    /// Where these are.
    pub(super) fn addresses(&self, members: &[usize]) -> Vec<Ipv4Addr> {
        members.iter().map(|&index| address(index)).collect()
    }

    /// Starts one; it may take a moment until it listens.
    pub(super) fn begin(&mut self, index: usize) -> io::Result<()> {
        let file = |name: &str| self.scratch.path().join(format!("{name}-{index}"));
        let (stdout, stderr) = (file("out"), file("err"));
        let address = SocketAddr::from((address(index), PORT)).to_string();
        let arguments = ["chaos-endpoint", "--address", &address].map(Into::into).to_vec();
        let launch = Launch { program: std::env::current_exe()?, arguments, stdout, stderr };
        self.members[index] = Some(Process::start_anywhere(&launch)?);
        Ok(())
    }

    pub(super) fn kill(&mut self, index: usize) -> io::Result<()> {
        let process = self.members[index].take();
        process.map_or(Ok(()), |process| process.signal(Signal::KILL))
    }

    pub(super) fn freeze(&self, index: usize) -> io::Result<()> {
        self.signal(index, Signal::STOP)
    }

    pub(super) fn thaw(&self, index: usize) -> io::Result<()> {
        self.signal(index, Signal::CONT)
    }

    fn signal(&self, index: usize, signal: Signal) -> io::Result<()> {
        self.members[index].as_ref().map_or(Ok(()), |process| process.signal(signal))
    }

    /// Tells one how to answer, as soon as it listens.
    pub(super) fn tell(&self, index: usize, manner: Manner) -> io::Result<()> {
        let (begin, path) = (Instant::now(), manner.path());
        loop {
            match ask(SocketAddr::from((address(index), PORT)), path) {
                Ok(()) => return Ok(()),
                Err(error) if begin.elapsed() > WITHIN => {
                    return Err(io::Error::other(format!("endpoint {index} does not listen: {error}")));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for process in self.members.iter().flatten() {
            let _ = process.signal(Signal::KILL);
        }
    }
}

/// Where an endpoint is: 127.0.1.1 and so on.
fn address(index: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 1, u8::try_from(index + 1).unwrap_or(u8::MAX))
}

/// One request on a connection of its own; whether it was answered with 200.
pub(super) fn ask(address: SocketAddr, path: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, WITHIN)?;
    stream.set_read_timeout(Some(WITHIN))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut start = [0; 12];
    stream.read_exact(&mut start)?;
    if start == *b"HTTP/1.1 200" { Ok(()) } else { Err(io::Error::other("answered, but not with 200")) }
}
