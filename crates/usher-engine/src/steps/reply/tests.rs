use std::io;

use usher_api::{Error, ErrorKind, Exchange, Side};

use super::of_error;

fn exchange() -> Exchange {
    Exchange { endpoint: Some("10.0.0.1:80".into()), ..Exchange::default() }
}

fn refused() -> Error {
    let error = Error::new(Side::Upstream, ErrorKind::ConnectFailed);
    error.caused_by(io::ErrorKind::ConnectionRefused.into())
}

/// The log says which endpoint failed and why; what the client gets does not.
#[test]
fn the_log_names_the_endpoint_that_failed() {
    let upstream = |kind| Error::new(Side::Upstream, kind);
    let table = [
        (refused(), 502, "10.0.0.1:80: connection refused", ""),
        (upstream(ErrorKind::ConnectTimeout), 504, "10.0.0.1:80: timed out", ""),
        (
            upstream(ErrorKind::Disconnected).caused_by(io::ErrorKind::ConnectionReset.into()),
            502,
            "10.0.0.1:80: connection reset",
            "",
        ),
        (upstream(ErrorKind::Malformed).detail("no status"), 502, "", "no status"),
        (upstream(ErrorKind::NoEndpoint), 503, "", ""),
        (Error::new(Side::Downstream, ErrorKind::TooLarge).detail("request body"), 413, "", "request body"),
    ];
    for (error, status, failures, detail) in table {
        let mut exchange = exchange();
        let reply = of_error(&mut exchange, &error);
        assert_eq!((reply.status, exchange.record.detail), (status, detail));
        assert_eq!(exchange.failures.as_str(), failures);
        assert!(reply.fields.is_empty() && reply.is_empty());
    }
}

#[test]
fn endpoints_that_failed_before_are_named_too() {
    let mut exchange = exchange();
    exchange.note_failure(&refused());
    exchange.endpoint = Some("10.0.0.2:80".into());
    of_error(&mut exchange, &Error::new(Side::Upstream, ErrorKind::Malformed).detail("no status"));
    assert_eq!(exchange.failures.as_str(), "10.0.0.1:80: connection refused; 10.0.0.2:80: no status");
    exchange.clear();
    assert_eq!(exchange.failures.as_str(), "");
}
