use std::cell::{Cell, RefCell};
use std::io;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncWriteExt as _, duplex};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;
use usher_api::metrics::Registry;
use usher_config::{Input, LoadOptions};
use usher_extensions::balancers::BALANCERS;
use usher_extensions::filters::FILTERS;
use usher_net::{Address, Dialer, MemoryStream};

use super::has_taken;
use crate::connection::{self, Door, IdleConnection};
use crate::path::End;
use crate::snapshot::Builder;
use crate::worker::Worker;

/// Never connects. When a dial is given up, notes how many connections the worker has then.
#[derive(Clone, Default)]
struct Nowhere {
    worker: Rc<RefCell<Weak<Worker<Nowhere>>>>,
    dialed: Rc<Cell<bool>>,
    then: Rc<Cell<Option<u32>>>,
}

impl Dialer for Nowhere {
    type Stream = MemoryStream;

    async fn dial(&self, _: &Address) -> io::Result<MemoryStream> {
        struct GivenUp<'a>(&'a Nowhere);
        impl Drop for GivenUp<'_> {
            fn drop(&mut self) {
                let worker = self.0.worker.borrow().upgrade();
                self.0.then.set(worker.map(|worker| worker.connections()));
            }
        }
        let _given_up = GivenUp(self);
        self.dialed.set(true);
        std::future::pending().await
    }
}

/// A request over HTTP/2, with the client's settings (RFC 9113 sections 3.4 and 6.2).
fn request() -> Vec<u8> {
    let head = [&[0x82, 0x86, 0x84, 0x41, 6][..], b"a.test"].concat();
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        [&[0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream][..], payload].concat()
    };
    [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, &[]), &frame(1, 5, 1, &head)].concat()
}

/// Waits for something; the time passes when nobody has anything to do.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if is_so() {
            return;
        }
        sleep(Duration::from_millis(1)).await;
    }
    panic!("waited in vain for {what}");
}

#[test]
fn whoever_drains_waits_for_requests_whose_client_has_gone() {
    let text = "[[listener]]\nbind = \"127.0.0.1:1\"\n[[route]]\nto = \"127.0.0.1:2\"\n";
    let options = LoadOptions { format: None, env: &|_| None, known_filters: &[] };
    let loaded = usher_config::load(Input::Text { name: "test.toml".into(), bytes: text.into() }, &options);
    let builder = Builder { filters: FILTERS, balancers: BALANCERS, probes: &[] };
    let built = builder.build(&loaded.unwrap(), None, None).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    LocalSet::new().block_on(&runtime.unwrap(), async {
        let nowhere = Nowhere::default();
        let metrics = Registry::new("0").register_worker();
        let worker = Worker::new(nowhere.clone(), built.snapshot.clone(), metrics, Arc::default(), 1);
        *nowhere.worker.borrow_mut() = Rc::downgrade(&worker);
        spawn_local(worker.clone().tend());
        let listener = worker.local().shared.listeners[0].clone();
        let permit = worker.admit(None, &listener).ok();
        let (peer, local, session) = ("192.0.2.1:50000".parse().ok(), None, None);
        let door = Door { listener, index: 0, peer, local, is_fresh: true, is_known: false, session };
        let (mut client, server) = duplex(4096);
        let connection = IdleConnection::new(MemoryStream::from(server), door, permit);
        let served = spawn_local(connection::attend(worker.clone(), connection, None));
        client.write_all(&request()).await.unwrap();
        until("a dial", || nowhere.dialed.get()).await;
        assert_eq!(worker.connections(), 1);
        drop(client);
        served.await.unwrap();
        until("the dial to be given up", || nowhere.then.get().is_some()).await;
        assert_eq!(nowhere.then.get(), Some(1), "its place is kept until the request has ended");
        until("the end of the request", || worker.connections() == 0).await;
    });
}

#[test]
fn who_has_taken_a_whole_response_is_known_whatever_becomes_of_the_stream() {
    // Over HTTP/3 a request that was answered ends with `Close`, as its own end was not seen yet.
    for end in [End::KeepAlive, End::Close] {
        assert!(has_taken(end, 200, true) && has_taken(end, 404, true), "{end:?}");
        assert!(!has_taken(end, 503, true) && !has_taken(end, 200, false), "{end:?}");
    }
    assert!(!has_taken(End::Abort, 200, true));
}
