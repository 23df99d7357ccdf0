//! Over loopback.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use super::*;
use crate::sys::Sending;

/// The largest datagram over IPv4 (bytes).
const LARGEST: usize = 65_507;

fn local<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), future).await.expect("in time") })
}

fn door(address: &str) -> Door {
    let bound = bind_datagrams(address.parse().unwrap(), (false, false), 1).unwrap();
    Door::new(bound.into_iter().next().unwrap()).unwrap()
}

/// A sender, its address, and the address of the machine that it was sent to.
type From = (SocketAddr, Option<IpAddr>);

async fn one(door: &Door) -> Vec<(Vec<u8>, From)> {
    let mut all = Vec::new();
    while all.is_empty() {
        let mut take = |trains: &[Train<'_>], cut: u64| {
            assert_eq!(cut, 0);
            for train in trains.iter().flat_map(Train::datagrams) {
                all.push((train.bytes.to_vec(), (train.peer.unwrap(), train.local)));
            }
        };
        poll_fn(|cx| door.poll_receive(cx, &mut take)).await.unwrap();
    }
    all
}

async fn heard(flow: &Flow) -> (Heard, Vec<Vec<u8>>) {
    let mut all = Vec::new();
    loop {
        flow.readable().await.unwrap();
        let heard = flow.receive(|trains, _| {
            all.extend(trains.iter().flat_map(Train::datagrams).map(|one| one.bytes.to_vec()));
        });
        if heard == Heard::Refusal || !all.is_empty() {
            return (heard, all);
        }
    }
}

fn train(bytes: &[u8], segment: usize) -> Train<'_> {
    Train { bytes, segment, peer: None, local: None }
}

#[test]
fn a_train_is_its_datagrams() {
    let sizes = |len: usize, segment: usize| {
        let bytes = vec![0; len];
        train(&bytes, segment).datagrams().map(|one| one.bytes.len()).collect::<Vec<_>>()
    };
    assert_eq!(sizes(0, 0), [0], "an empty datagram is one");
    assert_eq!(sizes(5, 0), [5]);
    assert_eq!(sizes(5, 2), [2, 2, 1]);
    assert_eq!(sizes(4, 2), [2, 2]);
    assert_eq!(train(&[0; 5], 2).count(), 3);
}

#[test]
fn datagrams_keep_their_borders_whatever_their_size() {
    local(async {
        for (bind, client) in [("127.0.0.1:0", "127.0.0.1:0"), ("[::1]:0", "[::1]:0")] {
            let (door, client) = (door(bind), UdpSocket::bind(client).unwrap());
            let sizes = [1, 0, 1200, LARGEST, 9000];
            let mut came = Vec::new();
            for size in sizes {
                client.send_to(&vec![size as u8; size], door.address()).unwrap();
            }
            while came.len() < sizes.len() {
                came.extend(one(&door).await);
            }
            let of = client.local_addr().unwrap();
            for ((bytes, (peer, local)), size) in came.iter().zip(sizes) {
                assert_eq!((bytes.len(), *peer, *local), (size, of, None));
                assert!(bytes.iter().all(|byte| *byte == size as u8));
            }
            let way = Way { to: Some(of), from: None };
            let (large, small) = (vec![7; LARGEST], [1; 3]);
            let sent = door.send(way, &[train(&large, 0), train(&[], 0), train(&small, 2)]);
            assert_eq!((sent.datagrams, sent.bytes, sent.lost), (4, LARGEST as u64 + 3, 0), "{:?}", sent.why);
            let mut buffer = vec![0; LARGEST + 1];
            let came: Vec<usize> = (0..4).map(|_| client.recv(&mut buffer).unwrap()).collect();
            assert_eq!(came, [LARGEST, 0, 2, 1]);
        }
    });
}

#[test]
fn an_answer_leaves_from_where_the_client_has_sent_to() {
    local(async {
        for bind in ["0.0.0.0:0", "[::]:0"] {
            let door = door(bind);
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            // Only what comes from there is received.
            client.connect(("127.0.0.2", door.address().port())).unwrap();
            client.send(b"hello").unwrap();
            let (bytes, (peer, local)) = one(&door).await.remove(0);
            assert_eq!(
                (&bytes[..], local.unwrap().to_canonical().to_string()),
                (&b"hello"[..], "127.0.0.2".into())
            );
            assert_eq!(door.send(Way { to: Some(peer), from: local }, &[train(b"welcome", 3)]).datagrams, 3);
            let mut buffer = [0; 10];
            client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let came: Vec<usize> = (0..3).map(|_| client.recv(&mut buffer).unwrap()).collect();
            assert_eq!(came, [3, 3, 1]);
        }
    });
}

#[test]
fn more_than_a_batch_arrives_whole_and_in_order() {
    local(async {
        let (door, client) = (door("127.0.0.1:0"), UdpSocket::bind("127.0.0.1:0").unwrap());
        client.set_nonblocking(true).unwrap();
        client.connect(door.address()).unwrap();
        let client = Flow::adopt(client.into()).unwrap();
        let bytes: Vec<u8> = (0..100).collect();
        let trains: Vec<Train<'_>> = bytes.chunks(1).map(|one| train(one, 0)).collect();
        assert_eq!(client.send(b"", &trains).datagrams, 100);
        let mut came = Vec::new();
        while came.len() < 100 {
            came.extend(one(&door).await.into_iter().map(|(bytes, _)| bytes[0]));
        }
        assert_eq!(came, bytes);
        // A train of equal datagrams, and each behind a header of its own.
        assert_eq!(client.send(b"", &[train(&bytes, 7)]).datagrams, 15);
        assert_eq!(client.send(b"head", &[train(&bytes[..9], 5)]).datagrams, 2);
        let mut came = Vec::new();
        while came.len() < 17 {
            came.extend(one(&door).await.into_iter().map(|(bytes, _)| bytes));
        }
        assert_eq!(came[..15].concat(), bytes);
        assert_eq!(came[15..], [b"head\0\x01\x02\x03\x04".to_vec(), b"head\x05\x06\x07\x08".to_vec()]);
        // What is too large for any datagram is lost, and nothing else.
        let (large, small) = (vec![0; LARGEST + 1], [1]);
        let sent = client.send(b"", &[train(&large, 0), train(&small, 0)]);
        assert_eq!((sent.datagrams, sent.lost), (1, 1));
        assert_eq!(sent.why.unwrap().raw_os_error(), Some(libc::EMSGSIZE));
    });
}

#[test]
fn a_refusal_is_heard_by_whoever_waits_and_by_whoever_sends() {
    local(async {
        let nobody = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let flow = Flow::connect(nobody).unwrap();
        assert_eq!(flow.send(b"", &[train(b"1", 0)]).datagrams, 1);
        assert_eq!(heard(&flow).await.0, Heard::Refusal);
        assert_eq!(flow.send(b"", &[train(b"2", 0)]).datagrams, 1);
        let sent = flow.send(b"", &[train(b"3", 0)]);
        assert_eq!((sent.datagrams, sent.refused), (0, Some(0)));
        // Whoever comes there later is heard of.
        let late = UdpSocket::bind(nobody).unwrap();
        assert_eq!(flow.send(b"", &[train(b"4", 0)]).datagrams, 1);
        let mut buffer = [0; 4];
        let (length, of) = late.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"4");
        late.send_to(b"5", of).unwrap();
        assert_eq!(heard(&flow).await, (Heard::Datagrams, vec![b"5".to_vec()]));
    });
}

#[test]
fn others_have_their_turn_between_the_batches_of_one_flow() {
    local(async {
        let endpoint = UdpSocket::bind("127.0.0.1:0").unwrap();
        let flow = Flow::connect(endpoint.local_addr().unwrap()).unwrap();
        assert_eq!(flow.send(b"", &[train(b"question", 0)]).datagrams, 1);
        let of = endpoint.recv_from(&mut [0; 8]).unwrap().1;
        let batches = 4;
        for _ in 0..batches * BATCH {
            endpoint.send_to(b"answer", of).unwrap();
        }
        let turns = Arc::new(AtomicUsize::new(0));
        let of_others = turns.clone();
        let others = tokio::spawn(async move {
            loop {
                of_others.fetch_add(1, Relaxed);
                tokio::task::yield_now().await;
            }
        });
        flow.readable().await.unwrap();
        for batch in 0..batches {
            let mut count = 0;
            flow.receive(|trains, _| count = trains.iter().map(Train::count).sum());
            assert_eq!(count, BATCH, "all were there before");
            if batch + 1 < batches {
                let before = turns.load(Relaxed);
                flow.readable().await.unwrap();
                assert!(turns.load(Relaxed) > before, "batch {batch}");
            }
        }
        others.abort();
    });
}

#[test]
fn the_same_client_comes_to_the_same_socket() {
    local(async {
        let all = bind_datagrams("127.0.0.1:0".parse().unwrap(), (false, false), 2).unwrap();
        let address = all[0].address();
        assert_eq!(all[1].address(), address);
        let taken = bind_datagrams(address, (false, false), 1).unwrap_err().to_string();
        assert!(taken.contains("for UDP: the address is in use; `ss -lunp"), "{taken}");
        let twice = all[0].try_clone().unwrap();
        let doors: Vec<Door> = all.into_iter().map(|one| Door::new(one).unwrap()).collect();
        drop(twice);
        for _ in 0..20 {
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            let mut first = None;
            for _ in 0..3 {
                client.send_to(b"x", address).unwrap();
                let at = tokio::select! {
                    _ = one(&doors[0]) => 0,
                    _ = one(&doors[1]) => 1,
                };
                assert_eq!(*first.get_or_insert(at), at);
            }
        }
    });
}

#[test]
fn nothing_that_comes_while_sockets_are_opened_is_lost() {
    let free = || UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (address, n) in [(free(), 1), (free(), 3), ("127.0.0.1:0".parse().unwrap(), 2)] {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut sent = 0;
        let bind = |at: SocketAddr, reuse_port: bool| {
            let socket = bind::socket(at, false, reuse_port)?;
            client.send_to(b"early", socket.local_addr()?.as_socket().unwrap())?;
            sent += 1;
            Ok(socket)
        };
        let (_, sockets) = bind_group((address, false), n, bind).unwrap();
        let mut came = 0;
        for socket in &sockets {
            came += std::iter::from_fn(|| socket.recv(&mut [0; 8]).ok()).count();
        }
        assert_eq!((sockets.len(), came), (n, sent));
    }
}

#[test]
fn sending_needs_no_heap() {
    // What goes by value into arrays of the stack stays small.
    assert!(size_of::<Sending<'_>>() <= 48 && size_of::<Received>() <= 96);
}
