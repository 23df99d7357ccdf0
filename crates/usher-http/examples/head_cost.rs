//! What one request head costs: parse, sanitize, replace the forwarding fields, encode.
//!
//! Count instructions, which do not depend on how busy the machine is:
//! ```text
//! cargo build --release -p usher-http --example head_cost
//! valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/head_cost 1000
//! ```
//! The difference between two counts, divided by the difference between their numbers of requests, is the cost of one.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use usher_http::Request;
use usher_http::parse::{HeadLimits, HeadParser};
use usher_http::sanitize::{Scratch, sanitize};
use usher_http::trust::{ClientText, replace};

/// A browser's request, 402 bytes.
const HEAD: &[u8] = b"GET /assets/app/main.js?v=20240511 HTTP/1.1\r\n\
Host: www.example.com\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n\
Accept-Language: en-US,en;q=0.5\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\n\
Connection: keep-alive\r\n\
Referer: https://www.example.com/index\r\n\
Cookie: session=0123456789abcdef01234\r\n\
Priority: u=0, i\r\n\
\r\n";

fn main() {
    let rounds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1000);
    let limits = HeadLimits::default();
    let client =
        ClientText::new(Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))), Some(([192, 0, 2, 1], 80).into()));
    let (mut request, mut scratch) = (Request::default(), Scratch::default());
    let (mut upgrade, mut out) = (Vec::new(), Vec::new());
    let mut served = 0;
    for _ in 0..rounds {
        let parsed = HeadParser::default().request(black_box(HEAD), &limits, &mut request);
        request.scheme = "http";
        if parsed == Ok(Some(HEAD.len())) && sanitize(&mut request, &mut scratch, &mut upgrade).is_ok() {
            replace(&mut request, &client, "1.1");
            let host = std::mem::take(&mut request.authority);
            request.encode(host.as_bytes(), &mut out);
            request.authority = host;
            served += 1;
        }
        black_box(&out);
        out.clear();
        request.clear();
    }
    println!("{served} of {rounds} heads of {} bytes", HEAD.len());
}
