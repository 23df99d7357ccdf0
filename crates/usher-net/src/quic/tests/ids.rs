//! Connection IDs, and the program that steers by them.

use std::net::UdpSocket;

use quinn_proto::ConnectionIdGenerator;

use super::super::cid::SteeredIds;
use super::{QuicKeys, bind};

#[test]
fn ids_name_their_worker_and_are_recognised() {
    let keys = QuicKeys::from_secret(b"a secret");
    let others = QuicKeys::from_secret(b"another");
    for workers in [1, 2, 3, 7, 64, 300] {
        for worker in [0, workers / 2, workers - 1] {
            let mut ids = SteeredIds::new(worker, workers, keys.of(super::loopback()).ids);
            let foreign = SteeredIds::new(worker, workers, others.of(super::loopback()).ids);
            for _ in 0..50 {
                let id = ids.generate_cid();
                let steered = u16::from_be_bytes([id[0], id[1]]) % workers;
                assert_eq!(steered, worker, "{workers} workers");
                assert!(ids.validate(&id).is_ok());
                assert!(foreign.validate(&id).is_err(), "a key that is not ours");
            }
        }
    }
}

#[test]
fn ids_do_not_repeat() {
    let mut ids = SteeredIds::new(1, 2, QuicKeys::random().expect("keys").of(super::loopback()).ids);
    let some: std::collections::HashSet<_> = (0..1000).map(|_| ids.generate_cid()).collect();
    assert_eq!(some.len(), 1000);
}

#[test]
fn same_secret_gives_same_keys() {
    let make = || QuicKeys::from_secret(b"kept over a restart").of(super::loopback()).ids;
    let id = SteeredIds::new(0, 1, make()).generate_cid();
    assert!(SteeredIds::new(0, 1, make()).validate(&id).is_ok());
}

/// Else a worker or listener that does not know an ID could be made to say how a connection of another one is reset.
#[test]
fn ids_of_other_workers_and_addresses_are_not_recognised() {
    let keys = QuicKeys::from_secret(b"a secret");
    let other = keys.of("127.0.0.1:1".parse().expect("an address"));
    for worker in 0..4 {
        let id = SteeredIds::new(worker, 4, keys.of(super::loopback()).ids).generate_cid();
        for asked in 0..4 {
            let asked_ids = SteeredIds::new(asked, 4, keys.of(super::loopback()).ids);
            assert_eq!(asked_ids.validate(&id).is_ok(), asked == worker);
        }
        assert!(SteeredIds::new(worker, 4, other.ids.clone()).validate(&id).is_err());
    }
    let own = keys.of(super::loopback());
    let sign = |key| aws_lc_rs::hmac::sign(key, b"id").as_ref().to_vec();
    assert_ne!(sign(&own.reset), sign(&other.reset));
}

#[test]
fn kernel_steers_by_the_id_wherever_the_packet_comes_from() {
    const WORKERS: u16 = 3;
    let bound = bind(usize::from(WORKERS));
    assert!(bound.iter().all(super::BoundUdp::is_steered));
    for number in [0_u16, 1, 2, 3, 254, 255, 256, 257, 1000, 65_535] {
        let [high, low] = number.to_be_bytes();
        let short = [0x40, high, low, 9, 9, 9, 9, 9, 9];
        let long = [0xc0, 0, 0, 0, 1, 8, high, low, 9, 9, 9, 9, 9, 9];
        for packet in [&short[..], &long] {
            for _ in 0..3 {
                let sender = UdpSocket::bind("127.0.0.1:0").expect("a socket");
                sender.send_to(packet, bound[0].address()).expect("sent");
                let mut buf = [0; 64];
                let got: Vec<_> = bound.iter().map(|bound| bound.socket.recv(&mut buf).is_ok()).collect();
                let expected: Vec<_> = (0..WORKERS).map(|worker| worker == number % WORKERS).collect();
                assert_eq!(got, expected, "{packet:x?}");
            }
        }
    }
}
