use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use super::*;

fn idle() -> usize {
    POOL.with(|pool| pool.idle.borrow().len())
}

/// A pipe with three bytes inside.
fn filled() -> Pipe {
    let (mut left, right) = UnixStream::pair().expect("a pair");
    left.write_all(b"abc").expect("written");
    let mut pipe = Pipe::take().expect("a pipe");
    assert!(matches!(pipe.splice_from(&right, 100), Ok(Filled::Bytes(3))));
    assert_eq!(pipe.len(), 3);
    pipe
}

#[test]
fn an_empty_pipe_is_used_again() {
    drop(Pipe::take().expect("a pipe"));
    assert_eq!(idle(), 1);
    let pipe = Pipe::take().expect("a pipe");
    assert_eq!(idle(), 0);
    assert!(pipe.is_empty() && !pipe.is_full() && pipe.capacity() >= MIN_PIPE_CAPACITY);
}

#[test]
fn a_pipe_that_holds_bytes_is_never_used_again() {
    drop(filled());
    assert_eq!(idle(), 0);
}

#[test]
fn an_emptied_pipe_is_used_again() {
    let mut pipe = filled();
    let (left, mut right) = UnixStream::pair().expect("a pair");
    assert_eq!(pipe.splice_to(&left, 2, true).expect("moved"), 2);
    assert_eq!(pipe.splice_to(&left, 100, false).expect("moved"), 1);
    assert_eq!(pipe.splice_to(&left, 100, false).expect("nothing inside"), 0);
    let mut got = [0; 3];
    right.read_exact(&mut got).expect("read");
    assert_eq!(&got, b"abc");
    drop(pipe);
    assert_eq!(idle(), 1);
}

#[test]
fn the_pool_is_bounded() {
    let pipes: Vec<_> = (0..IDLE_PIPES_PER_THREAD + 3).map(|_| Pipe::take().expect("a pipe")).collect();
    drop(pipes);
    assert_eq!(idle(), IDLE_PIPES_PER_THREAD);
}

#[test]
fn a_full_pipe_and_an_empty_socket_are_told_apart() {
    let (mut left, right) = UnixStream::pair().expect("a pair");
    right.set_nonblocking(true).expect("an option");
    let mut pipe = Pipe::take().expect("a pipe");
    left.write_all(b"a").expect("written");
    assert!(matches!(pipe.splice_from(&right, 100), Ok(Filled::Bytes(1))));

    let empty = pipe.splice_from(&right, 100).err().expect("the socket is empty");
    assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
    assert!(!pipe.is_full());

    // Each write is a segment of its own, and each takes a whole page's place.
    for _ in 0..pipe.capacity() / 4096 {
        left.write_all(b"b").expect("written");
    }
    while matches!(pipe.splice_from(&right, 1), Ok(Filled::Bytes(1))) {}
    assert!(matches!(pipe.splice_from(&right, 1), Ok(Filled::NoRoom)));
    assert!(pipe.is_full() && pipe.len() < pipe.capacity());

    let (sink, _source) = UnixStream::pair().expect("a pair");
    pipe.splice_to(&sink, usize::MAX, false).expect("moved");
    assert!(!pipe.is_full());
    assert!(matches!(pipe.splice_from(&right, 1), Ok(Filled::Bytes(1))));
}
