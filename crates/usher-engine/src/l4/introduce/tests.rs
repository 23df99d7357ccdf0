use std::sync::Arc;
use std::time::UNIX_EPOCH;

use usher_net::proxy_protocol::{Parsed, parse};
use usher_net::tls::ClientCertificate;

use super::*;

const CLIENT: &str = "192.0.2.1:50000";
const OURS: &str = "198.51.100.2:5432";

fn client(ip: &str, peer: &str, local: &str) -> Client {
    Client { ip: ip.parse().ok(), peer: peer.parse().ok(), local: local.parse().ok(), ..Client::default() }
}

#[test]
fn a_line_names_the_client() {
    let six = client("2001:db8::1", "[2001:db8::1]:50000", "[2001:db8::2]:5432");
    let cases = [
        (client("192.0.2.1", CLIENT, OURS), "PROXY TCP4 192.0.2.1 198.51.100.2 50000 5432\r\n"),
        (six, "PROXY TCP6 2001:db8::1 2001:db8::2 50000 5432\r\n"),
        // What a trusted proxy said: the port is not known.
        (client("203.0.113.7", CLIENT, OURS), "PROXY TCP4 203.0.113.7 198.51.100.2 0 5432\r\n"),
        // On a Unix socket.
        (client("", "", ""), "PROXY UNKNOWN\r\n"),
    ];
    for (client, expected) in cases {
        let header = header(ProxyVersion::V1, (&client, "a.test"));
        assert_eq!(String::from_utf8_lossy(&header), expected);
    }
}

#[test]
fn binary_tells_of_tls_and_of_the_host() {
    let session = Session {
        version: "TLSv1.3",
        cipher: "",
        group: "",
        server_name: Some("ended.test".to_owned()),
        alpn: Some(b"x".to_vec()),
        resumed: false,
        client: None,
    };
    let plain = client("192.0.2.1", CLIENT, OURS);
    let secure = Client { tls: Some(Arc::new(session)), ..plain.clone() };
    let cases = [
        (&plain, "", (None, None, false)),
        (&plain, "past.test", (Some("past.test"), None, false)),
        (&plain, "no host", (None, None, false)),
        (&secure, "", (Some("ended.test"), Some(&b"x"[..]), true)),
    ];
    for (client, host, expected) in cases {
        let header = header(ProxyVersion::V2, (client, host));
        let Ok(Parsed::Header(parsed)) = parse(&header) else { panic!("{host}: {header:?}") };
        assert_eq!(parsed.consumed, header.len(), "{host}");
        assert_eq!(parsed.source(), Some((CLIENT.parse().unwrap(), OURS.parse().unwrap())), "{host}");
        let found =
            (parsed.details.authority.as_deref(), parsed.details.alpn.as_deref(), parsed.details.over_tls);
        assert_eq!(found, expected, "{host}");
    }
    let mut session = secure.tls.as_deref().cloned().unwrap();
    assert_eq!(shown(&session), None);
    session.client = Some(ClientCertificate {
        subject: String::new(),
        issuer: String::new(),
        serial: String::new(),
        sans: Vec::new(),
        fingerprint: String::new(),
        not_before: UNIX_EPOCH,
        not_after: UNIX_EPOCH,
        der: Vec::new(),
    });
    assert_eq!(shown(&session), Some(Shown::Now));
    session.resumed = true;
    assert_eq!(shown(&session), Some(Shown::Before));
    let unix = header(ProxyVersion::V2, (&Client::default(), ""));
    assert!(matches!(parse(&unix), Ok(Parsed::Header(parsed)) if parsed.endpoints == Endpoints::Own));
}
