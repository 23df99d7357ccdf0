//! WebSockets that are closed by the proxy: where messages end, spread over the time, and with nothing lost.

mod side;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep};
use usher_api::standing::Out;
use usher_engine::{Command, Drain};

use self::side::{Habit, Heard, side};
use crate::client::{Client, endpoints};
use crate::rng::Rng;
use crate::world::{Reception, World, run};

type Servers = Rc<RefCell<Vec<JoinHandle<Heard>>>>;

fn serving(habit: Habit, servers: &Servers, begun: Instant) -> Reception {
    let servers = servers.clone();
    endpoints(move |_, _, mut reader, mut writer| {
        let servers = servers.clone();
        async move {
            reader.head().await.expect("a request");
            let switch =
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
            writer.write(switch).await.expect("taken");
            servers.borrow_mut().push(spawn_local(side((reader, writer), false, habit, begun)));
        }
    })
}

fn config(websocket: &str) -> String {
    format!(
        "[[listener]]\nbind = \"127.0.0.1:8080\"\n[timeouts]\ntunnel_idle = \"10s\"\n\
         [[route]]\ncluster = \"app\"\nwebsocket = {{ {websocket} }}\n[cluster.app]\nendpoints = [\"127.0.0.1:9001\"]\n"
    )
}

/// WebSockets through a proxy.
struct Scene {
    world: Rc<World>,
    clients: Vec<JoinHandle<Heard>>,
    servers: Servers,
}

/// So many of them; their bytes come in random pieces if there is a seed.
async fn open(
    (client, server): (Habit, Habit),
    websocket: &str,
    (count, seed): (usize, Option<u64>),
) -> Scene {
    let (servers, begun) = (Servers::default(), Instant::now());
    let world = World::new(&config(websocket), 1, serving(server, &servers, begun));
    let mut clients = Vec::new();
    for number in 0..count {
        let chaos = seed.map(|seed| Rng::new(seed + number as u64));
        let Client { mut reader, mut writer, .. } = Client::over(world.connect(64 << 10, chaos));
        let ask = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
        writer.write(ask.as_bytes()).await.expect("taken");
        assert_eq!(reader.head().await.expect("a response").status(), 101);
        clients.push(spawn_local(side((reader, writer), true, client, begun)));
    }
    Scene { world, clients, servers }
}

impl Scene {
    /// What became of all, pair by pair: the proxy asks the endpoint in the order in which clients come.
    async fn end(self) -> (Vec<(Heard, Heard)>, u64, u64) {
        self.world.all_ended(Duration::from_secs(60)).await;
        let mut pairs = Vec::new();
        let servers = std::mem::take(&mut *self.servers.borrow_mut());
        for (client, server) in self.clients.into_iter().zip(servers) {
            pairs.push((client.await.expect("no panic"), server.await.expect("no panic")));
        }
        assert_eq!(self.world.in_flight(), 0);
        let totals = self.world.registry.read().totals;
        assert_eq!(totals.tunnels.late.get(), 0, "{pairs:?}");
        (pairs, totals.tunnels.drained.get(), totals.tunnels.cut.get())
    }

    fn drain(&self, seconds: u64, succeeded: bool) {
        self.world.worker.apply(Command::Drain(Drain { patience: Duration::from_secs(seconds), succeeded }));
    }
}

/// All leave at a drain: with the Close of Usher on both sides, and everything that was said before it.
fn all_leave(pair: (Habit, Habit), seed: Option<u64>) {
    const SOCKETS: usize = 8;
    run(async || {
        let scene = open(pair, "", (SOCKETS, seed)).await;
        sleep(Duration::from_millis(2500)).await;
        scene.drain(12, seed.is_some());
        let (all, drained, cut) = scene.end().await;
        assert_eq!((drained, cut), (SOCKETS as u64, 0), "{pair:?} {seed:?}");
        for (client, server) in all {
            let code = if seed.is_some() { 1012 } else { 1001 };
            assert_eq!((client.close, server.close), (Some(code), Some(code)), "{pair:?} {seed:?}");
            assert_eq!(client.messages, server.sent, "{pair:?} {seed:?}");
            assert_eq!(server.messages, client.sent, "{pair:?} {seed:?}");
        }
    });
}

#[test]
fn nothing_is_lost_when_the_process_ends() {
    use Habit::{Echo, Silent, Slow, Stream, Talkative};
    let habits = [
        (Silent, Silent),
        (Silent, Talkative(100)),
        (Silent, Talkative(10)),
        (Talkative(100), Silent),
        (Talkative(10), Silent),
        // Not with the ticks of the clock: what is said in the very moment of the Close is lost.
        (Stream(2013), Echo),
        (Echo, Stream(2013)),
        (Slow(4013), Silent),
        (Silent, Slow(4013)),
    ];
    for pair in habits {
        for seed in [None, Some(1), Some(50)] {
            all_leave(pair, seed);
        }
    }
}

#[test]
fn they_do_not_go_all_at_once() {
    run(async || {
        let scene = open((Habit::Silent, Habit::Silent), "", (400, None)).await;
        scene.drain(30, true);
        let (all, drained, _) = scene.end().await;
        assert_eq!(drained, 400);
        // Spread over 15 seconds: 27 a second, and some by chance.
        let mut seconds = [0; 30];
        all.iter().for_each(|(client, _)| seconds[client.closed_after.as_secs() as usize] += 1);
        assert!(seconds[..15].iter().all(|count| (8..55).contains(count)), "{seconds:?}");
        assert!(seconds[16..].iter().all(|count| *count == 0), "{seconds:?}");
    });
}

#[test]
fn who_never_comes_to_an_end_is_cut_off_in_time() {
    for pair in [(Habit::Stuck, Habit::Silent), (Habit::Silent, Habit::Stuck)] {
        run(async || {
            let begun = Instant::now();
            let scene = open(pair, "", (5, None)).await;
            scene.drain(10, false);
            let (all, drained, cut) = scene.end().await;
            assert_eq!((drained, cut), (0, 5), "{pair:?}");
            assert!(begun.elapsed() < Duration::from_secs(11), "{pair:?}");
            assert!(
                all.iter().all(|(client, server)| client.messages.is_empty() && server.messages.is_empty())
            );
        });
    }
}

#[test]
fn who_does_not_answer_is_not_waited_for_long() {
    for pair in [(Habit::Deaf, Habit::Silent), (Habit::Silent, Habit::Deaf), (Habit::Deaf, Habit::Deaf)] {
        run(async || {
            let scene = open(pair, "", (5, None)).await;
            scene.drain(60, false);
            let (all, drained, cut) = scene.end().await;
            assert_eq!((drained, cut), (5, 0), "{pair:?}");
            assert!(
                all.iter().all(|(client, server)| client.close == Some(1001) && server.close == Some(1001))
            );
        });
    }
}

#[test]
fn whoever_leaves_without_an_answer_is_answered_for() {
    use Habit::{Breaks, Leaves, Silent};
    let habits = [
        (Silent, Leaves(60_000)),
        (Silent, Leaves(2013)),
        (Leaves(2013), Silent),
        (Silent, Breaks(60_000)),
        (Breaks(2013), Silent),
    ];
    for pair in habits {
        for seed in [None, Some(1)] {
            all_leave(pair, seed);
        }
    }
}

#[test]
fn whoever_has_closed_is_answered_where_the_other_side_is_silent() {
    use Habit::{Closes, Deaf};
    for (pair, closes) in
        [((Closes(1000), Deaf), (Some(1001), Some(1000))), ((Deaf, Closes(1000)), (Some(1000), Some(1001)))]
    {
        run(async || {
            let scene = open(pair, "", (5, None)).await;
            sleep(Duration::from_secs(2)).await;
            scene.drain(120, false);
            // What is left of the time is more than is looked at here.
            sleep(Duration::from_secs(50)).await;
            let (all, drained, cut) = scene.end().await;
            assert_eq!((drained, cut), (5, 0), "{pair:?}");
            for (client, server) in all {
                assert_eq!((client.close, server.close), closes, "{pair:?}");
            }
        });
    }
}

#[test]
fn the_rest_of_a_message_is_not_waited_for_until_the_end() {
    use Habit::{Between, Silent, Stuck};
    let (told, not_told) = (Some(1001), None);
    for (pair, closes) in [
        // Within a frame nothing can be said: only the one that has sent it is told.
        ((Stuck, Silent), (told, not_told)),
        ((Silent, Stuck), (not_told, told)),
        ((Stuck, Stuck), (not_told, not_told)),
        // Between two frames it can.
        ((Between, Silent), (told, told)),
        ((Silent, Between), (told, told)),
    ] {
        run(async || {
            let scene = open(pair, "", (5, None)).await;
            scene.drain(120, false);
            // What is left of the time is more than is looked at here.
            sleep(Duration::from_secs(50)).await;
            let (all, drained, cut) = scene.end().await;
            assert_eq!((drained, cut), (0, 5), "{pair:?}: a message is lost");
            for (client, server) in all {
                assert_eq!((client.close, server.close), closes, "{pair:?}");
                assert!(client.messages.is_empty() && server.messages.is_empty(), "{pair:?}");
            }
        });
    }
}

#[test]
fn what_is_to_wait_is_left_alone_until_the_end() {
    run(async || {
        let scene = open((Habit::Ping(1000), Habit::Silent), "drain = \"wait\"", (2, None)).await;
        scene.drain(60, false);
        sleep(Duration::from_secs(50)).await;
        assert!(scene.clients.iter().all(|client| !client.is_finished()));
        scene.world.worker.apply(Command::Cut);
        let (all, drained, cut) = scene.end().await;
        assert_eq!((drained, cut), (0, 2));
        assert!(all.iter().all(|(client, server)| client.close.is_none() && server.close.is_none()));
    });
}

#[test]
fn pings_keep_one_open_if_they_shall() {
    for (habit, websocket, open_still) in [
        (Habit::Silent, "", false),
        (Habit::Ping(3000), "", true),
        (Habit::Ping(3000), "pings = false", false),
        (Habit::Stream(3000), "pings = false", true),
    ] {
        run(async || {
            let scene = open((habit, Habit::Silent), websocket, (1, None)).await;
            sleep(Duration::from_secs(30)).await;
            assert_eq!(!scene.clients[0].is_finished(), open_still, "{habit:?} {websocket}");
            if open_still {
                scene.drain(10, false);
            }
            let (all, drained, cut) = scene.end().await;
            assert_eq!((drained, cut), (u64::from(open_still), 0));
            assert!(
                all.iter().all(|(client, server)| client.close == Some(1001) && server.close == Some(1001))
            );
        });
    }
}

/// Whether sockets are still open some time after something was done to their endpoint.
fn after(websocket: &'static str, change: impl Fn(&World)) -> bool {
    run(async || {
        let scene = open((Habit::Ping(3000), Habit::Silent), websocket, (5, None)).await;
        sleep(Duration::from_secs(5)).await;
        change(&scene.world);
        sleep(Duration::from_secs(25)).await;
        let is_open = scene.clients.iter().any(|client| !client.is_finished());
        if is_open {
            scene.drain(10, false);
        }
        let (all, drained, cut) = scene.end().await;
        assert_eq!((drained, cut), (5, 0));
        let code = if is_open { 1001 } else { 1012 };
        assert!(all.iter().all(|(client, _)| client.close == Some(code)));
        is_open
    })
}

#[test]
fn one_stays_at_an_endpoint_that_goes_unless_it_shall_not() {
    let standing = |why: Out, holds: &'static [bool]| {
        move |world: &World| {
            let standings = &world.worker.local().shared.clusters[0].standings;
            let endpoint = standings.of("127.0.0.1:9001");
            for holds in holds {
                standings.set(&endpoint, why, *holds, 1);
            }
        }
    };
    let reload = |from: &'static str, to: &'static str| {
        move |world: &World| world.reload(&config("stay = \"20s\"").replace(from, to))
    };
    let stay = "stay = \"20s\"";
    for why in [Out::Draining, Out::Disabled] {
        assert!(!after(stay, standing(why, &[true])), "{why:?}");
        assert!(after("", standing(why, &[true])), "{why:?}: it stays");
        assert!(after(stay, standing(why, &[true, false])), "{why:?}: it is taken back");
    }
    assert!(after(stay, standing(Out::Unhealthy, &[true])), "it may get well");
    assert!(!after(stay, reload("9001", "9002")), "another endpoint");
    assert!(!after(stay, reload("app", "other")), "another cluster");
    assert!(after(stay, reload("[[route]]", "[[route]]\npath = \"/other\"")), "another route");
    assert!(after(stay, reload("drain", "drain")), "nothing");
}

/// How long one may stay says nothing about clients that have vanished.
#[test]
fn who_is_silent_does_not_stay_at_an_endpoint_that_goes() {
    let drain = |world: &World| {
        let standings = &world.worker.local().shared.clusters[0].standings;
        standings.set(&standings.of("127.0.0.1:9001"), Out::Draining, true, 1);
    };
    let remove = |world: &World| world.reload(&config("stay = \"24h\"").replace("9001", "9002"));
    for (change, what) in [(&drain as &dyn Fn(&World), "drained"), (&remove, "removed")] {
        for (habit, stays) in [(Habit::Silent, false), (Habit::Ping(3000), true)] {
            run(async || {
                let scene = open((habit, Habit::Silent), "stay = \"24h\"", (5, None)).await;
                sleep(Duration::from_secs(5)).await;
                change(&scene.world);
                sleep(Duration::from_secs(30)).await;
                let open = scene.clients.iter().filter(|client| !client.is_finished()).count();
                let idle = scene.world.reason("tunnel_idle");
                assert_eq!((open, idle), if stays { (5, 0) } else { (0, 5) }, "{what} {habit:?}");
                scene.drain(10, false);
                let (all, drained, cut) = scene.end().await;
                assert_eq!((drained, cut), (open as u64, 0), "{what} {habit:?}");
                let told = |heard: &Heard| heard.close == Some(1001);
                assert!(all.iter().all(|(client, server)| told(client) && told(server)), "{what} {habit:?}");
            });
        }
    }
}
