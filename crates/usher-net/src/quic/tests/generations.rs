//! A second generation of workers, with connections of the first that go on.

use std::net::UdpSocket;
use std::rc::Rc;
use std::time::Duration;

use quinn_proto::ConnectionIdGenerator;
use tokio::task::JoinHandle;

use super::super::cid::SteeredIds;
use super::super::group::UdpGroup;
use super::{
    BoundUdp, QuicConnector, QuicKeys, QuicListener, Tls, UdpOptions, ask, echo, handshake, loopback,
    options, run, settle,
};

fn descriptors(group: &UdpGroup) -> Vec<(bool, Vec<std::os::fd::OwnedFd>)> {
    let own = |socket: &UdpSocket| socket.try_clone().expect("a descriptor").into();
    group.banks().map(|(is_busy, sockets)| (is_busy, sockets.iter().map(own).collect())).collect()
}

/// Listeners that answer until they are dropped.
struct Generation(Vec<(Rc<QuicListener>, JoinHandle<()>)>);

impl Generation {
    fn new(bound: Vec<BoundUdp>, tls: &Tls) -> Self {
        let options = super::QuicOptions { keys: QuicKeys::random().expect("keys").into(), ..options() };
        let listener = |bound| {
            let listener =
                Rc::new(QuicListener::new(bound, tls.server.clone(), &options).expect("a listener"));
            let accepting = Rc::clone(&listener);
            let task = tokio::task::spawn_local(async move {
                while let Some(connection) = accepting.accept().await {
                    echo(connection);
                }
            });
            (listener, task)
        };
        Self(bound.into_iter().map(listener).collect())
    }

    fn connections(&self) -> usize {
        self.0.iter().map(|(listener, _)| listener.connections()).sum()
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        self.0.iter().for_each(|(_, task)| task.abort());
    }
}

#[test]
fn connections_stay_with_their_generation_and_new_ones_go_to_the_next() {
    run(async {
        let tls = Tls::new();
        let (mut group, bound) = UdpGroup::bind(loopback(), UdpOptions::default(), 2).expect("sockets");
        let address = group.address();
        let mut current = Generation::new(bound, &tls);
        let mut all = Vec::new();
        // The numbers of workers differ on purpose; the last one finds a bank of its size.
        for (turn, workers) in [2, 3, 2, 2].into_iter().enumerate() {
            let mut connectors = Vec::new();
            for _ in 0..6 {
                let connector = QuicConnector::new(options());
                let connection = connector.connect(address, "localhost", tls.client.clone()).expect("begun");
                handshake(&connection).await.expect("a handshake");
                connectors.push((connector, connection));
            }
            assert_eq!(current.connections(), 6, "turn {turn}");
            let mut next = UdpGroup::inherited(descriptors(&group)).expect("a group");
            let bound = next.take_over(UdpOptions::default(), workers).expect("sockets");
            next.steer().expect("steered");
            let fresh = Generation::new(bound, &tls);
            for (connector, connection) in &connectors {
                assert_eq!(ask(connection, b"after").await.expect("an answer"), b"after", "turn {turn}");
                connector.rebind().expect("rebound");
                assert_eq!(ask(connection, b"moved").await.expect("an answer"), b"moved", "turn {turn}");
            }
            all.push((connectors, std::mem::replace(&mut current, fresh)));
            if turn == 1 {
                // The first two generations end with their clients; their sockets stay.
                for (connectors, generation) in all.drain(..) {
                    drop(connectors);
                    while generation.connections() > 0 {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    drop(generation);
                    settle().await;
                }
                next.retire_others();
                next.steer().expect("steered");
            }
            group = next;
        }
        assert_eq!(group.banks().count(), 3, "the last two found the banks of those that had ended");
    });
}

#[test]
fn the_end_of_one_process_frees_only_its_own_banks() {
    let (group, _bound) = UdpGroup::bind(loopback(), UdpOptions::default(), 1).expect("sockets");
    let mut next = UdpGroup::inherited(descriptors(&group)).expect("a group");
    next.take_over(UdpOptions::default(), 2).expect("sockets");
    // Other options of the listener: what was opened before them serves on.
    let mut next = next.try_clone().expect("a group");
    next.take_over(UdpOptions::default(), 3).expect("sockets");
    let busy = |group: &UdpGroup| group.banks().map(|(is_busy, _)| is_busy).collect::<Vec<_>>();
    assert_eq!(busy(&next), [true, true, true]);
    next.retire_inherited();
    assert_eq!(busy(&next), [false, true, true]);
    next.take_over(UdpOptions::default(), 1).expect("sockets");
    next.retire_inherited();
    assert_eq!(busy(&next), [true, true, true], "the first is its own now");
}

#[test]
fn ids_of_another_bank_are_not_recognised() {
    let keys = QuicKeys::from_secret(b"a secret");
    let ids = |bank| SteeredIds::new(1, 2, keys.of(loopback()).ids).of_bank(bank);
    for bank in 0..16 {
        let id = ids(bank).generate_cid();
        assert_eq!(id[2] & 0x0f, bank);
        for asked in 0..16 {
            assert_eq!(ids(asked).validate(&id).is_ok(), asked == bank);
        }
    }
}
