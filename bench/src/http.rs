//! As much HTTP/1.1 as the two ends of the benchmark need: rendering requests, and reading heads (RFC 9112).

/// The largest head that either end accepts, in bytes.
pub(crate) const MAX_HEAD: usize = 16 * 1024;

/// The host that every request names.
pub(crate) const HOST: &str = "shop.example.com";

/// The fields of a usual browser; with the request line about 400 bytes.
const BROWSER: &str = "Host: shop.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8\r\n\
    Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Cookie: session=5f2b9c1e7a3d4860b1c2d3e4f5a6b7c8; theme=dark; consent=yes\r\n";

/// A GET request; with `close` the client asks for the connection to end after the response.
pub(crate) fn get(path: &str, close: bool) -> Vec<u8> {
    let close = if close { "Connection: close\r\n" } else { "" };
    format!("GET {path} HTTP/1.1\r\n{BROWSER}{close}\r\n").into_bytes()
}

/// The head of a POST request with a body of `length` bytes.
pub(crate) fn post(path: &str, length: usize) -> Vec<u8> {
    let kind = "Content-Type: application/octet-stream\r\n";
    format!("POST {path} HTTP/1.1\r\n{BROWSER}{kind}Content-Length: {length}\r\n\r\n").into_bytes()
}

/// The path of the one gRPC method.
pub(crate) const GRPC_PATH: &str = "/bench.Shop/Buy";
/// Bytes of a gRPC message, in both directions.
const GRPC_MESSAGE: usize = 100;

/// The head of a unary gRPC call as HTTP/1.1 would write it; over HTTP/2 `te: trailers` is added.
pub(crate) fn grpc() -> Vec<u8> {
    format!(
        "POST {GRPC_PATH} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/grpc\r\n\
         User-Agent: grpc-go/1.66.0\r\nGrpc-Accept-Encoding: gzip\r\n\
         Authorization: Bearer 5f2b9c1e7a3d4860b1c2d3e4f5a6b7c8\r\n\r\n"
    )
    .into_bytes()
}

/// A message with its prefix: not compressed, and its length.
pub(crate) fn grpc_message() -> Vec<u8> {
    let message = body(GRPC_MESSAGE);
    let length = u32::try_from(message.len()).unwrap_or_default();
    [&[0][..], &length.to_be_bytes(), &message].concat()
}

/// The bytes of every body: a pattern that a shift or a repeated block would break.
pub(crate) fn body(length: usize) -> Vec<u8> {
    (0..length).map(|index| b'a' + u8::try_from((index + index / 1021) % 26).unwrap_or(0)).collect()
}

/// What a response head says.
#[derive(Debug, PartialEq)]
pub(crate) struct ResponseHead {
    /// Bytes up to and with the empty line.
    pub(crate) size: usize,
    /// The status code.
    pub(crate) status: u16,
    /// The value of Content-Length, if there is one.
    pub(crate) length: Option<u64>,
    /// Whether the server said that it closes the connection.
    pub(crate) close: bool,
}

/// Reads a response head from the start of `bytes`; `Ok(None)` while it is incomplete.
pub(crate) fn response_head(bytes: &[u8]) -> Result<Option<ResponseHead>, &'static str> {
    let Some(size) = head_size(bytes)? else { return Ok(None) };
    let line =
        bytes.get(..12).filter(|line| line.starts_with(b"HTTP/1.1 ")).ok_or("no HTTP/1.1 status line")?;
    let status = decimal(&line[9..]).and_then(|code| u16::try_from(code).ok()).ok_or("no status code")?;
    let fields = Framing::of(&bytes[..size]);
    Ok(Some(ResponseHead { size, status, length: fields.length, close: fields.close }))
}

/// What a request head says.
#[derive(Debug, PartialEq)]
pub(crate) struct RequestHead<'a> {
    /// Bytes up to and with the empty line.
    pub(crate) size: usize,
    /// The path without its query.
    pub(crate) path: &'a [u8],
    /// Bytes of body that follow.
    pub(crate) length: u64,
    /// Whether the peer asked for the connection to end.
    pub(crate) close: bool,
}

/// Reads a request head from the start of `bytes`; `Ok(None)` while it is incomplete.
pub(crate) fn request_head(bytes: &[u8]) -> Result<Option<RequestHead<'_>>, &'static str> {
    let Some(size) = head_size(bytes)? else { return Ok(None) };
    let end = memchr::memchr(b'\r', bytes).unwrap_or(size);
    let target = bytes[..end].split(|&byte| byte == b' ').nth(1).ok_or("no request target")?;
    let path = target.split(|&byte| byte == b'?').next().unwrap_or(target);
    let fields = Framing::of(&bytes[..size]);
    if fields.chunked {
        return Err("a chunked request body; every work sends Content-Length");
    }
    Ok(Some(RequestHead { size, path, length: fields.length.unwrap_or(0), close: fields.close }))
}

fn head_size(bytes: &[u8]) -> Result<Option<usize>, &'static str> {
    match memchr::memmem::find(bytes, b"\r\n\r\n") {
        Some(at) => Ok(Some(at + 4)),
        None if bytes.len() > MAX_HEAD => Err("the head is too long"),
        None => Ok(None),
    }
}

#[derive(Default)]
struct Framing {
    length: Option<u64>,
    close: bool,
    chunked: bool,
}

impl Framing {
    fn of(head: &[u8]) -> Self {
        let mut framing = Self::default();
        for (name, value) in fields(head) {
            if name.eq_ignore_ascii_case(b"content-length") {
                framing.length = decimal(value);
            } else if name.eq_ignore_ascii_case(b"connection") {
                framing.close = value.eq_ignore_ascii_case(b"close");
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                framing.chunked = true;
            }
        }
        framing
    }
}

/// The fields of a complete head, in order, as names and trimmed values.
pub(crate) fn fields(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut ends = memchr::memchr_iter(b'\n', head);
    let mut start = ends.next().map_or(head.len(), |end| end + 1);
    ends.filter_map(move |end| {
        let line = &head[start..end];
        start = end + 1;
        let colon = memchr::memchr(b':', line)?;
        Some((&line[..colon], line[colon + 1..].trim_ascii()))
    })
}

fn decimal(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_response_heads() {
        let whole =
            b"HTTP/1.1 200 OK\r\nServer: x\r\ncontent-length:  1024 \r\nConnection: Close\r\n\r\nbody";
        let head = response_head(whole).unwrap().unwrap();
        assert_eq!(
            head,
            ResponseHead { size: whole.len() - 4, status: 200, length: Some(1024), close: true }
        );
        for cut in 0..head.size {
            assert_eq!(response_head(&whole[..cut]), Ok(None), "cut at {cut}");
        }
        assert!(response_head(b"HTTP/1.0 200 OK\r\n\r\n").is_err());
        assert!(response_head(b"HTTP/1.1\r\n\r\n").is_err());
        assert!(response_head(&vec![b'a'; MAX_HEAD + 1]).is_err());
    }

    #[test]
    fn reads_request_heads() {
        let request = [post("/sink?x=1", 10), body(10)].concat();
        let head = request_head(&request).unwrap().unwrap();
        assert_eq!((head.path, head.length, head.close), (&b"/sink"[..], 10, false));
        assert_eq!(request.len(), head.size + 10);
        assert!(request_head(&get("/", true)).unwrap().unwrap().close);
        assert!(request_head(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
    }

    #[test]
    fn requests_look_like_a_browsers() {
        let size = get("/1k", false).len();
        assert!((300..=450).contains(&size), "{size}");
        assert!(BROWSER.starts_with(&format!("Host: {HOST}\r\n")));
    }

    #[test]
    fn a_grpc_message_has_its_length_in_front() {
        let message = grpc_message();
        assert_eq!(message[..5], [0, 0, 0, 0, 100]);
        assert_eq!(message.len(), 105);
    }
}
