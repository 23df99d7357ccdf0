//! Who is asked, and what becomes of those who are asked no more.

use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::mpsc::unbounded_channel;
use usher_api::standing::Out;
use usher_api::{Probe, Probing, Unwell};
use usher_config::config::UpstreamProtocol;
use usher_config::value::Percent;
use usher_net::{Address, SystemDialer};

use super::*;

/// Answers for all addresses: those in the list are not well. Notes who was asked, and whether that one was out then.
#[derive(Default)]
struct Oracle {
    sick: Mutex<Vec<String>>,
    asked: Mutex<Vec<(String, bool)>>,
    standings: Arc<Standings>,
}

impl Probe for Oracle {
    fn ask<'a>(&'a self, target: &'a ProbeTarget, _: &'a SystemDialer) -> Probing<'a> {
        let address = target.address.to_string();
        let is_sick = self.sick.lock().unwrap().contains(&address);
        let is_out = self.standings.of(&address).is(Out::Unhealthy);
        self.asked.lock().unwrap().push((address, is_out));
        Box::pin(async move { if is_sick { Err(Unwell::new("sick")) } else { Ok(()) } })
    }
}

struct Stage {
    oracle: Arc<Oracle>,
    board: Arc<Board>,
    orders: UnboundedSender<Plan>,
}

impl Stage {
    fn health(&self, written: &str) -> HealthSpec {
        HealthSpec {
            probe: self.oracle.clone(),
            probe_name: "oracle",
            interval: Duration::from_millis(1),
            jitter: Percent::NONE,
            timeout: Duration::from_secs(20),
            healthy_after: 2,
            unhealthy_after: 3,
            port: None,
            host: None,
            written: written.to_owned(),
        }
    }

    /// Asks those from now on, in the way that is written so.
    fn plan(&self, addresses: &[&str], written: &str) {
        let wanted = |address: &&str| {
            let address: Arc<str> = (*address).into();
            let target = ProbeTarget {
                cluster: "app".into(),
                label: address.clone(),
                address: address.parse::<Address>().unwrap(),
                host: address.clone(),
                introduction: Arc::from([]),
                tls: None,
                protocol: UpstreamProtocol::H1,
                timeout: Duration::from_secs(20),
            };
            let (standings, standing) = (self.oracle.standings.clone(), self.oracle.standings.of(&address));
            let wanted = Wanted { health: self.health(written), target, standings, standing };
            (("app".into(), address), wanted)
        };
        self.orders.send(addresses.iter().map(wanted).collect()).unwrap();
    }

    fn say(&self, sick: &[&str]) {
        *self.oracle.sick.lock().unwrap() = sick.iter().map(|&address| address.to_owned()).collect();
    }

    fn is_out(&self, address: &str) -> bool {
        self.oracle.standings.of(address).is(Out::Unhealthy)
    }

    fn asked(&self, address: &str) -> usize {
        self.oracle.asked.lock().unwrap().iter().filter(|(asked, _)| asked == address).count()
    }

    /// How often it was asked while it was in.
    fn asked_while_in(&self, address: &str) -> usize {
        let asked = self.oracle.asked.lock().unwrap();
        asked.iter().filter(|(asked, is_out)| asked == address && !is_out).count()
    }

    /// Waits until everybody in the list was asked so many times more.
    async fn rounds(&self, addresses: &[&str], more: usize) {
        for address in addresses {
            let before = self.asked(address);
            self.until(|| self.asked(address) >= before + more).await;
        }
    }

    async fn until(&self, is_so: impl Fn() -> bool) {
        let wait = async {
            while !is_so() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect("it comes to be so");
    }
}

fn on_stage(play: impl AsyncFnOnce(&Stage)) {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap();
    runtime.block_on(async {
        let (orders, plans) = unbounded_channel();
        let board = Arc::new(Board::default());
        tokio::task::spawn_local(follow::run(plans, board.clone()));
        play(&Stage { oracle: Arc::default(), board, orders }).await;
    });
}

const ONE: &str = "192.0.2.1:80";
const TWO: &str = "192.0.2.2:80";
const NEW: &str = "192.0.2.3:80";

#[test]
fn who_joins_later_is_trusted_for_a_while() {
    on_stage(async |stage| {
        stage.say(&[TWO, NEW]);
        stage.plan(&[ONE, TWO], "a");
        stage.until(|| stage.is_out(TWO)).await;
        assert_eq!(stage.asked_while_in(TWO), 1, "the first answer counts at once");
        stage.plan(&[ONE, TWO, NEW], "a");
        stage.until(|| stage.is_out(NEW)).await;
        assert_eq!(stage.asked_while_in(NEW), 3, "it may just be starting");
        assert!(!stage.is_out(ONE) && stage.is_out(TWO));
    });
}

#[test]
fn who_leaves_is_asked_no_more_and_is_not_held_to_be_sick() {
    on_stage(async |stage| {
        stage.say(&[TWO]);
        stage.plan(&[ONE, TWO], "a");
        stage.until(|| stage.is_out(TWO)).await;
        stage.plan(&[ONE], "a");
        stage.until(|| !stage.is_out(TWO)).await;
        let asked = stage.asked(TWO);
        stage.rounds(&[ONE], 10).await;
        assert_eq!(stage.asked(TWO), asked);
        assert_eq!(stage.board.readings().len(), 1);
        // Nobody is asked any more.
        stage.plan(&[], "a");
        stage.until(|| stage.board.readings().is_empty()).await;
        assert!(!stage.is_out(ONE));
    });
}

#[test]
fn nothing_is_remembered_of_a_cluster_that_is_asked_no_more() {
    on_stage(async |stage| {
        stage.say(&[TWO]);
        stage.plan(&[ONE, TWO], "a");
        stage.until(|| stage.is_out(TWO)).await;
        stage.plan(&[], "a");
        stage.until(|| !stage.is_out(TWO)).await;
        let before = stage.asked_while_in(TWO);
        stage.say(&[]);
        stage.plan(&[ONE, TWO], "a");
        stage.rounds(&[ONE, TWO], 10).await;
        assert!(!stage.is_out(TWO) && stage.asked_while_in(TWO) >= before + 10, "it was well all the time");
    });
}

#[test]
fn who_comes_back_is_as_sick_as_before() {
    on_stage(async |stage| {
        stage.say(&[TWO, NEW]);
        stage.plan(&[ONE, TWO, NEW], "a");
        stage.until(|| stage.is_out(TWO) && stage.is_out(NEW)).await;
        stage.plan(&[ONE], "a");
        stage.until(|| !stage.is_out(TWO) && !stage.is_out(NEW)).await;
        let before = stage.asked_while_in(TWO);
        // In the meantime its cluster has forgotten one of them.
        stage.oracle.standings.forget(NEW);
        stage.oracle.standings.retain(0, |address| address != NEW);
        stage.plan(&[ONE, TWO, NEW], "a");
        stage.until(|| stage.is_out(TWO) && stage.is_out(NEW)).await;
        assert_eq!(stage.asked_while_in(TWO), before, "it is out before it is asked");
        assert!(stage.asked_while_in(NEW) > 1, "whoever is new is trusted for a while");
        stage.say(&[]);
        stage.until(|| !stage.is_out(TWO)).await;
    });
}

#[test]
fn other_settings_keep_who_is_out_until_the_first_answer() {
    on_stage(async |stage| {
        stage.say(&[ONE, TWO]);
        stage.plan(&[ONE, TWO], "a");
        stage.until(|| stage.is_out(ONE) && stage.is_out(TWO)).await;
        // The same settings: two good answers are needed as ever.
        stage.plan(&[ONE, TWO], "a");
        stage.rounds(&[ONE, TWO], 2).await;
        assert!(stage.is_out(ONE) && stage.is_out(TWO));
        let probes = |stage: &Stage| stage.board.readings()[0].probes;
        let before = probes(stage);
        stage.plan(&[ONE, TWO], "b");
        stage.rounds(&[ONE, TWO], 2).await;
        assert!(stage.is_out(ONE) && stage.is_out(TWO));
        assert!(probes(stage).1 > before.1, "numbers go on");
        stage.say(&[TWO]);
        stage.until(|| !stage.is_out(ONE)).await;
        stage.rounds(&[TWO], 3).await;
        assert!(stage.is_out(TWO));
        let reading = |address: &str| {
            stage.board.readings().into_iter().find(|one| *one.address == *address).unwrap().well
        };
        assert!(reading(ONE) && !reading(TWO));
    });
}
