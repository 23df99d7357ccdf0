//! A WebSocket server and client of Python's `websockets`.

use std::path::{Path, PathBuf};
use std::process::Command;

use usher_testkit::Usher;

use crate::peer::{Peer, python, until, usher};

pub(crate) const SCRIPT: &str = include_str!("websocket.py");

const CONFIG: &str = "
workers = 2
access_log = \"access.log\"
[[listener]]
bind = \"$LISTEN\"
[[route]]
path = \"/chat\"
to = \"$ENDPOINT[websocket]\"
";

/// Server or client; both end with the test.
pub(crate) fn run(python: &Path, arguments: &[&str]) -> Peer {
    Peer::start(Command::new(python).args(["-u", "-c", SCRIPT]).args(arguments))
}

/// Python, a server, and Usher before it.
pub(crate) fn start() -> Option<(PathBuf, Peer, Usher)> {
    let python = python("websockets", "python3-websockets")?;
    let mut server = run(&python, &["serve"]);
    let port = server.line_after("port ");
    let usher = usher(CONFIG).endpoint_address("websocket", &format!("127.0.0.1:{port}")).start().unwrap();
    Some((python, server, usher))
}

fn url(usher: &Usher) -> String {
    format!("ws://{}/chat", usher.listen().unwrap())
}

#[test]
fn messages_pings_and_ends_pass_both_ways() {
    let Some((python, mut server, usher)) = start() else { return };
    run(&python, &["client", &url(&usher)]).finish();
    for end in
        ["closed 4001 'the server has enough'", "closed 4002 'the client has enough'", "closed 1000 ''"]
    {
        server.until(end, |server| server.output().contains(end));
    }
    // A request that is no handshake gets the server's own words.
    assert_eq!(usher.client().unwrap().get("/chat").unwrap().status, 426);
    // One line per tunnel, when it has ended: two and four of the client's parts, and two for the closing.
    until("the tunnels in the access log", || {
        let log = std::fs::read_to_string(usher.dir().join("access.log")).unwrap_or_default();
        log.lines().filter(|line| line.contains("\"status\":101")).count() == 8
    });
}

#[test]
fn an_open_connection_outlives_reloads() {
    let Some((python, server, mut usher)) = start() else { return };
    let mut client = run(&python, &["stay", &url(&usher)]);
    let hear = |client: &mut Peer, word: &str| {
        client.say(word);
        client.until("the echo", |client| client.output().contains(&format!("echo: {word}\n")));
    };
    client.until("the handshake", |client| client.output().contains("open\n"));
    hear(&mut client, "before");
    // Neither its route nor its cluster nor its listener is there any more.
    let other = "access_log = \"off\"\n[[listener]]\nbind = \"$LISTEN[other]\"\n[[route]]\nrespond = { status = 204 }\n";
    usher.reload(other).unwrap();
    assert!(usher.output().contains(" reloaded "), "{}", usher.output());
    hear(&mut client, "after");
    usher.reload(CONFIG).unwrap();
    hear(&mut client, "again");
    run(&python, &["client", &url(&usher)]).finish();
    hear(&mut client, "still");
    // A server that is killed says no farewell: the client must hear of it all the same.
    client.say("wait for the end");
    drop(server);
    assert_eq!(client.line_after("ended "), "(1006, '')");
    client.finish();
}
