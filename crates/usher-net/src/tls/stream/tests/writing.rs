//! How what is written becomes records.

use super::*;

#[test]
fn a_writer_that_has_to_wait_gives_the_same_bytes_again() {
    let (acceptor, connector) = usual();
    run(async {
        let (server, client) = shake(&acceptor, &connector, "example.com", 2000).await;
        let (mut server, mut client) = (server.expect("accepted"), client.expect("connected"));
        let bytes = noise(10_000);
        assert!(once(|cx| server.poll_write(cx, &bytes)).await.is_pending());
        let mut got = Vec::new();
        let (sent, ()) = tokio::join!(
            async {
                // In other pieces than before.
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let piece = rest.len().min(777);
                    let (a, b) = rest[..piece].split_at(piece / 3);
                    let parts = [IoSlice::new(a), IoSlice::new(b)];
                    let len = poll_fn(|cx| server.poll_write_vectored(cx, &parts)).await.expect("written");
                    assert!(len > 0);
                    rest = &rest[len..];
                }
                shutdown(&mut server).await
            },
            async { got = read_all(&mut client).await.expect("read") }
        );
        sent.expect("closed");
        assert!(got == bytes);
    });
}

#[test]
fn parts_that_come_together_are_one_record() {
    let (acceptor, connector) = usual();
    run(async {
        let (mut server, mut client) = shaken(&acceptor, &connector, "example.com").await;
        let parts = [&b"head"[..], b"", &[1; 3000], &[2; 5000]];
        let slices = parts.map(IoSlice::new);
        let len = poll_fn(|cx| server.poll_write_vectored(cx, &slices)).await.expect("written");
        assert_eq!(len, 8004);
        let mut buf = vec![0; 20_000];
        // The server's tickets come first.
        assert_eq!(read(&mut client, &mut buf).await.expect("read"), 8004);
        assert_eq!(buf[..8004], parts.concat());
        // Full records, and the rest in the last.
        let big = noise(40_000);
        let slices = [IoSlice::new(&big[..10]), IoSlice::new(&big[10..])];
        assert_eq!(poll_fn(|cx| server.poll_write_vectored(cx, &slices)).await.expect("written"), 40_000);
        let mut lens = Vec::new();
        while lens.iter().sum::<usize>() < 40_000 {
            lens.push(read(&mut client, &mut buf[..16_385]).await.expect("read"));
        }
        assert_eq!(lens, [16_384, 16_384, 7232]);
    });
}

#[test]
#[cfg(debug_assertions)]
#[should_panic = "a write came back with other bytes"]
fn a_writer_that_comes_back_with_other_bytes_is_found() {
    let (acceptor, connector) = usual();
    run(async {
        let (server, client) = shake(&acceptor, &connector, "example.com", 2000).await;
        let (mut server, mut client) = (server.expect("accepted"), client.expect("connected"));
        assert!(once(|cx| server.poll_write(cx, &[1; 5000])).await.is_pending());
        tokio::join!(async { write_all(&mut server, &[2; 5000]).await }, read_all(&mut client))
    })
    .0
    .expect("not so far");
}
