use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use super::*;

fn other(end: OwnedFd) -> Channel {
    Channel(end.into())
}

#[test]
fn a_message_brings_its_descriptors() {
    let (ours, theirs) = Channel::pair().expect("a pair");
    let theirs = other(theirs);
    let (mut near, far) = UnixStream::pair().expect("a pair");
    ours.send("one", &[far.as_fd(), far.as_fd()]).expect("sent");
    ours.send("two", &[]).expect("sent");
    drop(far);
    let (text, mut descriptors) = theirs.receive().expect("received").expect("a message");
    assert_eq!((text.as_str(), descriptors.len()), ("one", 2));
    near.write_all(b"through").expect("written");
    let mut arrived = [0; 7];
    UnixStream::from(descriptors.remove(0)).read_exact(&mut arrived).expect("read");
    assert_eq!(&arrived, b"through");
    let (text, descriptors) = theirs.receive().expect("received").expect("a message");
    assert_eq!((text.as_str(), descriptors.len()), ("two", 0));
}

#[test]
fn the_end_is_told() {
    let (ours, theirs) = Channel::pair().expect("a pair");
    let theirs = other(theirs);
    assert!(!ours.is_closed());
    theirs.send("last", &[]).expect("sent");
    theirs.close();
    assert_eq!(ours.receive().expect("received").map(|(text, _)| text).as_deref(), Some("last"));
    assert!(ours.receive().expect("received").is_none());
    assert!(ours.is_closed());
    assert!(ours.send("late", &[]).is_err());
}

#[test]
fn too_many_descriptors_are_refused() {
    let (ours, theirs) = Channel::pair().expect("a pair");
    let many = vec![theirs.as_fd(); MAX_DESCRIPTORS + 1];
    assert_eq!(ours.send("many", &many).expect_err("refused").kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn nobody_is_waited_for_longer_than_said() {
    let (ours, _theirs) = Channel::pair().expect("a pair");
    ours.limit(Some(Duration::from_millis(1))).expect("limited");
    assert_eq!(ours.receive().expect_err("none").kind(), io::ErrorKind::WouldBlock);
}
