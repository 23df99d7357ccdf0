//! What a connection asks of its stream: nothing twice, and no buffer for what is not there yet.

use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use usher_http::{Request, Response};
use usher_net::Transport;

use super::*;
use crate::testing::{once, run, write_all};

/// A stream that counts what it is asked.
struct Counted {
    stream: MemoryStream,
    looks: usize,
    reads: usize,
}

impl Transport for Counted {
    fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.looks += 1;
        self.stream.poll_read_ready(cx)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.reads += 1;
        self.stream.poll_read(cx, buf)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.stream.poll_write(cx, buf)
    }

    fn poll_write_vectored(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.stream.poll_write_vectored(cx, bufs)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(cx)
    }
}

fn counted() -> (MemoryStream, Connection<Counted>) {
    let (peer, stream) = MemoryStream::pair(1000);
    (peer, Connection::new(Counted { stream, looks: 0, reads: 0 }))
}

fn asked(connection: &mut Connection<Counted>) -> (usize, usize) {
    let stream = connection.stream();
    (std::mem::take(&mut stream.looks), std::mem::take(&mut stream.reads))
}

#[test]
fn the_first_look_for_an_answer_takes_no_buffer() {
    run(async {
        let (mut peer, mut connection) = counted();
        let mut response = Response::default();
        for _ in 0..2 {
            connection.output().extend_from_slice(b"GET / HTTP/1.1\r\n\r\n");
            assert!(once(|cx| connection.poll_output(cx)).is_ready());
            assert!(once(|cx| connection.poll_response(cx, &limits(), &mut response)).is_pending());
            assert_eq!(asked(&mut connection), (1, 0));
            // When it has come it is read at once.
            assert!(write_all(&mut peer, b"HTTP/1.1 204 No Content\r\n\r\n").await);
            assert!(once(|cx| connection.poll_response(cx, &limits(), &mut response)).is_ready());
            assert_eq!(asked(&mut connection), (0, 1));
        }
    });
}

#[test]
fn who_has_sent_a_part_already_is_read_and_not_asked() {
    run(async {
        let (mut peer, mut connection) = counted();
        let mut request = Request::default();
        assert!(write_all(&mut peer, b"GET /1 HTTP/1.1\r\n\r\nGET /2").await);
        assert!(once(|cx| connection.poll_request(cx, &limits(), &mut request)).is_ready());
        connection.output().extend_from_slice(b"HTTP/1.1 204 No Content\r\n\r\n");
        assert!(once(|cx| connection.poll_output(cx)).is_ready());
        asked(&mut connection);
        assert!(write_all(&mut peer, b" HTTP/1.1\r\n\r\n").await);
        assert!(once(|cx| connection.poll_request(cx, &limits(), &mut request)).is_ready());
        assert_eq!(asked(&mut connection), (0, 1));
    });
}
