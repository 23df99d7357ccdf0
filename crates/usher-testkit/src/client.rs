//! A client that sends bytes exactly as given and reads responses strictly.

use crate::stream::Cancel;
use crate::{Connection, Response, Result};
use std::net::IpAddr;
use std::ops::{Deref, DerefMut};

/// A raw client connection; derefs to [`Connection`] for `send`, `read_response`, `expect_close` and the like.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
}

impl Client {
    /// Connects to `IP:PORT` or `unix:PATH`.
    #[expect(clippy::needless_pass_by_value, reason = "an address or a text, whichever is at hand")]
    pub fn connect(address: impl ToString) -> Result<Self> {
        let connection = Connection::connect(&address.to_string(), None, Cancel::default())?;
        Ok(Self { connection })
    }

    /// Connects from a given local address: all of 127.0.0.0/8 is at hand.
    #[expect(clippy::needless_pass_by_value, reason = "an address or a text, whichever is at hand")]
    pub fn connect_from(from: IpAddr, address: impl ToString) -> Result<Self> {
        let connection = Connection::connect(&address.to_string(), Some(from), Cancel::default())?;
        Ok(Self { connection })
    }

    /// Sends a GET for `target` with a `Host` of `example.com` and reads the final response.
    pub fn get(&mut self, target: &str) -> Result<Response> {
        self.request("GET", target, &[], b"")
    }

    /// Sends a request with `Host: example.com` unless the fields name one, and reads the final response (RFC 9110
    /// section 15.2: interim ones come before it). A body is sent with its `Content-Length`.
    pub fn request(
        &mut self,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response> {
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        if !fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head.push_str("Host: example.com\r\n");
        }
        for (name, value) in fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        self.send([head.as_bytes(), body].concat())?;
        loop {
            let response = self.read_response_to(method)?;
            if response.status >= 200 || response.status == 101 {
                return Ok(response);
            }
        }
    }
}

impl Deref for Client {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for Client {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}
