use std::future::poll_fn;
use std::task::Waker;

use super::*;
use crate::testing::{read, read_all, run, shutdown, write_all};

fn is_readable(stream: &mut MemoryStream) -> bool {
    stream.poll_read_ready(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn readiness_consumes_nothing() {
    run(async {
        let (mut left, mut right) = MemoryStream::pair(64);
        assert!(!is_readable(&mut right));
        write_all(&mut left, b"hello").await.expect("written");
        assert!(is_readable(&mut right) && is_readable(&mut right));

        let mut buf = [0; 64];
        assert_eq!(read(&mut right, &mut []).await.expect("read"), 0);
        assert_eq!(read(&mut right, &mut buf[..1]).await.expect("read"), 1);
        assert!(is_readable(&mut right));
        assert_eq!(read(&mut right, &mut buf[1..]).await.expect("read"), 4);
        assert_eq!(&buf[..5], b"hello");
        assert!(!is_readable(&mut right));
    });
}

#[test]
fn readiness_wakes_for_data_and_for_the_end() {
    run(async {
        let (mut left, mut right) = MemoryStream::pair(64);
        let (ready, written) =
            tokio::join!(poll_fn(|cx| right.poll_read_ready(cx)), write_all(&mut left, b"x"));
        ready.and(written).expect("ready and written");
        assert_eq!(read(&mut right, &mut [0; 8]).await.expect("read"), 1);

        let (ready, ended) = tokio::join!(poll_fn(|cx| right.poll_read_ready(cx)), shutdown(&mut left));
        ready.and(ended).expect("ready and ended");
        for _ in 0..2 {
            assert_eq!(read(&mut right, &mut [0; 8]).await.expect("read"), 0);
        }
    });
}

#[test]
fn either_direction_ends_alone() {
    run(async {
        let (mut left, mut right) = MemoryStream::pair(4);
        let request = async {
            write_all(&mut left, b"a longer request than fits").await?;
            shutdown(&mut left).await?;
            read_all(&mut left).await
        };
        let answer = async {
            let request = read_all(&mut right).await?;
            write_all(&mut right, b"an answer").await?;
            shutdown(&mut right).await?;
            Ok::<_, io::Error>(request)
        };
        let (answer, request) = tokio::join!(request, answer);
        assert_eq!(answer.expect("an answer"), b"an answer");
        assert_eq!(request.expect("a request"), b"a longer request than fits");
    });
}

#[test]
fn cannot_splice() {
    assert!(!MemoryStream::pair(1).0.can_splice());
}
