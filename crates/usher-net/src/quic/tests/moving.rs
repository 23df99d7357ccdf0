//! Clients that change their address.

use std::cell::RefCell;
use std::rc::Rc;

use super::super::route::LARGEST;
use super::{
    Connection, Pair, QuicConnector, QuicListener, Tls, ask, bind, echo, handshake, options, pattern, run,
};

/// A listener per worker; each notes its connections and answers what comes.
fn workers(count: usize, tls: &Tls) -> (std::net::SocketAddr, Rc<RefCell<Vec<Vec<Connection>>>>) {
    let seen = Rc::new(RefCell::new(vec![Vec::new(); count]));
    let bound = bind(count);
    let address = bound[0].address();
    let options = options();
    for (worker, bound) in bound.into_iter().enumerate() {
        let listener = QuicListener::new(bound, tls.server.clone(), &options).expect("a listener");
        let seen = Rc::clone(&seen);
        tokio::task::spawn_local(async move {
            while let Some(connection) = listener.accept().await {
                seen.borrow_mut()[worker].push(connection.clone());
                echo(connection);
            }
        });
    }
    (address, seen)
}

#[test]
fn client_that_moves_meets_the_same_worker() {
    const CLIENTS: usize = 12;
    run(async {
        let tls = Tls::new();
        let (address, seen) = workers(4, &tls);
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            let connector = QuicConnector::new(options());
            let connection = connector.connect(address, "localhost", tls.client.clone()).expect("begun");
            handshake(&connection).await.expect("a handshake");
            assert_eq!(ask(&connection, b"first").await.expect("an answer"), b"first");
            clients.push((connector, connection));
        }
        let before: Vec<Vec<_>> =
            seen.borrow().iter().map(|all| all.iter().map(Connection::peer).collect()).collect();
        assert!(
            before.iter().filter(|all| !all.is_empty()).count() > 1,
            "the kernel spreads clients: {before:?}"
        );
        let body = pattern(100_000);
        for (connector, connection) in &clients {
            for _ in 0..2 {
                connector.rebind().expect("rebound");
                assert!(ask(connection, &body).await.expect("an answer") == body);
            }
        }
        let after: Vec<Vec<_>> =
            seen.borrow().iter().map(|all| all.iter().map(Connection::peer).collect()).collect();
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(before.len(), after.len(), "nobody had to connect again");
            assert!(
                before.iter().zip(after).all(|(before, after)| before != after),
                "the new address is known"
            );
        }
    });
}

#[test]
fn move_in_the_middle_of_a_body_loses_nothing() {
    run(async {
        let tls = Tls::new();
        let (address, _seen) = workers(2, &tls);
        let connector = QuicConnector::new(options());
        let connection = connector.connect(address, "localhost", tls.client.clone()).expect("begun");
        handshake(&connection).await.expect("a handshake");
        let body = pattern(3 << 20);
        let asks = ask(&connection, &body);
        let moves = async {
            for _ in 0..3 {
                super::settle().await;
                connector.rebind().expect("rebound");
            }
        };
        let (answer, ()) = tokio::join!(asks, moves);
        assert!(answer.expect("an answer") == body);
    });
}

#[test]
fn packets_grow_to_what_the_route_carries() {
    run(async {
        let (client, server) = Pair::new().connect().await;
        echo(server.clone());
        let body = pattern(4 << 20);
        assert!(ask(&client, &body).await.expect("an answer") == body);
        for (end, name) in [(&client, "client"), (&server, "server")] {
            // The loopback carries 64 KiB, Ethernet only 1500 bytes.
            let size = end.packet_size();
            assert!((8 << 10..=LARGEST).contains(&size), "packets of the {name} have {size} bytes");
        }
    });
}
