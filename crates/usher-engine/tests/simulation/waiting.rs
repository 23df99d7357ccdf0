//! While a filter waits for something: a password that is being compared on another thread.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;

use crate::client::{Client, answer, endpoints, get};
use crate::world::{World, run};

/// Comparing takes a second and more of real time, of which none passes here: what happens happens before its end.
const CONFIG: &str = r#"
[[listener]]
bind = "127.0.0.1:8080"
[[route]]
to = "127.0.0.1:9000"
basic_auth = { users = { alice = "$2b$14$abcdefghijklmnopqrstuuu9BEtLDlSJdGWSIfhpsVfBbeO7LWs1i" } }
[[route]]
path = "/open"
to = "127.0.0.1:9000"
"#;
/// `alice:guess`
const REQUEST: &str = "POST / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic YWxpY2U6Z3Vlc3M=\r\n";

fn scene<F: Future>(play: impl FnOnce(Rc<World>) -> F) {
    run(|| async {
        let world = World::new(CONFIG, 1, endpoints(|_, port, reader, writer| answer(port, reader, writer)));
        play(world.clone()).await;
        world.all_ended(Duration::from_secs(5)).await;
        assert_eq!((world.in_flight(), world.idle(), world.worker.connections()), (0, 0, 0));
        assert_eq!(world.dialed(9000), 0, "nobody was let in");
    });
}

#[test]
fn a_client_that_breaks_off_is_let_go() {
    for body in
        ["\r\n", "Content-Length: 2\r\n\r\nhi", "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"]
    {
        scene(async |world: Rc<World>| {
            let mut client = Client::new(&world);
            client.send(&format!("{REQUEST}{body}")).await;
            sleep(Duration::from_millis(50)).await;
            assert_eq!(world.in_flight(), 1, "it waits");
            client.writer.abort();
            drop(client);
            sleep(Duration::from_millis(50)).await;
            assert_eq!(world.in_flight(), 0);
            assert_eq!(world.reason("client_disconnected"), 1, "{body:?}");
        });
    }
}

#[test]
fn others_are_served_meanwhile() {
    run(|| async {
        let world = World::new(CONFIG, 1, endpoints(|_, port, reader, writer| answer(port, reader, writer)));
        let mut waiting = Client::new(&world);
        waiting.send(&format!("{REQUEST}\r\n")).await;
        assert_eq!(Client::new(&world).ask(&get("/open")).await, 200);
        assert_eq!(Client::new(&world).ask(&get("/")).await, 401);
        assert_eq!(world.in_flight(), 1);
    });
}
