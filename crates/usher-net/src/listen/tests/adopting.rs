//! Sockets that another process opened; here it is another owner in this one.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use super::*;

/// As another process gets them.
fn passed(sockets: &[BoundSocket], label: &str) -> Vec<Inherited> {
    let kept = keep(sockets).expect("kept");
    let again = |kept: &Kept| kept.as_fd().try_clone_to_owned().expect("a descriptor");
    kept.iter().map(|kept| Inherited::new(again(kept), label, true).expect("a socket")).collect()
}

fn begin(sockets: Vec<BoundSocket>) -> Vec<Listener> {
    let listener = |bound| Listener::new(bound, &SocketOptions::default()).expect("a listener");
    sockets.into_iter().map(listener).collect()
}

fn clients(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    (0..count).map(|_| TcpStream::connect(address).expect("connected")).collect()
}

/// Says hello to all that wait.
async fn greet(listeners: Vec<Listener>) -> usize {
    let mut served = 0;
    for listener in listeners {
        for accepted in listener.drain().expect("a drain") {
            write_all(&mut accepted.expect("accepted").0, b"hello").await.expect("written");
            served += 1;
        }
    }
    served
}

#[test]
fn whoever_waits_is_served_by_the_next_whatever_its_number_of_workers() {
    const CLIENTS: usize = 40;
    for (before, after) in [(1, 1), (2, 2), (2, 5), (5, 2), (3, 1), (1, 3)] {
        for reuse_port in [true, false] {
            run(async {
                let options = ListenOptions { reuse_port, ..ListenOptions::default() };
                let bound = bind(&loopback(), &options, before).expect("bound");
                let (address, kept) = (ip(bound[0].address()), keep(&bound).expect("kept"));
                let inherited = passed(&bound, "main");
                let old = begin(bound);
                let mut waiting = clients(address, CLIENTS);
                let dealt = adopt(inherited, &options, after).expect("adopted");
                assert_eq!(dealt.len(), after);
                assert!(dealt.iter().all(|sockets| !sockets.is_empty()), "{before} to {after}");
                kept.iter().for_each(Kept::hand_over);
                drop(kept);
                assert_eq!(greet(old).await, 0, "they are the other's");
                waiting.extend(clients(address, CLIENTS));
                let new = begin(dealt.into_iter().flatten().collect());
                assert_eq!(greet(new).await, 2 * CLIENTS, "{before} to {after}");
                for client in &mut waiting {
                    let mut text = String::new();
                    client.read_to_string(&mut text).expect("not reset");
                    assert_eq!(text, "hello");
                }
                assert!(TcpStream::connect(address).is_err(), "nobody is left");
            });
        }
    }
}

#[test]
fn the_file_of_a_unix_socket_changes_its_owner_when_it_is_handed_over() {
    run(async {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("socket");
        let bound = bind(&Address::Unix(path.clone()), &ListenOptions::default(), 2).expect("bound");
        let first = keep(&bound).expect("kept");
        assert_eq!(first.len(), 1, "one queue");

        // The other one fails before it has said that it is ready.
        drop(adopt(passed(&bound, "main"), &ListenOptions::default(), 3).expect("adopted"));
        let mut client = UnixStream::connect(&path).expect("the file is there, and somebody listens");

        let inherited = passed(&bound, "main");
        let dealt = adopt(inherited, &ListenOptions::default(), 3).expect("adopted");
        let next: Vec<BoundSocket> = dealt.into_iter().flatten().collect();
        let kept = keep(&next).expect("kept");
        first.iter().for_each(Kept::hand_over);
        drop((first, begin(bound)));
        assert!(path.exists(), "it is not the old one's any more");
        kept.iter().for_each(Kept::own_file);
        drop(kept);
        assert_eq!(greet(begin(next)).await, 1);
        let mut text = String::new();
        client.read_to_string(&mut text).expect("not reset");
        assert_eq!(text, "hello");
        assert!(!path.exists(), "the new one removes it");
    });
}

#[test]
fn only_what_can_be_listened_on_is_inherited() {
    let (one, other) = UnixStream::pair().expect("a pair");
    assert!(Inherited::new(one.into(), "a pair", false).is_err());
    drop(other);
    let file = std::fs::File::open("/dev/null").expect("opened");
    assert!(Inherited::new(file.into(), "a file", false).is_err());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let client = TcpStream::connect(listener.local_addr().expect("an address")).expect("connected");
    assert!(Inherited::new(client.into(), "a connection", false).is_err());
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
    let udp = Inherited::new(udp.into(), "datagrams", false).expect("a socket");
    assert!(!udp.is_stream() && udp.label() == "datagrams");
}
