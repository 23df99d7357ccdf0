mod peer;
mod violations;
mod writing;

use std::future::poll_fn;
use std::task::Poll;

use proptest::prelude::*;

use super::super::testing::{Authority, serving, shake, shaken, usual};
use super::super::{ConnectorOptions, TlsAcceptor, TlsConnector, accept};
use super::*;
use crate::memory::MemoryStream;
use crate::testing::{read, read_all, run, shutdown, write_all};
use peer::Peer;

/// Bytes that do not repeat with the length of records.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 7_u32;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect()
}

#[test]
fn one_record_at_once_is_written_while_memory_is_short() {
    use super::buffers::{BUFFER, give, take_for_output};
    let test = (module_path!(), "one_record_at_once_is_written_while_memory_is_short");
    crate::testing::alone(test, || {
        assert_eq!(take_for_output().len(), BUFFER);
        let have = crate::shortage::look().used;
        crate::shortage::set_ceiling(Some(have * 1000 / 750));
        let small = take_for_output();
        assert_eq!(
            small.len() - output::RESERVED - keys::MAX_OVERHEAD,
            4 << 10,
            "as much as is read at once then"
        );
        give(small);
        give(vec![1; BUFFER].into_boxed_slice());
        crate::shortage::set_ceiling(None);
        assert!(take_for_output().iter().all(|byte| *byte == 0), "nothing was kept meanwhile");
    });
}

/// Polls once.
async fn once<R>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>) -> Poll<R> {
    poll_fn(|cx| Poll::Ready(poll(cx))).await
}

/// Three of TLS 1.3, and three of TLS 1.2.
const SUITES: [&str; 6] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
];

fn with_suite(suite: &str) -> (TlsAcceptor, TlsConnector, ConnectorOptions) {
    let authority = Authority::new("root");
    let mut options = serving(vec![authority.certificate(&["example.com"])]);
    options.cipher_suites = vec![suite.to_owned()];
    let connector = ConnectorOptions { cipher_suites: vec![suite.to_owned()], ..authority.connector() };
    let acceptor = TlsAcceptor::new(options).expect("acceptor");
    (acceptor, TlsConnector::new(connector.clone()).expect("connector"), connector)
}

/// Sends `up` and `down` at the same time and both ends; what each side got.
async fn exchange(
    left: &mut (impl Transport + Unpin),
    right: &mut (impl Transport + Unpin),
    up: &[u8],
    down: &[u8],
) -> (Vec<u8>, Vec<u8>) {
    // One task drives both directions of a side, as the engine does.
    async fn side(stream: &mut impl Transport, mut out: &[u8]) -> Vec<u8> {
        let (mut got, mut buf, mut is_ended, mut is_shut) = (Vec::new(), vec![0; 50_000], false, false);
        poll_fn(|cx| {
            loop {
                let mut moved = false;
                if !out.is_empty() {
                    if let Poll::Ready(len) = stream.poll_write(cx, out) {
                        out = &out[len.expect("written")..];
                        moved = true;
                    }
                } else if !is_shut && let Poll::Ready(done) = stream.poll_shutdown(cx) {
                    done.expect("shut down");
                    (is_shut, moved) = (true, true);
                }
                if !is_ended && let Poll::Ready(len) = stream.poll_read(cx, &mut buf) {
                    let len = len.expect("read");
                    got.extend_from_slice(&buf[..len]);
                    (is_ended, moved) = (len == 0, true);
                }
                match (is_ended && is_shut, moved) {
                    (true, _) => return Poll::Ready(()),
                    (_, true) => {}
                    _ => return Poll::Pending,
                }
            }
        })
        .await;
        got
    }
    tokio::join!(side(left, down), side(right, up))
}

#[test]
fn carries_every_byte_both_ways_whatever_the_suite_and_the_capacity() {
    let (up, down) = (noise(300_000), noise(150_001));
    for suite in SUITES {
        let (acceptor, connector, _) = with_suite(suite);
        for capacity in [3, 100, 20_000, 1 << 20] {
            let len = if capacity < 100 { 5000 } else { up.len() };
            run(async {
                let (server, client) = shake(&acceptor, &connector, "example.com", capacity).await;
                let (mut server, mut client) = (server.expect("accepted"), client.expect("connected"));
                assert_eq!(server.session().cipher, suite);
                let (up, down) = (&up[..len], &down[..len / 2]);
                let (got_up, got_down) = exchange(&mut server, &mut client, up, down).await;
                assert!(got_up == up && got_down == down, "{suite} {capacity}");
            });
        }
    }
}

#[test]
fn understands_rustls_and_is_understood() {
    let (up, down) = (noise(100_000), noise(70_000));
    for suite in SUITES {
        let (acceptor, connector, _) = with_suite(suite);
        run(async {
            let (left, right) = MemoryStream::pair(30_000);
            let config = connector.client_config();
            let (server, mut client) = tokio::join!(
                accept(left, Vec::new(), &acceptor),
                Peer::connect(config, right, "example.com")
            );
            let mut server = server.expect("accepted");
            let both = tokio::join!(
                async {
                    write_all(&mut server, &down).await.expect("sent");
                    shutdown(&mut server).await.expect("closed");
                    read_all(&mut server).await.expect("read")
                },
                client.exchange(&up)
            );
            assert!(both.0 == up && both.1 == down, "{suite}, as server");
            let (left, right) = MemoryStream::pair(30_000);
            let server = async {
                let mut server = Peer::accept(acceptor.server_config(), left).await;
                server.exchange(&down).await
            };
            let both = tokio::join!(server, async {
                let mut client = connector.connect(right, "example.com").await.expect("connected");
                write_all(&mut client, &up).await.expect("sent");
                shutdown(&mut client).await.expect("closed");
                read_all(&mut client).await.expect("read")
            });
            assert!(both.0 == up && both.1 == down, "{suite}, as client");
        });
    }
}

#[test]
fn takes_new_keys_and_gives_new_keys_when_asked() {
    let (acceptor, connector, _) = with_suite(SUITES[0]);
    run(async {
        let (left, right) = MemoryStream::pair(1 << 16);
        let config = connector.client_config();
        let (server, mut client) =
            tokio::join!(accept(left, Vec::new(), &acceptor), Peer::connect(config, right, "example.com"));
        let mut server = server.expect("accepted");
        let mut buf = [0; 100];
        for round in 0..40 {
            client.refresh_keys();
            client.write(b"ping").await;
            assert_eq!(read(&mut server, &mut buf).await.expect("read"), 4, "{round}");
            write_all(&mut server, b"pong").await.expect("sent");
            assert_eq!(client.read_some().await, b"pong", "{round}");
        }
        // Our own: before the key is used up.
        for round in 0..40 {
            let sequence = server.sealer.use_up(3);
            for _ in 0..3 {
                write_all(&mut server, b"pong").await.expect("sent");
                assert_eq!(client.read_some().await, b"pong", "{round}");
            }
            assert!(server.sealer.left() > 1000, "a new key after {sequence}");
        }
    });
}

#[test]
fn answers_a_request_for_a_new_key_while_it_only_waits() {
    let (acceptor, connector) = usual();
    run(async {
        let (mut server, mut client) = shaken(&acceptor, &connector, "example.com").await;
        assert!(server.output.message(&mut server.sealer, HANDSHAKE, &[24, 0, 0, 1, 1]));
        server.sealer = server.messages.next_key().expect("a key");
        write_all(&mut server, b"x").await.expect("sent");
        let mut buf = [0; 10];
        assert_eq!(read(&mut client, &mut buf).await.expect("read"), 1);
        assert!(client.owes_key);
        // The wait sends the answer.
        assert!(once(|cx| client.poll_read(cx, &mut buf)).await.is_pending());
        assert!(!client.owes_key && client.output.is_empty());
        write_all(&mut client, b"yz").await.expect("sent");
        assert_eq!(read(&mut server, &mut buf).await.expect("read"), 2);
    });
}

#[test]
fn a_half_closed_stream_still_carries_the_other_half() {
    let (acceptor, connector) = usual();
    run(async {
        let (mut server, mut client) = shaken(&acceptor, &connector, "example.com").await;
        write_all(&mut client, b"question").await.expect("sent");
        shutdown(&mut client).await.expect("closed");
        assert_eq!(read_all(&mut server).await.expect("read"), b"question");
        assert!(write_all(&mut client, b"more").await.is_err());
        write_all(&mut server, b"answer").await.expect("sent");
        shutdown(&mut server).await.expect("closed");
        assert_eq!(read_all(&mut client).await.expect("read"), b"answer");
        assert_eq!(read_all(&mut client).await.expect("the end stays"), b"");
    });
}

#[test]
fn a_stream_that_just_ends_is_truncated() {
    for suite in [SUITES[0], SUITES[3]] {
        let (acceptor, connector, _) = with_suite(suite);
        run(async {
            let (mut server, mut client) = shaken(&acceptor, &connector, "example.com").await;
            write_all(&mut server, b"half").await.expect("sent");
            drop(server);
            let mut buf = [0; 10];
            assert_eq!(read(&mut client, &mut buf).await.expect("read"), 4);
            for _ in 0..2 {
                let error = read(&mut client, &mut buf).await.expect_err("no end");
                assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
            }
        });
    }
}

#[test]
fn what_is_behind_the_end_is_ignored() {
    let (acceptor, connector) = usual();
    run(async {
        let (mut server, mut client) = shaken(&acceptor, &connector, "example.com").await;
        write_all(&mut client, b"all").await.expect("sent");
        client.announce_end();
        write_all(&mut client.stream, b"and this is no record").await.expect("sent");
        assert_eq!(read_all(&mut server).await.expect("read"), b"all");
        assert_eq!(server.input.held(), 0);
        write_all(&mut server, b"answer").await.expect("sent");
        drop(server);
        let mut buf = [0; 10];
        assert_eq!(read(&mut client, &mut buf).await.expect("read"), 6);
    });
}

#[test]
fn the_end_is_announced_where_nothing_is_cut_off() {
    for suite in [SUITES[0], SUITES[3]] {
        let (acceptor, connector, _) = with_suite(suite);
        run(async {
            let (mut server, mut client) = shaken(&acceptor, &connector, "example.com").await;
            write_all(&mut server, b"all").await.expect("sent");
            server.announce_end();
            server.announce_end();
            assert_eq!(server.output.held(), 0);
            drop(server);
            assert_eq!(read_all(&mut client).await.expect("no truncation"), b"all");

            // Within a write, the end would be a lie.
            let (server, client) = shake(&acceptor, &connector, "example.com", 2000).await;
            let (mut server, mut client) = (server.expect("accepted"), client.expect("connected"));
            assert!(once(|cx| server.poll_write(cx, &noise(10_000))).await.is_pending());
            server.announce_end();
            drop(server);
            let error = read_all(&mut client).await.expect_err("truncated");
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        });
    }
}

#[test]
fn owns_no_buffer_while_it_waits() {
    let (acceptor, connector) = usual();
    run(async {
        let (mut server, mut client) = shaken(&acceptor, &connector, "example.com").await;
        let mut buf = [0; 100];
        // Whole records, and a part of one.
        let mut wire = vec![0; 1000];
        let len = client.sealer.seal(23, keys::Plain::Elsewhere(b"hello"), &mut wire).expect("sealed");
        write_all(&mut client.stream, &wire[..10]).await.expect("sent");
        assert!(once(|cx| server.poll_read(cx, &mut buf)).await.is_pending());
        assert_eq!((server.input.held(), server.output.held()), (10, 0));
        assert!(once(|cx| server.poll_read_ready(cx)).await.is_pending());
        write_all(&mut client.stream, &wire[10..len]).await.expect("sent");
        assert_eq!(read(&mut server, &mut buf).await.expect("read"), 5);
        assert_eq!((server.input.held(), server.output.held()), (0, 0));
        // Records that wait make it ready, until they are read.
        write_all(&mut client, &[7; 150]).await.expect("sent");
        write_all(&mut client, &[8; 150]).await.expect("sent");
        assert_eq!(read(&mut server, &mut buf).await.expect("read"), 100);
        for left in [50, 100, 50] {
            poll_fn(|cx| server.poll_read_ready(cx)).await.expect("ready");
            assert!(server.leave_runtime().is_none());
            assert_eq!(read(&mut server, &mut buf).await.expect("read"), left);
        }
        assert!(once(|cx| server.poll_read_ready(cx)).await.is_pending());
        assert_eq!(server.input.held(), 0);
    });
}

#[test]
fn a_part_of_a_record_is_nothing_to_read() {
    let (acceptor, connector) = usual();
    run(async {
        let (mut server, mut client) = shaken(&acceptor, &connector, "example.com").await;
        let mut wire = vec![0; 100];
        let len = client.sealer.seal(23, keys::Plain::Elsewhere(b"hello"), &mut wire).expect("sealed");
        for (index, byte) in wire[..len].iter().enumerate() {
            assert!(once(|cx| server.poll_read_ready(cx)).await.is_pending(), "{index}");
            assert_eq!(server.input.held(), index, "no more memory than that");
            write_all(&mut client.stream, &[*byte]).await.expect("sent");
        }
        assert!(once(|cx| server.poll_read_ready(cx)).await.is_ready());
        let mut buf = [0; 10];
        assert_eq!(read(&mut server, &mut buf).await.expect("read"), 5);
        write_all(&mut client.stream, &wire[..10]).await.expect("sent");
        assert!(once(|cx| server.poll_read_ready(cx)).await.is_pending());
        drop(client);
        assert!(once(|cx| server.poll_read_ready(cx)).await.is_ready());
        let error = read(&mut server, &mut buf).await.expect_err("cut off");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    });
}

#[test]
fn what_came_with_the_handshake_is_not_lost() {
    // Without tickets, rustls itself opens what comes behind the client's last message.
    for tickets in [true, false] {
        let authority = Authority::new("root");
        let mut options = serving(vec![authority.certificate(&["example.com"])]);
        options.session_tickets = tickets;
        let acceptor = TlsAcceptor::new(options).expect("acceptor");
        let connector = TlsConnector::new(authority.connector()).expect("connector");
        run(async {
            let (left, right) = MemoryStream::pair(1 << 20);
            let sent = noise(30_000);
            let (server, client) = tokio::join!(accept(left, Vec::new(), &acceptor), async {
                let mut client = connector.connect(right, "example.com").await.expect("connected");
                write_all(&mut client, &sent).await.expect("sent");
                shutdown(&mut client).await.expect("closed");
                client
            });
            let mut server = server.expect("accepted");
            assert!(read_all(&mut server).await.expect("read") == sent);
            drop(client);
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_pieces_make_the_same_stream(
        pieces in prop::collection::vec((1..40_000_usize, 0..5_usize), 1..8),
        reads in prop::collection::vec(1..40_000_usize, 1..8),
        capacity in 50..100_000_usize,
        suite in 0..SUITES.len(),
    ) {
        let (acceptor, connector, _) = with_suite(SUITES[suite]);
        let total = pieces.iter().map(|(len, _)| len).sum();
        let bytes = noise(total);
        let got = run(async {
            let (server, client) = shake(&acceptor, &connector, "example.com", capacity).await;
            let (mut server, mut client) = (server.expect("accepted"), client.expect("connected"));
            let send = async {
                let mut rest = &bytes[..];
                for (len, parts) in pieces {
                    let (mut now, later) = rest.split_at(len);
                    rest = later;
                    while !now.is_empty() {
                        let parts: Vec<_> = now.chunks(len.div_ceil(parts + 1)).map(IoSlice::new).collect();
                        let len = poll_fn(|cx| server.poll_write_vectored(cx, &parts)).await.expect("written");
                        now = &now[len..];
                    }
                }
                shutdown(&mut server).await.expect("closed");
            };
            let receive = async {
                let mut got = Vec::new();
                for len in reads.iter().cycle() {
                    let mut buf = vec![0; *len];
                    match read(&mut client, &mut buf).await.expect("read") {
                        0 => break,
                        len => got.extend_from_slice(&buf[..len]),
                    }
                }
                got
            };
            tokio::join!(send, receive).1
        });
        prop_assert!(got == bytes);
    }
}
