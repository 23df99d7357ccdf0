use std::future::poll_fn;

use usher_http::Framing;
use usher_net::{MemoryStream, Transport};

use super::*;
use crate::Connection;
use crate::body::Held;
use crate::testing::{once, pattern, read_all, receive, run, write_all, write_and_end};

mod splice;
mod tunnel;
mod turn;
mod watched;

use self::watched::Watched;

/// A body as it is on the wire.
fn wire(framing: Framing, payload: &[u8]) -> Vec<u8> {
    match framing {
        Framing::Chunked => {
            let mut wire = Vec::new();
            for part in payload.chunks(1000) {
                wire.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
                wire.extend_from_slice(part);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\nX: y\r\n\r\n");
            wire
        }
        _ => payload.to_vec(),
    }
}

fn connections(
    framings: (Framing, Framing),
    capacity: usize,
) -> (Ends, Connection<MemoryStream>, Connection<MemoryStream>) {
    let (sender, source) = MemoryStream::pair(capacity);
    let (sink, receiver) = MemoryStream::pair(capacity);
    let (mut source, mut sink) = (Connection::new(source), Connection::new(sink));
    source.begin_receive(framings.0);
    sink.begin_send(framings.1);
    (Ends { sender, receiver }, source, sink)
}

/// The far ends: who sends to the source, and who receives from the sink.
struct Ends {
    sender: MemoryStream,
    receiver: MemoryStream,
}

#[test]
fn every_framing_into_every_framing() {
    for size in [0, 1, 5000, 200_000] {
        let payload = pattern(size);
        let length = Framing::Length(size as u64);
        for from in [length, Framing::Chunked, Framing::Close] {
            for to in [length, Framing::Chunked, Framing::Close] {
                for capacity in [100, 9000, 100_000] {
                    let got = run(async {
                        let (mut ends, mut source, mut sink) = connections((from, to), capacity);
                        sink.pass_trailers(Some(&[].into()));
                        let mut pump = Pump::default();
                        let pumping = async {
                            poll_fn(|cx| pump.poll(cx, &mut source, &mut sink)).await.unwrap();
                            poll_fn(|cx| sink.poll_end(cx)).await.unwrap();
                        };
                        let mut receiver = Connection::new(ends.receiver);
                        receiver.begin_receive(to);
                        let wire = wire(from, &payload);
                        let (got, (), ()) = tokio::join!(
                            receive(&mut receiver, usize::MAX),
                            pumping,
                            write_and_end(&mut ends.sender, &wire)
                        );
                        assert!(pump.is_done() && pump.moved() == size as u64);
                        let trailers = receiver.received_trailers().is_some();
                        assert_eq!(trailers, (from, to) == (Framing::Chunked, Framing::Chunked));
                        got.unwrap()
                    });
                    assert!(got == payload, "{from:?} into {to:?}, {size} bytes, {capacity}");
                }
            }
        }
    }
}

#[test]
fn a_source_that_ends_early_does_not_end_the_body() {
    let payload = pattern(5000);
    for (from, to) in [
        (Framing::Length(5001), Framing::Length(5001)),
        (Framing::Length(5001), Framing::Chunked),
        (Framing::Chunked, Framing::Chunked),
        (Framing::Chunked, Framing::Close),
    ] {
        run(async {
            let (mut ends, mut source, mut sink) = connections((from, to), 100);
            let mut bytes = wire(from, &payload);
            if from == Framing::Chunked {
                bytes.truncate(bytes.len() - 1);
            }
            let pumping = async {
                let mut pump = Pump::default();
                let got = poll_fn(|cx| pump.poll(cx, &mut source, &mut sink)).await;
                assert!(matches!(got, Err(PumpError::Source(WireError::Truncated))), "{got:?}");
                assert!(!pump.is_done());
                drop(sink);
            };
            let (got, (), ()) = tokio::join!(
                read_all(&mut ends.receiver, 100),
                pumping,
                write_and_end(&mut ends.sender, &bytes)
            );
            assert!(!got.ends_with(b"0\r\n\r\n"), "{from:?} into {to:?}");
        });
    }
}

#[test]
fn a_sink_that_leaves_is_an_error_of_the_sink() {
    for to in [Framing::Length(200_000), Framing::Chunked, Framing::Close] {
        run(async {
            let (mut ends, mut source, mut sink) = connections((Framing::Length(200_000), to), 100);
            drop(ends.receiver);
            let pumping = async {
                let got = poll_fn(|cx| Pump::default().poll(cx, &mut source, &mut sink)).await;
                assert!(matches!(got, Err(PumpError::Sink(WireError::Io(_)))), "{got:?}");
                drop(source);
            };
            let payload = pattern(200_000);
            tokio::join!(pumping, write_and_end(&mut ends.sender, &payload));
        });
    }
}

#[test]
fn a_source_with_more_than_the_sink_announced_is_an_error_of_the_sink() {
    run(async {
        let (mut ends, mut source, mut sink) = connections((Framing::Close, Framing::Length(5)), 100);
        write_and_end(&mut ends.sender, b"hello!").await;
        let got = poll_fn(|cx| Pump::default().poll(cx, &mut source, &mut sink)).await;
        assert!(matches!(got, Err(PumpError::Sink(WireError::Truncated))), "{got:?}");
    });
    run(async {
        let (mut ends, mut source, mut sink) = connections((Framing::Close, Framing::Length(7)), 100);
        write_and_end(&mut ends.sender, b"hello!").await;
        let got = poll_fn(|cx| Pump::default().poll(cx, &mut source, &mut sink)).await;
        assert!(matches!(got, Err(PumpError::Sink(WireError::Truncated))), "{got:?}");
    });
}

#[test]
fn a_limit_is_exact() {
    for (framing, limit, fits) in [
        (Framing::Length(5000), 5000, true),
        (Framing::Length(5000), 4999, false),
        (Framing::Chunked, 5000, true),
        (Framing::Chunked, 4999, false),
        (Framing::Chunked, 0, false),
    ] {
        for capacity in [100, 100_000] {
            run(async {
                let (mut ends, mut source, mut sink) = connections((framing, Framing::Chunked), capacity);
                let pumping = async {
                    let mut pump = Pump::limited(Some(limit));
                    let got = poll_fn(|cx| pump.poll(cx, &mut source, &mut sink)).await;
                    match got {
                        Ok(()) => assert!(fits, "{framing:?} {limit}"),
                        Err(error) => {
                            assert!(
                                !fits && matches!(error, PumpError::Source(WireError::TooLarge)),
                                "{error:?}"
                            );
                            assert!(pump.moved() <= limit, "nothing behind the limit is sent");
                        }
                    }
                    drop((source, sink));
                };
                let wire = wire(framing, &pattern(5000));
                tokio::join!(
                    pumping,
                    read_all(&mut ends.receiver, 1000),
                    write_and_end(&mut ends.sender, &wire)
                );
            });
        }
    }
}

#[test]
fn a_sink_that_takes_nothing_holds_the_source_back() {
    for to in [Framing::Length(1 << 20), Framing::Chunked, Framing::Close] {
        run(async {
            let (mut ends, mut source, mut sink) = connections((Framing::Length(1 << 20), to), 1000);
            let mut pump = Pump::default();
            let pumping = poll_fn(|cx| pump.poll(cx, &mut source, &mut sink));
            let payload = pattern(1 << 20);
            tokio::select! {
                biased;
                _ = pumping => panic!("nobody takes it"),
                _ = write_all(&mut ends.sender, &payload) => panic!("nobody takes it"),
                // Runs when the two above can do nothing more.
                () = async { for _ in 0..2000 { tokio::task::yield_now().await } } => {}
            }
            assert!(pump.waits_for_sink());
            let held = source.take_received();
            assert!(held <= (crate::buffer::LARGE + (16 << 10)) as u64, "{to:?}: {held}");
        });
    }
}

#[test]
fn says_for_which_side_it_waits() {
    run(async {
        let (mut ends, mut source, mut sink) =
            connections((Framing::Length(50_000), Framing::Length(50_000)), 60_000);
        let mut pump = Pump::default();
        let mut poll =
            |pump: &mut Pump| once(|cx| pump.poll(cx, &mut source, &mut sink)).map(|got| got.unwrap());
        assert!(poll(&mut pump).is_pending() && !pump.waits_for_sink(), "nothing came yet");
        write_all(&mut ends.sender, &pattern(40_000)).await;
        assert!(poll(&mut pump).is_pending() && !pump.waits_for_sink(), "not all came yet");
        write_all(&mut ends.sender, &pattern(10_000)).await;
        assert!(poll(&mut pump).is_ready());
    });
    run(async {
        // The last bytes are kept behind a head that the client does not take.
        let (mut ends, mut source, mut sink) = connections((Framing::Length(50), Framing::Length(50)), 60);
        let mut pump = Pump::default();
        sink.output().extend_from_slice(&[b'h'; 100]);
        write_all(&mut ends.sender, &pattern(50)).await;
        let polled = once(|cx| pump.poll(cx, &mut source, &mut sink));
        assert!(polled.is_pending() && pump.moved() == 50 && pump.waits_for_sink());
    });
}

#[test]
fn a_body_in_memory() {
    for to in [Framing::Length(20_000), Framing::Chunked] {
        run(async {
            let (sink, receiver) = MemoryStream::pair(100);
            let (mut sink, mut receiver) = (Connection::new(sink), Connection::new(receiver));
            sink.begin_send(to);
            receiver.begin_receive(to);
            let payload = pattern(20_000);
            let mut held = Held::new(&payload);
            let mut pump = Pump::default();
            let pumping = poll_fn(|cx| pump.poll(cx, &mut held, &mut sink));
            let (done, got) = tokio::join!(pumping, receive(&mut receiver, usize::MAX));
            assert!(done.is_ok() && got.unwrap() == payload && held.is_done());
        });
    }
}

#[test]
fn others_get_a_turn() {
    run(async {
        // Endless payload, endlessly taken: a poll ends all the same.
        let (mut ends, mut source, mut sink) = connections((Framing::Close, Framing::Close), 4 << 20);
        write_all(&mut ends.sender, &pattern(4 << 20)).await;
        let mut pump = Pump::default();
        assert!(once(|cx| pump.poll(cx, &mut source, &mut sink)).is_pending());
        assert!(pump.moved() < 4 << 20 && pump.moved() > 0);
        let _ = once(|cx| ends.receiver.poll_read(cx, &mut [0]));
    });
}
