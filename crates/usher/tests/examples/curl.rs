//! Requests that curl makes: over TLS, over HTTP/2, or with other options of its own.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use usher_testkit::{Field, Response};

use crate::Outcome;
use crate::expect::Ask;

/// Options of every curl: no settings of the user's, no proxy of the environment, an end, and the head in the output.
const ALWAYS: &str = "--disable --silent --show-error --noproxy * --max-time 30 --path-as-is --include";

/// Whether there is a curl. In CI there must be one.
pub(crate) fn is_there() -> Outcome<bool> {
    match Command::new("curl").arg("--version").output() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound && std::env::var_os("CI").is_none() => Ok(false),
        Err(error) => Err(format!("curl: {error}")),
    }
}

/// What came back; or what curl says, if it could not ask.
pub(crate) fn ask(ask: &Ask, address: SocketAddr, folder: &Path) -> Outcome<Result<Response, String>> {
    let mut command = Command::new("curl");
    command.current_dir(folder).args(ALWAYS.split(' ')).args(["--request", &ask.method]);
    // Whatever the host, to the port of the test.
    command.arg("--connect-to").arg(format!("::{}:{}", address.ip(), address.port()));
    if ask.is_secure {
        command.args(["--cacert", "certs/ca.pem"]);
    }
    for (name, value) in &ask.fields {
        command.arg("--header").arg(format!("{name}: {value}"));
    }
    if !ask.content.is_empty() {
        command.args(["--data-binary", &ask.content]);
    }
    command.args(ask.curl.split_ascii_whitespace());
    let scheme = if ask.is_secure { "https" } else { "http" };
    command.arg(format!("{scheme}://{}{}", ask.host, ask.target));
    let output = command.output().map_err(|error| format!("curl: {error}"))?;
    if !output.status.success() {
        return Ok(Err(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    parse(output.stdout).map(Ok)
}

/// The last head that curl printed, and the body behind it.
fn parse(raw: Vec<u8>) -> Outcome<Response> {
    let mut rest = &raw[..];
    loop {
        let end = rest.windows(4).position(|bytes| bytes == b"\r\n\r\n").ok_or("curl printed no head")?;
        let head = String::from_utf8_lossy(&rest[..end]).into_owned();
        rest = &rest[end + 4..];
        let (line, fields) = head.split_once("\r\n").unwrap_or((&head, ""));
        let (version, status) = line.split_once(' ').unwrap_or((line, ""));
        let status: u16 = status.get(..3).and_then(|status| status.parse().ok()).ok_or("no status")?;
        if status < 200 && status != 101 {
            continue;
        }
        let mut response = Response { version: version.to_owned(), status, ..Response::default() };
        let field = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some(Field { name: name.to_owned(), value: value.trim().to_owned() })
        };
        response.message.fields.0 = fields.split("\r\n").filter_map(field).collect();
        line.clone_into(&mut response.message.line);
        response.message.body = rest.to_vec();
        response.message.raw = raw;
        return Ok(response);
    }
}
