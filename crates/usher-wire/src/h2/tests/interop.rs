//! With the `h2` crate on the other side: its client, and its server.

use bytes::Bytes;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Method};
use tokio::task::spawn_local;

use super::*;
use crate::body::Sink;
use crate::h1::RequestContext;
use crate::testing::pattern;
use crate::upstream::Upstream;

/// Sends all of `data` as its window allows, and ends with trailers.
async fn push(mut out: SendStream<Bytes>, mut data: Bytes, trailers: Option<HeaderMap>) {
    while !data.is_empty() {
        out.reserve_capacity(data.len());
        let room = poll_fn(|cx| out.poll_capacity(cx)).await.expect("open").expect("capacity");
        out.send_data(data.split_to(room.min(data.len())), false).expect("sent");
    }
    match trailers {
        Some(trailers) => out.send_trailers(trailers).expect("sent"),
        None => out.send_data(Bytes::new(), true).expect("sent"),
    }
}

/// Receives a whole body and its trailers.
async fn pull(mut body: RecvStream) -> Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
    let mut all = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        all.extend_from_slice(&data);
        body.flow_control().release_capacity(data.len()).expect("open");
    }
    Ok((all, body.trailers().await?))
}

fn some_trailers() -> HeaderMap {
    HeaderMap::from_iter([(http::HeaderName::from_static("x-sum"), http::HeaderValue::from_static("42"))])
}

fn ask(method: Method, path: &str) -> http::Request<()> {
    let uri = format!("http://a.test{path}");
    http::Request::builder().method(method).uri(uri).body(()).expect("a request")
}

/// A client of the other kind, connected to our server.
async fn connect(builder: &h2::client::Builder) -> h2::client::SendRequest<Bytes> {
    let (near, far) = tokio::io::duplex(50_000);
    spawn_local(serve(Server::new(MemoryStream::from(far), &[], Limits::default())));
    let (client, connection) = builder.handshake::<_, Bytes>(near).await.expect("a connection");
    spawn_local(async move { _ = connection.await });
    client.ready().await.expect("ready")
}

#[test]
fn their_client_sends_many_requests() {
    local(async {
        let client = connect(&h2::client::Builder::new()).await;
        let one = |number: usize| {
            let client = client.clone();
            async move {
                let mut client = client.ready().await.expect("ready");
                let (response, _) =
                    client.send_request(ask(Method::GET, &format!("/{number}")), true).expect("sent");
                let response = response.await.expect("a response");
                assert_eq!(response.status(), 200);
                assert_eq!(response.headers()["date"], "Thu, 01 Jan 1970 00:00:00 GMT");
                assert_eq!(pull(response.into_body()).await.expect("a body").0, b"ok");
            }
        };
        let all: Vec<_> = (0..1000).map(|number| spawn_local(one(number))).collect();
        for one in all {
            one.await.expect("no panic");
        }
    });
}

/// Big bodies both ways at once, through windows of all sizes.
#[test]
fn their_client_and_bodies_both_ways() {
    for (window, connection, len) in
        [(1, 65_535, 100), (100, 65_535, 20_000), (65_535, 65_535, 500_000), (1 << 20, 1 << 22, 3_000_000)]
    {
        local(async {
            let mut builder = h2::client::Builder::new();
            builder.initial_window_size(window).initial_connection_window_size(connection);
            let client = connect(&builder).await;
            let one = |client: h2::client::SendRequest<Bytes>| async move {
                let mut client = client.ready().await.expect("ready");
                let (response, out) = client.send_request(ask(Method::POST, "/echo"), false).expect("sent");
                let data = pattern(len);
                spawn_local(push(out, data.clone().into(), Some(some_trailers())));
                let response = response.await.expect("a response");
                let (body, trailers) = pull(response.into_body()).await.expect("a body");
                assert!(body == data, "{len} bytes");
                assert_eq!(trailers, Some(some_trailers()));
            };
            let all: Vec<_> = (0..5).map(|_| spawn_local(one(client.clone()))).collect();
            for one in all {
                one.await.expect("no panic");
            }
        });
    }
}

#[test]
fn their_client_resets_and_goes_on() {
    local(async {
        let client = connect(&h2::client::Builder::new()).await;
        for _ in 0..200 {
            let mut client = client.clone().ready().await.expect("ready");
            let (response, mut out) = client.send_request(ask(Method::POST, "/hold"), false).expect("sent");
            out.send_reset(h2::Reason::CANCEL);
            assert!(response.await.is_err());
        }
        let mut client = client.ready().await.expect("ready");
        let (response, _) = client.send_request(ask(Method::GET, "/"), true).expect("sent");
        assert_eq!(response.await.expect("a response").status(), 200);
    });
}

/// Serves with a server of the other kind: echoes bodies and trailers, refuses `/refused`, resets `/reset`.
async fn serve_theirs(stream: tokio::io::DuplexStream, builder: h2::server::Builder) {
    let mut connection = builder.handshake::<_, Bytes>(stream).await.expect("a connection");
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        spawn_local(async move {
            match request.uri().path() {
                "/refused" => return respond.send_reset(h2::Reason::REFUSED_STREAM),
                "/reset" => return respond.send_reset(h2::Reason::INTERNAL_ERROR),
                _ => {}
            }
            let mut response = http::Response::new(());
            for (name, value) in request.headers() {
                if name != "content-length" {
                    response.headers_mut().append(name.clone(), value.clone());
                }
            }
            let out = respond.send_response(response, false).expect("sent");
            let Ok((body, trailers)) = pull(request.into_body()).await else { return };
            push(out, body.into(), trailers).await;
        });
    }
}

/// A client of ours, connected to a server of the other kind.
fn connect_ours(builder: h2::server::Builder) -> Client {
    let (near, far) = tokio::io::duplex(50_000);
    spawn_local(serve_theirs(far, builder));
    let (client, driver) = Client::new(MemoryStream::from(near), Limits::default());
    spawn_local(driver);
    client
}

fn request(method: usher_http::Method, path: &str) -> Request {
    let mut request = Request::default();
    request.method = method;
    request.scheme = "http";
    request.path.push_str(path);
    request.fields.add(b"User-Agent", b"test").expect("a field");
    request
}

/// Sends a request with a body and receives its response.
async fn exchange(mut stream: ClientStream, path: &str, body: &[u8]) -> Result<Vec<u8>, WireError> {
    let framing = if body.is_empty() { Framing::None } else { Framing::Chunked };
    let trailers = all_trailers();
    let context = RequestContext { upgrade: None, takes_trailers: true, trailers: Some(&trailers) };
    stream.begin_request(&request(usher_http::Method::Post, path), b"a.test", framing, context);
    let mut source = crate::body::Held::new(body);
    let mut sum = Fields::default();
    sum.add(b"x-sum", b"42").expect("a field");
    let mut response = Response::default();
    let (mut headed, mut received) = (false, Vec::new());
    poll_fn(|cx| {
        use std::task::Poll;
        while !source.chunk().is_empty() {
            match stream.poll_send(cx, source.chunk())? {
                Poll::Ready(len) => source.consume(len),
                Poll::Pending => break,
            }
        }
        if source.chunk().is_empty() {
            let _ = stream.poll_finish(cx, Some(&sum))?;
        }
        if !headed {
            std::task::ready!(stream.poll_response(cx, &HeadLimits::default(), &mut response))?;
            headed = true;
            stream.begin_receive(Framing::Chunked);
        }
        loop {
            let len = std::task::ready!(stream.poll_fill(cx))?;
            if len == 0 {
                return Poll::Ready(Ok::<_, WireError>(()));
            }
            received.extend_from_slice(stream.chunk());
            stream.consume(len);
        }
    })
    .await?;
    assert_eq!((response.status, response.version), (200, Version::Http2));
    assert_eq!(response.fields.get_named(b"user-agent"), Some(&b"test"[..]));
    assert_eq!(response.fields.get_named(b"te"), Some(&b"trailers"[..]));
    if !body.is_empty() {
        let trailers = Source::trailers(&stream).expect("trailers");
        assert_eq!(trailers.get_named(b"x-sum"), Some(&b"42"[..]));
    }
    Ok(received)
}

#[test]
fn their_server_and_bodies_both_ways() {
    for (window, len) in [(1, 300), (1000, 20_000), (65_535, 500_000), (1 << 20, 3_000_000)] {
        local(async {
            let mut builder = h2::server::Builder::new();
            builder.initial_window_size(window);
            let client = connect_ours(builder);
            let one = |client: Client| async move {
                let data = pattern(len);
                let stream = client.open().expect("a stream");
                let received = exchange(stream, "/", &data).await.expect("a response");
                assert!(received == data, "{len}");
            };
            let all: Vec<_> = (0..5).map(|_| spawn_local(one(client.clone()))).collect();
            for one in all {
                one.await.expect("no panic");
            }
        });
    }
}

#[test]
fn their_server_and_many_requests() {
    local(async {
        let client = connect_ours(h2::server::Builder::new());
        for _ in 0..20 {
            let all: Vec<_> = (0..100)
                .map(|_| {
                    let stream = client.open().expect("a stream");
                    spawn_local(async move { exchange(stream, "/", b"").await })
                })
                .collect();
            assert!(client.open().is_none(), "no more than allowed");
            for one in all {
                assert_eq!(one.await.expect("no panic").expect("a response"), b"");
            }
        }
        assert_eq!(client.streams(), 0);
    });
}

#[test]
fn their_server_refuses_and_resets() {
    local(async {
        let client = connect_ours(h2::server::Builder::new());
        let refused = exchange(client.open().expect("a stream"), "/refused", b"").await;
        assert!(matches!(refused, Err(WireError::Refused)), "{refused:?}");
        let reset = exchange(client.open().expect("a stream"), "/reset", b"").await;
        assert!(matches!(reset, Err(WireError::Reset(2))), "{reset:?}");
        assert_eq!(exchange(client.open().expect("a stream"), "/", b"on").await.expect("a response"), b"on");
    });
}

#[test]
fn their_server_says_how_many_streams() {
    local(async {
        let mut builder = h2::server::Builder::new();
        builder.max_concurrent_streams(3);
        let client = connect_ours(builder);
        assert_eq!(exchange(client.open().expect("a stream"), "/", b"x").await.expect("a response"), b"x");
        let open: Vec<_> = (0..4).map(|_| client.open()).collect();
        assert_eq!(open.iter().flatten().count(), 3);
        assert!(!client.can_open());
        drop(open);
        assert!(client.can_open());
    });
}
