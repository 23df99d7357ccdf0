//! Our client with our server, through streams that hold next to nothing and ones that hold much.

use tokio::task::spawn_local;

use super::*;
use crate::h1::RequestContext;
use crate::pump::Pump;
use crate::testing::{Sealing, once, pattern};
use crate::upstream::Upstream;

fn connect<T: Transport + From<MemoryStream>>(capacity: usize, limits: Limits) -> Client {
    let (near, far) = MemoryStream::pair(capacity);
    spawn_local(serve(Server::new(T::from(far), &[], limits)));
    let (client, driver) = Client::new(T::from(near), limits);
    spawn_local(driver);
    client
}

/// Sends a body with `framing` and gets it back.
async fn echoed(mut stream: ClientStream, body: &[u8], framing: Framing) -> Result<Vec<u8>, WireError> {
    let mut request = Request::default();
    request.method = usher_http::Method::Put;
    request.scheme = "http";
    request.path.push_str("/echo");
    if let Framing::Length(length) = framing {
        request.fields.push(usher_http::FieldId::ContentLength, length.to_string().as_bytes());
    }
    stream.begin_request(&request, b"a.test", framing, RequestContext::default());
    let mut source = crate::body::Held::new(body);
    let (mut pump, mut headed, mut back) = (Pump::default(), false, Vec::new());
    let mut response = Response::default();
    poll_fn(|cx| {
        use std::task::{Poll, ready};
        if let Poll::Ready(Err(error)) = pump.poll(cx, &mut source, &mut stream) {
            panic!("{error:?}");
        }
        if !headed {
            ready!(stream.poll_response(cx, &HeadLimits::default(), &mut response))?;
            headed = true;
        }
        loop {
            let len = ready!(stream.poll_fill(cx))?;
            if len == 0 {
                return Poll::Ready(Ok::<_, WireError>(()));
            }
            back.extend_from_slice(stream.chunk());
            stream.consume(len);
        }
    })
    .await?;
    assert!(stream.is_send_done() && Source::is_done(&stream));
    let (received, sent) = Upstream::take_counts(&mut stream);
    assert!(received as usize > body.len() && sent as usize > body.len());
    Ok(back)
}

#[test]
fn bodies_come_back_through_streams_of_any_size() {
    bodies_come_back::<MemoryStream>();
}

#[test]
fn bodies_come_back_through_streams_that_take_before_they_say_so() {
    bodies_come_back::<Sealing>();
}

fn bodies_come_back<T: Transport + From<MemoryStream>>() {
    for (capacity, len, window) in [
        (1, 500, 1 << 18),
        (7, 5_000, 1 << 18),
        (100, 70_000, 300),
        (1000, 300_000, 70_000),
        (CAPACITY, 3_000_000, 1 << 18),
    ] {
        local(async {
            let limits = Limits { stream_window: window, connection_window: 2 * window, ..limits() };
            let client = connect::<T>(capacity, limits);
            let data = pattern(len);
            let one = |number: usize| {
                let stream = client.open().expect("a stream");
                let data = data.clone();
                async move {
                    let framing =
                        if number.is_multiple_of(2) { Framing::Chunked } else { Framing::Length(len as u64) };
                    let back = echoed(stream, &data, framing).await.expect("a response");
                    assert!(back == data, "{capacity} {len}");
                }
            };
            let all: Vec<_> = (0..6).map(|number| spawn_local(one(number))).collect();
            for one in all {
                one.await.expect("no panic");
            }
            assert_eq!(client.streams(), 0);
        });
    }
}

/// TLS has sealed the last of a body when its end comes, and waits for the client to take it: the end is a frame of its own.
#[test]
fn the_end_of_a_body_changes_nothing_that_was_written() {
    local(async {
        let (near, far) = MemoryStream::pair(1000);
        let mut server = Server::new(Sealing::from(far), &[], limits());
        let mut wire = Wire::new(near);
        wire.write(&[greeting(), get(1, "/")].concat()).await;
        let mut asked = Request::default();
        let request = poll_fn(|cx| server.poll_request(cx, &mut asked)).await.expect("alive");
        let mut stream = request.expect("a request");
        let trailers = all_trailers();
        stream.begin_response(&response(200, &[]), Framing::Chunked, reply(&trailers));
        send(&mut stream, &pattern(5000)).await.expect("sent");
        assert!(once(|cx| server.poll_request(cx, &mut asked)).is_pending() && server.queued() > 5000);
        finish(&mut stream, None).await.expect("ended");
        spawn_local(async move { poll_fn(|cx| server.poll_request(cx, &mut asked)).await.map(|_| ()) });
        let data = wire.until(kind::DATA, 1).await;
        assert_eq!((&data.payload, data.flags), (&pattern(5000), 0));
        let end = wire.frame().await.expect("another frame");
        assert!(end.is(kind::DATA, 1) && end.payload.is_empty() && end.flags == flag::END_STREAM);
    });
}

/// A tunnel: bytes both ways at once, each direction with its own end.
#[test]
fn an_extended_connect_becomes_a_tunnel() {
    local(async {
        let (near, far) = MemoryStream::pair(CAPACITY);
        let mut server = Server::new(far, &[], limits());
        let (client, driver) = Client::new(near, limits());
        spawn_local(driver);
        let mut up = client.open().expect("a stream");
        let mut request = Request::default();
        request.scheme = "http";
        request.path.push_str("/chat");
        let context = RequestContext { upgrade: Some(b"websocket"), ..RequestContext::default() };
        up.begin_request(&request, b"a.test", Framing::None, context);
        let mut asked = Request::default();
        let mut down =
            poll_fn(|cx| server.poll_request(cx, &mut asked)).await.expect("alive").expect("a request");
        spawn_local(async move {
            poll_fn(|cx| server.poll_request(cx, &mut Request::default())).await.map(|_| ())
        });
        assert_eq!(asked.fields.get(usher_http::FieldId::Upgrade), Some(&b"websocket"[..]));
        let trailers = all_trailers();
        let mut switching = response(101, &[("Upgrade", "websocket")]);
        switching.fields.add(b"X-More", b"yes").expect("a field");
        let context = ReplyContext { switches: true, ..reply(&trailers) };
        down.begin_response(&switching, Framing::None, context);
        finish(&mut down, None).await.expect("nothing yet");
        down.begin_tunnel();
        let mut answer = Response::default();
        poll_fn(|cx| up.poll_response(cx, &HeadLimits::default(), &mut answer)).await.expect("a head");
        assert_eq!((answer.status, answer.fields.get_named(b"x-more")), (101, Some(&b"yes"[..])));
        up.begin_tunnel();
        send(&mut up, b"ping").await.expect("sent");
        finish(&mut up, None).await.expect("ended");
        assert_eq!(receive(&mut down, 3).await.expect("received"), b"ping");
        send(&mut down, b"pong").await.expect("sent");
        finish(&mut down, None).await.expect("ended");
        assert_eq!(receive(&mut up, 3).await.expect("received"), b"pong");
    });
}

/// What repeats takes next to nothing on the wire.
#[test]
fn heads_that_repeat_are_short() {
    local(async {
        let client = connect::<MemoryStream>(CAPACITY, limits());
        let mut sizes = Vec::new();
        for _ in 0..5 {
            let mut stream = client.open().expect("a stream");
            let mut request = Request::default();
            request.scheme = "http";
            request.path.push_str("/a/longer/path");
            request.fields.add(b"User-Agent", b"some agent with a long name").expect("a field");
            stream.begin_request(&request, b"some.host.test", Framing::None, RequestContext::default());
            let mut answer = Response::default();
            poll_fn(|cx| stream.poll_response(cx, &HeadLimits::default(), &mut answer))
                .await
                .expect("a head");
            receive(&mut stream, 100).await.expect("a body");
            sizes.push(Upstream::take_counts(&mut stream));
        }
        assert!(sizes[0].1 > 60 && sizes[4].1 <= 9 + 6, "{sizes:?}");
        assert!(sizes[0].0 > 50 && sizes[4].0 <= 9 + 3 + 9 + 2, "{sizes:?}");
    });
}
