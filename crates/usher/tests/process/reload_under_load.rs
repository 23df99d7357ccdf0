//! Reloads while requests come: not one of them may fail.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use usher_testkit::{Client, Result};

use crate::harness::{reload, usher};

const RELOADS: usize = 50;

/// A config that differs from its neighbours in routes, listeners and clusters, and always serves `/`.
fn config(number: usize) -> String {
    let mut text = "workers = 2\nadmin = \"$ADMIN\"\naccess_log = \"off\"\n\
        [[listener]]\nname = \"main\"\nbind = \"$LISTEN\"\n\
        [[route]]\nname = \"all\"\ncluster = \"one\"\n[cluster.one]\nendpoints = [\"$ENDPOINT\"]\n"
        .to_owned();
    if number % 2 == 1 {
        text.push_str("[[listener]]\nname = \"extra\"\nbind = \"$LISTEN[extra]\"\n");
    }
    for route in 0..number % 5 {
        text.push_str(&format!("[[route]]\nname = \"r{route}\"\npath = \"/r{route}\"\nto = \"$ENDPOINT\"\n"));
    }
    text
}

/// An endpoint that remembers nothing: the one of the kit keeps every byte.
fn endpoint() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
    address
}

/// Answers requests without bodies, which come one at a time.
fn answer(mut stream: TcpStream) {
    let (mut head, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        head.extend_from_slice(&buffer[..count]);
        if head.ends_with(b"\r\n\r\n") {
            head.clear();
            if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").is_err() {
                return;
            }
        }
    }
}

/// Lets the threads of a test end, also if the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn no_request_fails_while_the_config_is_read_again() {
    let mut usher = usher(&config(0)).endpoint_address("", &endpoint()).start().unwrap();
    let address = usher.listen().unwrap();
    let (stop, served) = (AtomicBool::new(false), [AtomicU64::new(0), AtomicU64::new(0)]);
    let failures = thread::scope(|scope| {
        let (stop, [kept_count, new_count]) = (&stop, &served);
        let go_on = move || !stop.load(Ordering::Relaxed);
        let keep_alive = move || -> Result<()> {
            let mut client = Client::connect(address)?;
            while go_on() {
                assert_eq!(client.get("/")?.status, 200);
                kept_count.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        let anew = move || -> Result<()> {
            while go_on() {
                assert_eq!(Client::connect(address)?.get("/")?.status, 200);
                new_count.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        let threads =
            [scope.spawn(keep_alive), scope.spawn(keep_alive), scope.spawn(anew), scope.spawn(anew)];
        let end = Stop(stop);
        for number in 1..=RELOADS {
            reload(&mut usher, &config(number));
        }
        drop(end);
        threads.map(|thread| thread.join().expect("no status but 200").err())
    });
    assert!(failures.iter().all(Option::is_none), "{failures:?}");
    assert!(served.iter().all(|count| count.load(Ordering::Relaxed) > RELOADS as u64), "{served:?}");
    let output = usher.output();
    assert_eq!(output.matches("reloaded ").count(), RELOADS, "{output}");
}
