//! Tunnels: two pumps over the same two connections, each direction with its own end.

use super::*;

/// Ends of a tunnel, and the tunnel itself, which runs until both directions ended.
async fn tunnel(left: &mut Connection<MemoryStream>, right: &mut Connection<MemoryStream>) {
    for connection in [&mut *left, &mut *right] {
        connection.begin_receive(Framing::Close);
        connection.begin_send(Framing::Close);
    }
    let (mut forth, mut back) = (Pump::without_splice(), Pump::without_splice());
    let (mut forth_ended, mut back_ended) = (false, false);
    poll_fn(|cx| {
        if !forth_ended && forth.poll(cx, left, right).is_ready() {
            forth_ended = right.poll_end(cx).is_ready();
        }
        if !back_ended && back.poll(cx, right, left).is_ready() {
            back_ended = left.poll_end(cx).is_ready();
        }
        if forth_ended && back_ended { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[test]
fn one_direction_ends_and_the_other_goes_on() {
    for capacity in [10, 100_000] {
        run(async {
            let (mut client, down) = MemoryStream::pair(capacity);
            let (up, mut endpoint) = MemoryStream::pair(capacity);
            // Bytes that came with the request's head are for the tunnel.
            let (mut down, mut up) = (Connection::with_input(down, b"early "), Connection::new(up));
            let client_side = async {
                write_and_end(&mut client, b"question").await;
                read_all(&mut client, 100).await
            };
            let endpoint_side = async {
                // Only after the client's end is the answer sent.
                let question = read_all(&mut endpoint, 100).await;
                write_and_end(&mut endpoint, &pattern(100_000)).await;
                question
            };
            let (answer, question, ()) = tokio::join!(client_side, endpoint_side, tunnel(&mut down, &mut up));
            assert_eq!(question, b"early question");
            assert!(answer == pattern(100_000));
        });
    }
}

#[test]
fn both_directions_at_once() {
    run(async {
        let (mut client, down) = MemoryStream::pair(1000);
        let (up, mut endpoint) = MemoryStream::pair(1000);
        let (mut down, mut up) = (Connection::new(down), Connection::new(up));
        let payload = pattern(300_000);
        // Each side writes all before it reads, but for what the streams and the tunnel hold: a tunnel that served one
        // direction only would never end.
        let echo = async {
            let mut buf = vec![0; 700];
            while let Ok(len @ 1..) = poll_fn(|cx| endpoint.poll_read(cx, &mut buf)).await {
                write_all(&mut endpoint, &buf[..len]).await;
            }
            poll_fn(|cx| endpoint.poll_shutdown(cx)).await.unwrap();
        };
        let talk = async {
            let mut got = Vec::new();
            for part in payload.chunks(500) {
                write_all(&mut client, part).await;
                let mut buf = vec![0; 500];
                let len = poll_fn(|cx| client.poll_read(cx, &mut buf)).await.unwrap();
                got.extend_from_slice(&buf[..len]);
            }
            poll_fn(|cx| client.poll_shutdown(cx)).await.unwrap();
            got.extend(read_all(&mut client, 500).await);
            got
        };
        let (got, (), ()) = tokio::join!(talk, echo, tunnel(&mut down, &mut up));
        assert!(got == payload);
    });
}
