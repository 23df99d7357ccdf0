use super::*;
use crate::Client;

fn endpoint_and_client(reply: Reply) -> (Endpoint, Client) {
    let endpoint = Endpoint::script(vec![reply]).unwrap();
    let client = Client::connect(endpoint.address()).unwrap();
    (endpoint, client)
}

#[test]
fn answers_on_one_connection_and_counts() {
    let (endpoint, mut client) = endpoint_and_client(Reply::ok("hi").field("X-A", "1"));
    for _ in 0..2 {
        let response = client.get("/").unwrap();
        assert_eq!((response.status, response.text().as_str()), (200, "hi"));
        assert_eq!(response.fields.get("x-a"), Some("1"));
    }
    assert_eq!((endpoint.connections(), endpoint.request_count()), (1, 2));
}

#[test]
fn records_every_byte_and_echoes_the_request() {
    let (endpoint, mut client) = endpoint_and_client(Reply::echo());
    let sent =
        b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n";
    client.send(sent).unwrap();
    assert_eq!(client.read_response().unwrap().body, sent);
    assert_eq!(endpoint.received(), [sent.to_vec()]);
    let request = &endpoint.requests()[0];
    assert_eq!((&request.body[..], request.trailers.get("x-t")), (&b"abc"[..], Some("1")));
}

#[test]
fn chunks_and_pieces_arrive_whole() {
    let (_endpoint, mut client) = endpoint_and_client(Reply::chunked(["ab", "", "cde"]));
    let response = client.get("/").unwrap();
    assert_eq!((response.text().as_str(), response.framing), ("abcde", crate::Framing::Chunked));
    let whole = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
    let (_endpoint, mut client) = endpoint_and_client(Reply::pieces(whole, 7, Duration::from_millis(1)));
    assert_eq!(client.get("/").unwrap().text(), "abc");
}

#[test]
fn ends_connections_as_told() {
    for (reply, kind) in [(Reply::close(), Kind::Closed), (Reply::reset(), Kind::Reset)] {
        let (_endpoint, mut client) = endpoint_and_client(reply);
        assert_eq!(client.get("/").unwrap_err().kind, kind);
    }
    let (_endpoint, mut client) = endpoint_and_client(Reply::never());
    client.set_timeout(Duration::from_millis(50));
    assert_eq!(client.get("/").unwrap_err().kind, Kind::Timeout);
}

#[test]
fn upgrades_and_echoes_until_the_half_close() {
    let (_endpoint, mut client) = endpoint_and_client(Reply::upgrade_echo("websocket"));
    client
        .send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nping")
        .unwrap();
    assert_eq!(client.read_response().unwrap().status, 101);
    assert_eq!(client.read_exact(4).unwrap(), b"ping");
    client.shutdown_write().unwrap();
    assert_eq!(client.read_until_close().unwrap(), b"");
}

#[test]
fn keeps_malformed_requests_as_faults() {
    let (endpoint, mut client) = endpoint_and_client(Reply::ok(""));
    client.send("GET / HTTP/1.1\r\nHost : a\r\n\r\n").unwrap();
    client.expect_close().unwrap();
    assert_eq!(endpoint.request_count(), 0);
    drop(client);
    let faults = endpoint.faults();
    assert!(faults.len() == 1 && faults[0].message.contains("Host : a"), "{faults:?}");
}

#[test]
fn serves_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start_unix(folder.path().join("s"), |_| Reply::ok("unix")).unwrap();
    assert_eq!(Client::connect(endpoint.address()).unwrap().get("/").unwrap().text(), "unix");
}

#[test]
fn leaves_out_the_body_where_there_is_none() {
    let (_endpoint, mut client) = endpoint_and_client(Reply::ok("hi"));
    let response = client.request("HEAD", "/", &[], b"").unwrap();
    assert_eq!((response.body.len(), response.fields.get("content-length")), (0, Some("2")));
    assert_eq!(client.get("/").unwrap().text(), "hi");
}

#[test]
fn raw_handlers_speak_first() {
    let endpoint = Endpoint::raw(|connection, number| connection.send(format!("hello {number}"))).unwrap();
    for number in 0..2 {
        let mut client = Client::connect(endpoint.address()).unwrap();
        assert_eq!(client.read_until_close().unwrap(), format!("hello {number}").into_bytes());
    }
}

#[test]
fn waits_for_requests_no_longer_than_told() {
    let (endpoint, mut client) = endpoint_and_client(Reply::ok(""));
    client.get("/").unwrap();
    assert_eq!(endpoint.wait_for_requests(1, Duration::from_secs(5)).unwrap().len(), 1);
    assert_eq!(endpoint.wait_for_requests(2, Duration::from_millis(1)).unwrap_err().kind, Kind::Timeout);
}
