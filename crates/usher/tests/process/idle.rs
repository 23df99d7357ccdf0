//! Connections at rest: out of the runtime, in a table, until their client asks for something.

use usher_testkit::{Client, Endpoint, Reply, Signal, Usher};

use crate::harness::{PATIENCE, reload, until, usher};

const CONFIG: &str = "workers = 1\nadmin = \"$ADMIN\"\naccess_log = \"off\"\n\
    [[listener]]\nbind = \"$LISTEN\"\n[[route]]\npath = \"/\"\nto = \"$ENDPOINT\"\n";

fn gauge(usher: &Usher, name: &str) -> u64 {
    usher.metric(&format!("usher_connections_{name}")).unwrap().unwrap_or_default() as u64
}

fn at_rest(usher: &Usher, count: u64) {
    until(&format!("{count} connections at rest"), || gauge(usher, "idle") == count);
}

fn start(config: &str) -> (Endpoint, Usher) {
    let endpoint = Endpoint::start(|_| Reply::ok("hello")).unwrap();
    let usher = usher(config).endpoint(&endpoint).start().unwrap();
    (endpoint, usher)
}

fn patient(usher: &Usher) -> Client {
    let mut client = usher.client().unwrap();
    client.set_timeout(PATIENCE);
    client
}

#[test]
fn a_connection_at_rest_is_served_again_by_the_config_of_then() {
    let (_endpoint, mut usher) = start(CONFIG);
    let mut clients: Vec<Client> = (0..20).map(|_| patient(&usher)).collect();
    // Half of them have never asked for anything.
    for client in &mut clients[..10] {
        assert_eq!(client.get("/").unwrap().status, 200);
    }
    at_rest(&usher, 20);
    assert_eq!(gauge(&usher, "active"), 20);
    reload(&mut usher, &CONFIG.replace("path = \"/\"", "path = \"/new\""));
    for round in 0..3 {
        for client in &mut clients {
            assert_eq!(client.get("/new").unwrap().status, 200, "in round {round}");
        }
        at_rest(&usher, 20);
    }
    drop(clients);
    until("all to be gone", || gauge(&usher, "active") == 0);
    assert_eq!(gauge(&usher, "idle"), 0);
}

#[test]
fn a_head_that_comes_in_pieces_after_a_rest_is_read() {
    let (_endpoint, usher) = start(CONFIG);
    let mut client = patient(&usher);
    assert_eq!(client.get("/").unwrap().status, 200);
    for piece in ["GET / HT", "TP/1.1\r\nHo", "st: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
        at_rest(&usher, u64::from(piece.starts_with("GET")));
        client.send(piece).unwrap();
    }
    assert_eq!(client.read_response().unwrap().status, 200);
    assert_eq!(client.read_response().unwrap().status, 200, "the second in the same packet");
}

#[test]
fn who_rests_too_long_is_closed() {
    let (_endpoint, usher) =
        start(&format!("{CONFIG}[timeouts]\nkeep_alive = \"400ms\"\nhead = \"300ms\"\n"));
    let (mut silent, mut served) = (patient(&usher), patient(&usher));
    assert_eq!(served.get("/").unwrap().status, 200);
    for client in [&mut silent, &mut served] {
        client.expect_close().unwrap();
    }
    until("both to be gone", || gauge(&usher, "active") == 0 && gauge(&usher, "idle") == 0);
}

#[test]
fn rest_holds_no_end_up() {
    let (_endpoint, mut usher) =
        start(&format!("{CONFIG}[timeouts]\nkeep_alive = \"60s\"\ndrain = \"15s\"\n"));
    let mut client = patient(&usher);
    assert_eq!(client.get("/").unwrap().status, 200);
    at_rest(&usher, 1);
    usher.signal(Signal::Term).unwrap();
    client.expect_close().unwrap();
    assert_eq!(usher.wait_exit(PATIENCE).unwrap().code(), Some(0));
    assert!(usher.output().contains("every connection was finished"), "{}", usher.output());
}

#[test]
fn connections_through_a_unix_socket_rest_too() {
    let (_endpoint, usher) =
        start(&format!("{CONFIG}[[listener]]\nname = \"unix\"\nbind = \"unix:$DIR/door.sock\"\n"));
    let address = format!("unix:{}", usher.dir().join("door.sock").display());
    // That the process is there was seen at its first listener.
    until("the socket to listen", || Client::connect(address.clone()).is_ok());
    let mut client = Client::connect(address).unwrap();
    for _ in 0..2 {
        assert_eq!(client.get("/").unwrap().status, 200);
        at_rest(&usher, 1);
    }
}
