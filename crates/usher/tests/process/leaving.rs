//! Clients that leave, or send a body, while their password is compared.

use usher_testkit::{Client, Endpoint, Reply, Usher};

use crate::harness::{until, usher};

/// Cost 16, the highest: seconds for each comparison, and longer than the test in a debug build.
const SLOW: &str = "$2b$16$abcdefghijklmnopqrstuuu9BEtLDlSJdGWSIfhpsVfBbeO7LWs1i";
/// `secret`, in so many rounds that a whole body comes meanwhile.
const RIGHT: &str = "$6$rounds=100000$saltsalt$W6Pjgp5jRhOycjhz1JdUTjE.eBO2c/gf64ukBCYIUsagE3B8HkkRYGvkhQw7S1S6nh6jR9hV6IhhRIHR8xSWY0";
/// `alice:guess`
const GUESS: &str = "Basic YWxpY2U6Z3Vlc3M=";
/// `bob:secret`, `eve:secret`, `joe:secret`: who was right once is compared no more.
const KNOWN: [&str; 3] = ["Basic Ym9iOnNlY3JldA==", "Basic ZXZlOnNlY3JldA==", "Basic am9lOnNlY3JldA=="];

fn start(endpoint: &Endpoint) -> Usher {
    let config = format!(
        "workers = 2\nadmin = \"$ADMIN\"\naccess_log = \"off\"\n[[listener]]\nbind = \"$LISTEN\"\n\
         [[route]]\nto = \"$ENDPOINT\"\nbasic_auth = {{ users = {{ alice = \"{SLOW}\", \
         bob = \"{RIGHT}\", eve = \"{RIGHT}\", joe = \"{RIGHT}\" }} }}\n[[route]]\npath = \"/open\"\nto = \"$ENDPOINT\"\n"
    );
    usher(&config).endpoint(endpoint).start().unwrap()
}

fn metric(usher: &Usher, name: &str) -> u64 {
    usher.metric(name).unwrap().unwrap_or_default() as u64
}

#[test]
fn whoever_breaks_off_during_a_comparison_leaves_nothing_behind() {
    const CLIENTS: u64 = 12;
    let endpoint = Endpoint::start(|_| Reply::ok("hello")).unwrap();
    let usher = start(&endpoint);
    let ask = |body: &str| {
        let mut client = usher.client().unwrap();
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nAuthorization: {GUESS}\r\n{body}")).unwrap();
        client
    };
    let bodies = ["\r\n", "Content-Length: 4\r\n\r\nbody", "Content-Length: 4\r\n\r\n"];
    let clients: Vec<Client> = (0..CLIENTS as usize).map(|number| ask(bodies[number % 3])).collect();
    until("all to wait", || metric(&usher, "usher_requests_in_flight") == CLIENTS);
    assert_eq!(Client::connect(usher.listen().unwrap()).unwrap().get("/open").unwrap().status, 200);
    for mut client in clients {
        client.reset().unwrap();
    }
    until("nothing to be under way", || metric(&usher, "usher_requests_in_flight") == 0);
    until("all to be gone", || metric(&usher, "usher_connections_active") == 0);
    let left = metric(&usher, "usher_proxy_responses_total{reason=\"client_disconnected\"}");
    assert_eq!(left, CLIENTS, "they were let go before anybody knew whether they were right");
    assert_eq!(endpoint.requests().len(), 1, "only the open one");
}

#[test]
fn a_body_that_comes_during_a_comparison_is_whole_afterwards() {
    let endpoint = Endpoint::start(|request| Reply::ok(request.body.len().to_string())).unwrap();
    let usher = start(&endpoint);
    let body = "GET /from-the-body HTTP/1.1\r\nHost: a\r\n\r\n".repeat(10_000);
    for (known, length) in KNOWN.into_iter().zip([100, 20_000, body.len()]) {
        let mut client = usher.client().unwrap();
        let fields = [("Authorization", known)];
        let response = client.request("POST", "/", &fields, &body.as_bytes()[..length]).unwrap();
        assert_eq!((response.status, response.text()), (200, length.to_string()));
        assert_eq!(client.get("/open").unwrap().text(), "0", "the next request begins behind it");
    }
    let bodies = endpoint.requests();
    assert!(bodies.iter().all(|request| body.as_bytes().starts_with(&request.body)), "other bytes came");
}
