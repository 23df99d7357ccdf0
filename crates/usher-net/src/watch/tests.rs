use std::future::poll_fn;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use super::*;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn ready(watch: &mut Watch) -> Vec<usize> {
    let mut ready = Vec::new();
    poll_fn(|cx| watch.poll_ready(cx, &mut ready)).await.unwrap();
    ready.sort_unstable();
    ready
}

#[test]
fn tells_of_bytes_ends_and_what_was_there_before() {
    runtime().block_on(async {
        let mut watch = Watch::new().unwrap();
        let pairs: Vec<_> = (0..4).map(|_| UnixStream::pair().unwrap()).collect();
        (&pairs[2].1).write_all(b"x").unwrap();
        for (number, pair) in pairs.iter().enumerate() {
            watch.add(pair.0.as_fd(), number).unwrap();
        }
        assert_eq!(ready(&mut watch).await, [2], "was readable before it was watched");
        (&pairs[0].1).write_all(b"x").unwrap();
        pairs[3].1.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(ready(&mut watch).await, [0, 3], "bytes and an end");
    });
}

#[test]
fn more_at_once_than_the_kernel_tells_of_at_once() {
    runtime().block_on(async {
        let mut watch = Watch::new().unwrap();
        let pairs: Vec<_> = (0..AT_ONCE + 40).map(|_| UnixStream::pair().unwrap()).collect();
        for (number, pair) in pairs.iter().enumerate() {
            watch.add(pair.0.as_fd(), number).unwrap();
            (&pair.1).write_all(b"x").unwrap();
        }
        let mut all = ready(&mut watch).await;
        while all.len() < pairs.len() {
            all.extend(ready(&mut watch).await);
        }
        all.sort_unstable();
        assert_eq!(all, (0..pairs.len()).collect::<Vec<_>>());
    });
}

#[test]
fn what_is_removed_or_closed_is_not_told_of() {
    runtime().block_on(async {
        let mut watch = Watch::new().unwrap();
        let pairs: Vec<_> = (0..3).map(|_| UnixStream::pair().unwrap()).collect();
        for (number, pair) in pairs.iter().enumerate() {
            watch.add(pair.0.as_fd(), number).unwrap();
            (&pair.1).write_all(b"x").unwrap();
        }
        watch.remove(pairs[0].0.as_fd()).unwrap();
        assert!(watch.remove(pairs[0].0.as_fd()).is_err(), "it is not watched");
        let mut pairs = pairs.into_iter();
        let removed = pairs.next();
        drop(pairs.next());
        assert_eq!(ready(&mut watch).await, [2]);
        drop(removed);
    });
}
