//! Requests that probes send, and what they make of answers.

use usher_net::Address;

use super::FACTORY;
use crate::probes::testing::{ask, build, serve, target};

#[test]
fn sends_what_is_configured() {
    let options =
        "path = '/health?deep=1'\nmethod = 'HEAD'\nheaders = { X-Probe = 'yes', User-Agent = 'me' }";
    let (address, came) = serve("", "\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(ask(&*build(&FACTORY, options), &target(address)), "");
    assert_eq!(
        came.join().unwrap(),
        "HEAD /health?deep=1 HTTP/1.1\r\nHost: app.internal\r\nX-Probe: yes\r\nUser-Agent: me\r\n\r\n"
    );
}

#[test]
fn says_who_asks() {
    let (address, came) = serve("", "\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n");
    assert_eq!(ask(&*build(&FACTORY, ""), &target(address)), "");
    let came = came.join().unwrap();
    assert!(came.starts_with("GET / HTTP/1.1\r\n") && came.contains("User-Agent: usher/"), "{came}");
}

#[test]
fn judges_answers() {
    let large = format!("HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n{}all is well", "x".repeat(69_989));
    let endless = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(50);
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nall \r\n7\r\nis well\r\n0\r\n\r\n";
    let cases = [
        ("", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", ""),
        ("", "HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n", ""),
        ("", "HTTP/1.1 404 Not Found\r\n\r\n", "status 404"),
        ("", "HTTP/1.1 500 Internal Server Error\r\n\r\n", "status 500"),
        ("", "HTTP/1.0 200 OK\r\n\r\nold", ""),
        ("", "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", ""),
        ("", &endless, "its answer is malformed: flood of informational responses"),
        ("", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "status 101"),
        ("", "", "connection closed without an answer"),
        ("", "HTTP/1.1 20", "connection closed within the answer"),
        ("", "SSH-2.0-OpenSSH\r\n\r\n", "its answer is malformed: malformed status line"),
        ("status = 204", "HTTP/1.1 200 OK\r\n\r\n", "status 200"),
        ("status = ['204', '5xx']", "HTTP/1.1 503 Busy\r\n\r\n", ""),
        ("status = '200-299'", "HTTP/1.1 300 Choose\r\n\r\n", "status 300"),
        ("body = 'is well'", "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nall is well", ""),
        ("body = 'is well'", chunked, ""),
        ("body = 'is well'", "HTTP/1.1 200 OK\r\n\r\nall is well", ""),
        ("body = 'is well'", &large, "status 200, without the text that its body shall have"),
        (
            "body = 'x'",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
            "connection closed within the answer",
        ),
        (
            "body = 'x'",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "status 204, without the text that its body shall have",
        ),
    ];
    for (options, answer, said) in cases {
        let (address, came) = serve("", "\r\n\r\n", answer);
        assert_eq!(ask(&*build(&FACTORY, options), &target(address)), said, "{options}: {answer:.60}");
        came.join().unwrap();
    }
}

#[test]
fn says_why_there_is_no_connection() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(ask(&*build(&FACTORY, ""), &target(nobody)), "connection refused");
    let socket = Address::Unix("/nowhere/app.sock".into());
    assert_eq!(ask(&*build(&FACTORY, ""), &target(socket)), "no such socket");
}
