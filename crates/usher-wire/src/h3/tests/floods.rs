//! What is legal one by one and ends the connection in masses.

use super::*;

/// More than any allowance.
const MANY: usize = 5000;

/// The server of a flood, and a client made by hand.
async fn flooded(ground: &Ground) -> Raw {
    let (client, server) = ground.connect().await;
    echo_all(server);
    Raw::new(client).await
}

async fn ends_for_load(raw: &Raw) {
    assert_eq!(closed(&raw.connection).await, ConnectionError::Application(0x107));
}

#[test]
fn rapid_resets() {
    run(async {
        let ground = Ground::new();
        let raw = flooded(&ground).await;
        let head = get_with(&[]);
        for sent in 0.. {
            let Ok((mut to, mut from)) = poll_fn(|cx| raw.connection.poll_open_bi(cx)).await else { break };
            let _ = put(&mut to, &head).await;
            to.reset(0x10c);
            from.stop(0x10c);
            assert!(sent < MANY);
            tokio::task::yield_now().await;
        }
        ends_for_load(&raw).await;
    });
}

#[test]
fn ordinary_cancellations_are_no_flood() {
    run(async {
        let ground = Ground::new();
        let raw = flooded(&ground).await;
        for _ in 0..1000 {
            let (mut to, mut from) = raw.ask(&get_with(&[]), false).await;
            to.reset(0x10c);
            from.stop(0x10c);
            let (_to, mut from) = raw.ask(&get_with(&[]), true).await;
            assert_eq!(status(&take(&mut from).await.expect("an answer")), "200");
        }
    });
}

#[test]
fn malformed_requests() {
    run(async {
        let ground = Ground::new();
        let raw = flooded(&ground).await;
        for sent in 0.. {
            if raw.connection.is_closed() {
                break;
            }
            let Ok((mut to, mut from)) = poll_fn(|cx| raw.connection.poll_open_bi(cx)).await else { break };
            let _ = put(&mut to, &headers(&[("a", "b")])).await;
            let _ = to.finish();
            let _ = take(&mut from).await;
            assert!(sent < MANY);
        }
        ends_for_load(&raw).await;
    });
}

#[test]
fn empty_frames_and_unknown_ones() {
    run(async {
        let ground = Ground::new();
        for frame in [vec![0x00, 0x00], vec![0x21, 0x00], vec![0x21, 0x01, 0x00]] {
            let raw = flooded(&ground).await;
            let _stream = raw.ask(&[get_with(&[]), frame.repeat(MANY)].concat(), false).await;
            ends_for_load(&raw).await;
        }
        // One frame that never ends is no better than many.
        let raw = flooded(&ground).await;
        let mut head = get_with(&[]);
        write_head(0x21, 100 << 20, &mut head);
        let _stream = raw.ask(&head, false).await;
        ends_for_load(&raw).await;
    });
}

#[test]
fn control_frames() {
    run(async {
        let ground = Ground::new();
        for frame in [numbered(0x0d, 5), numbered(0x07, 5), frame_of(0xf_0700, &[0]), vec![0x21, 0x00]] {
            let mut raw = flooded(&ground).await;
            let _ = put(&mut raw.control, &frame.repeat(MANY)).await;
            ends_for_load(&raw).await;
        }
        let raw = flooded(&ground).await;
        let _decoder = uni(&raw.connection, &[&[0x03][..], &[0x44; MANY]].concat()).await;
        ends_for_load(&raw).await;
    });
}

#[test]
fn unknown_streams() {
    run(async {
        let ground = Ground::new();
        let raw = flooded(&ground).await;
        let mut opened = 0;
        while !raw.connection.is_closed() {
            if let Some(mut stream) = raw.connection.open_uni() {
                let _ = put(&mut stream, &[0x21]).await;
                opened += 1;
                assert!(opened < MANY);
            }
            tokio::task::yield_now().await;
        }
        ends_for_load(&raw).await;
    });
}

#[test]
fn changes_of_the_table() {
    run(async {
        let ground = Ground::new();
        let raw = flooded(&ground).await;
        // A table of 4096, one entry, and copies of it at a byte each.
        let changes = [&[0x02, 0x3f, 0xe1, 0x1f, 0xc0, 0x05][..], b"hello", &[0x00; MANY]].concat();
        let _encoder = uni(&raw.connection, &changes).await;
        ends_for_load(&raw).await;
    });
}

#[test]
fn answers_that_nobody_takes_are_bounded() {
    run(async {
        let ground = Ground::new();
        let (client, server) = ground.connect().await;
        let client = client_of(client);
        let mut server = Server::new(server, Limits::default());
        let mut stream = client.open().expect("a stream");
        begin(&mut stream, &request("GET", "/"), Framing::None);
        finish(&mut stream, None).await.expect("sent");
        let mut seen = Request::default();
        let mut served = next(&mut server, &mut seen).await.expect("a request").expect("a stream");
        respond(&mut served, 200, Framing::Chunked);
        let piece = vec![0; 64 << 10];
        let mut taken = 0;
        // The client reads nothing: its window, and what is gathered here, is all that is taken.
        loop {
            let polled = poll_fn(|cx| std::task::Poll::Ready(served.poll_send(cx, &piece))).await;
            let std::task::Poll::Ready(sent) = polled else {
                settle().await;
                if poll_fn(|cx| std::task::Poll::Ready(served.poll_flush(cx))).await.is_pending() {
                    break;
                }
                continue;
            };
            taken += sent.expect("sent");
            assert!(taken < 64 << 20);
        }
        assert!(served.queued() <= 96 << 10, "{}", served.queued());
        assert!(taken <= (2 << 20) + (128 << 10), "{taken}");
    });
}
