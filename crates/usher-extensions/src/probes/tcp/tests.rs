//! Connections, and what is said on them.

use super::FACTORY;
use crate::probes::testing::{ask, build, serve, target};

#[test]
fn connects_speaks_and_listens() {
    let long = "x".repeat(5000) + "+PONG";
    let cases = [
        ("", "", "", "", "", ""),
        ("send = \"PING\\r\\n\"\nexpect = '+PONG'", "", "PING\r\n", "+PONG\r\n", "PING\r\n", ""),
        ("expect = 'SSH-'", "SSH-2.0\r\n", "", "", "", ""),
        ("expect = '220'", "2", "", "20 ready\r\n", "", ""),
        ("expect = '+PONG'", "-ERR\r\n", "", "", "", "it does not say what is expected"),
        ("expect = '+PONG'", "", "", long.as_str(), "", "it does not say what is expected"),
    ];
    for (options, greeting, until, answer, came, said) in cases {
        let (address, thread) = serve(greeting, until, answer);
        assert_eq!(ask(&*build(&FACTORY, options), &target(address)), said, "{options}");
        assert_eq!(thread.join().unwrap(), came, "{options}");
    }
}

#[test]
fn says_why_there_is_no_connection() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(ask(&*build(&FACTORY, ""), &target(nobody)), "connection refused");
}

#[test]
fn introduces_itself_where_that_is_expected() {
    let (address, came) = serve("", "PING", "+PONG");
    let mut target = target(address);
    target.introduction = b"PROXY UNKNOWN\r\n".as_slice().into();
    assert_eq!(ask(&*build(&FACTORY, "send = 'PING'\nexpect = '+PONG'"), &target), "");
    assert_eq!(came.join().unwrap(), "PROXY UNKNOWN\r\nPING");
}
