//! Heads that refer to a table, which arrives on a stream of its own.

use super::*;
use crate::qpack::BLOCKED_STREAMS;

/// For the encoder stream: a table of 4096, and `:path` with `/table` in it.
fn changes() -> Vec<u8> {
    [&[0x02, 0x3f, 0xe1, 0x1f, 0xc1, 0x06][..], b"/table"].concat()
}

/// A GET whose path is the table's first entry.
fn head() -> Vec<u8> {
    let mut section = vec![0x02, 0x00];
    GET[..3].iter().for_each(|(name, value)| encode::field(name.as_bytes(), value.as_bytes(), &mut section));
    section.push(0x80);
    frame_of(frame::HEADERS, &section)
}

/// What the server tells on its decoder stream, behind its type.
async fn decoder_stream(connection: &Connection) -> RecvStream {
    loop {
        let mut stream = poll_fn(|cx| connection.poll_accept_uni(cx)).await.expect("a stream");
        let mut kind = [0];
        poll_fn(|cx| stream.poll_read(cx, &mut kind)).await.expect("its type");
        if kind == [0x03] {
            return stream;
        }
        stream.keep();
    }
}

async fn some(stream: &mut RecvStream, len: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < len {
        let mut buf = [0; 100];
        let read = poll_fn(|cx| stream.poll_read(cx, &mut buf)).await.expect("bytes");
        assert!(read > 0);
        all.extend_from_slice(&buf[..read]);
    }
    all
}

#[test]
fn head_waits_for_the_table_and_is_acknowledged() {
    run(async {
        let ground = Ground::new();
        let (client, server) = ground.connect().await;
        echo_all(server);
        let raw = Raw::new(client).await;
        let (_to, mut from) = raw.ask(&head(), true).await;
        settle().await;
        let _encoder = uni(&raw.connection, &changes()).await;
        assert_eq!(status(&take(&mut from).await.expect("an answer")), "200");
        let mut told = decoder_stream(&raw.connection).await;
        // One insertion, and the head of stream 0.
        assert_eq!(some(&mut told, 2).await, [0x01, 0x80]);
        let (_to, mut from) = raw.ask(&head(), true).await;
        assert_eq!(status(&take(&mut from).await.expect("an answer")), "200");
        assert_eq!(some(&mut told, 1).await, [0x84]);
    });
}

#[test]
fn trailers_wait_for_the_table_too() {
    run(async {
        let ground = Ground::new();
        let (client, server) = ground.connect().await;
        echo_all(server);
        let raw = Raw::new(client).await;
        // A field with a literal name and the table's value is not a thing; a whole field of the table is.
        let trailers = frame_of(frame::HEADERS, &[0x02, 0x00, 0x80]);
        let (_to, mut from) = raw.ask(&[get_with(&[]), trailers].concat(), true).await;
        settle().await;
        let changes = [&[0x02, 0x3f, 0xe1, 0x1f, 0x41, b'a', 0x01][..], b"b"].concat();
        let _encoder = uni(&raw.connection, &changes).await;
        let answer = take(&mut from).await.expect("an answer");
        assert_eq!(status(&answer), "200");
        assert!(answer.ends_with(&headers(&[("a", "b")])[3..]), "{answer:x?}");
    });
}

#[test]
fn cancelled_stream_is_told_and_waits_no_more() {
    run(async {
        let ground = Ground::new();
        let (client, server) = ground.connect().await;
        echo_all(server);
        let raw = Raw::new(client).await;
        // The table is in use, and this head waits for a second entry.
        let _encoder = uni(&raw.connection, &changes()).await;
        let mut waiting = head();
        waiting[2] = 0x03;
        let mut told = decoder_stream(&raw.connection).await;
        assert_eq!(some(&mut told, 1).await, [0x01]);
        // More of them than may wait at a time, one after the other.
        for number in 0..BLOCKED_STREAMS as u8 * 2 {
            let (mut to, mut from) = raw.ask(&waiting, false).await;
            settle().await;
            to.reset(0x10c);
            from.stop(0x10c);
            let told = some(&mut told, 1 + usize::from(number * 4 >= 0x3f)).await;
            assert!(told[0] & 0xc0 == 0x40, "{told:x?}");
        }
        assert!(!raw.connection.is_closed());
    });
}

#[test]
fn more_waiting_streams_than_offered_end_the_connection() {
    run(async {
        let ground = Ground::new();
        let (client, server) = ground.connect().await;
        echo_all(server);
        let raw = Raw::new(client).await;
        let mut held = Vec::new();
        for _ in 0..=BLOCKED_STREAMS {
            held.push(raw.ask(&head(), true).await);
        }
        assert_eq!(closed(&raw.connection).await, ConnectionError::Application(0x200));
    });
}
