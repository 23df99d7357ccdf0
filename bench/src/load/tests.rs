use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use super::*;

/// A server that gives `responses` in turn, one per request, then closes.
fn serve(responses: Vec<&'static str>) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        for response in responses {
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap() > 2 {
                line.clear();
            }
            stream.write_all(response.as_bytes()).unwrap();
        }
    });
    (address, thread)
}

fn run(responses: Vec<&'static str>, job: &Job) -> Batch {
    let total = responses.len() as u64;
    let (address, thread) = serve(responses);
    let deadline = Instant::now() + Duration::from_secs(20);
    let batch = Load::open(address, 1).unwrap().batch(job, total, deadline).unwrap();
    thread.join().unwrap();
    batch
}

#[test]
fn counts_right_responses() {
    let right = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd";
    let batch = run(vec![right; 3], &Job::get("/", 4, false));
    assert_eq!((batch.done, batch.errors, batch.first_error), (3, 0, None));
}

#[test]
fn wrong_responses_are_errors() {
    let cases = [
        ("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\nabcd", "status 502"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "Content-Length Some(3) instead of 4"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabxd", "other bytes"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab", "2 bytes of the body to come"),
        ("HTTP/1.0 200 OK\r\n\r\n", "status line"),
        ("", "closed"),
    ];
    for (response, message) in cases {
        let batch = run(vec![response], &Job::get("/", 4, false));
        assert_eq!((batch.done, batch.errors), (0, 1), "{response:?}");
        let error = batch.first_error.unwrap();
        assert!(error.contains(message) || error.contains("reset"), "{response:?}: {error}");
    }
}

#[test]
fn a_connection_of_its_own_must_be_closed_by_the_server() {
    let closing = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nabcd";
    assert_eq!(run(vec![closing], &Job::get("/", 4, true)).done, 1);
    let keeping = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd";
    assert_eq!(run(vec![keeping], &Job::get("/", 4, true)).errors, 1);
}

/// Calls of the endpoint itself, over two connections with three streams.
fn call(job: &Job) -> Batch {
    let address = crate::endpoint::grpc::start().unwrap();
    let target = Target { address, door: Door::H2c, certificate: PathBuf::new() };
    let mut client = Client::open(&target, 2, 3).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let each = client.one_each(job, 1, deadline).unwrap();
    assert_eq!(each.done + each.errors, 2);
    client.batch(job, 50, deadline).unwrap()
}

#[test]
fn counts_grpc_calls_that_end_well() {
    let batch = call(&Job::grpc());
    assert_eq!((batch.done, batch.errors, batch.first_error), (50, 0, None));
}

#[test]
fn grpc_calls_that_go_wrong_are_errors() {
    let message = http::grpc_message();
    let cases = [
        (Job { request: [&http::grpc()[..], b"other"].concat(), ..Job::grpc() }, "status 404"),
        (Job { body: [&message[..], b"x"].concat(), ..Job::grpc() }, "1 bytes of the body to come"),
        (Job { body: http::body(message.len()), ..Job::grpc() }, "other bytes"),
        (Job { grpc: false, ..Job::grpc() }, "Chunked instead of 105 bytes"),
    ];
    for (job, message) in cases {
        let batch = call(&job);
        let error = batch.first_error.unwrap();
        assert_eq!((batch.done, batch.errors), (0, 50), "{error}");
        assert!(error.contains(message), "{error}");
    }
}
