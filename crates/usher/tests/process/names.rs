//! Endpoints that are written by name.

use usher_testkit::{Endpoint, Reply};

use crate::harness::{PATIENCE, reload, usher};

#[test]
fn an_unresolvable_name_takes_down_its_cluster_only() {
    let endpoint = Endpoint::start(|_| Reply::ok("hello")).unwrap();
    let port = endpoint.socket_addr().unwrap().port();
    let config = |more: &str| {
        format!(
            "admin = \"off\"\naccess_log = \"off\"\n[[listener]]\nbind = \"$LISTEN\"\n\
             [[route]]\npath = \"/good\"\nto = \"localhost:{port}\"\n\
             [[route]]\npath = \"/bad\"\nto = \"nobody.invalid:80\"\n{more}"
        )
    };
    let mut usher = usher(&config("")).start().unwrap();
    usher.wait_for_output("cannot resolve `nobody.invalid`", PATIENCE).unwrap();
    let mut client = usher.client().unwrap();
    for _ in 0..3 {
        assert_eq!(client.get("/good").unwrap().status, 200);
        assert_eq!(client.get("/bad").unwrap().status, 503);
    }
    // A reload asks for new names only, and keeps what is known.
    reload(&mut usher, &config("[[route]]\npath = \"/bad2\"\nto = \"nobody2.invalid:80\"\n"));
    usher.wait_for_output("cannot resolve `nobody2.invalid`", PATIENCE).unwrap();
    assert_eq!(client.get("/good").unwrap().status, 200);
    assert_eq!(client.get("/bad2").unwrap().status, 503);
    assert_eq!(usher.output().matches("cannot resolve `nobody.invalid`").count(), 1, "{}", usher.output());
}
