//! Asking a running process through its admin listener.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use usher_config::BindAddress;
use usher_config::config::Admin;

use crate::cli::ConfigArgs;
use crate::origin::Origin;
use crate::terminal::{Failure, say};

/// How long the running process may take to answer: it may resolve names meanwhile.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of an answer that are read: of 100,000 certificates, the most that there may be on demand.
const MAX_ANSWER: u64 = 128 << 20;

/// The admin listener that is asked, and what to do if nobody is there.
pub(super) struct Asked {
    admin: BindAddress,
    help: String,
}

impl Asked {
    /// By `--admin`.
    pub(super) fn named(admin: BindAddress) -> Self {
        let help = "is usher running, and is this its `admin`? SIGHUP needs none: `kill -HUP PID`, or `--pid-file FILE`";
        Self { admin, help: help.to_owned() }
    }

    /// By the config. One with errors that was not named still says where the process is, which will report them.
    pub(super) fn configured(args: &ConfigArgs) -> Result<Self, Failure> {
        let origin = Origin::of(args)?;
        let name = origin.name();
        let other =
            "name the address by `--admin ADDR`, or send SIGHUP: `kill -HUP PID`, or `--pid-file FILE`";
        let written = match (origin.load(), &args.config) {
            (Ok(loaded), _) => Some(loaded.config.admin),
            (Err(_), None) => origin.admin_of_faulty(),
            (Err(report), Some(_)) => return Err(report.into()),
        };
        let why = match &written {
            Some(_) => format!("the `admin` of {name}"),
            None => format!("the default, as {name} has errors"),
        };
        let help = format!("is usher running? If this is not the `admin` that it began with, {other}");
        let Admin::On(listener) = written.unwrap_or_default() else {
            let help = "use `--pid-file FILE`, or send SIGHUP to the process: `kill -HUP PID`";
            return Err(Failure::with_help(format!("`{name}` switches the admin listener off"), help));
        };
        let admin = listener.bind.value;
        say(&format!("asking usher at {admin}, {why}\n"));
        Ok(Self { admin, help })
    }

    /// Sends a request; gives the status and the body of the answer.
    pub(super) fn ask(&self, method: &str, target: &str) -> Result<(u16, String), Failure> {
        self.send(method, target, "")
    }

    /// Sends a request with a body of JSON.
    pub(super) fn send(&self, method: &str, target: &str, body: &str) -> Result<(u16, String), Failure> {
        let Self { admin, help } = self;
        let answer = send(admin, (method, target), body).map_err(|error| {
            Failure::with_help(format!("cannot reach the admin listener at `{admin}`: {error}"), help.clone())
        })?;
        parse(&answer)
            .map(|(status, body)| (status, body.to_owned()))
            .ok_or_else(|| Failure::Message(format!("`{admin}` did not answer as an admin listener does")))
    }
}

trait Talk: Read + Write {}
impl<T: Read + Write> Talk for T {}

fn send(admin: &BindAddress, (method, target): (&str, &str), body: &str) -> std::io::Result<Vec<u8>> {
    let mut stream: Box<dyn Talk> = match admin {
        BindAddress::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Box::new(stream)
        }
        BindAddress::Any(port) => Box::new(connect((Ipv4Addr::LOCALHOST, *port).into())?),
        BindAddress::Socket(address) => Box::new(connect(reachable(*address))?),
    };
    let length = match method {
        "GET" => String::new(),
        _ => format!("Content-Length: {}\r\n", body.len()),
    };
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\nX-Usher-Admin: 1\r\n{length}Connection: close\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
    Ok(answer)
}

fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// A listener on all addresses is reached on the loopback one.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// The status and the body.
fn parse(answer: &[u8]) -> Option<(u16, &str)> {
    let answer = std::str::from_utf8(answer).ok()?;
    let status = answer.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    Some((status, body))
}
