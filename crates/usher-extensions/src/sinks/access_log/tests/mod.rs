mod destinations;
mod lines;
mod ring;

use usher_api::{Client, Exchange, Record, RecordView, RequestId};

use super::*;

/// 2026-07-27 17:31:45.678 UTC, in microseconds.
const STARTED: u64 = 1_785_173_505_678_901;

fn exchange() -> Exchange {
    let mut exchange = Exchange {
        client: Client { ip: Some([192, 0, 2, 7].into()), ..Client::default() },
        id: RequestId::new(b"r-1").unwrap(),
        record: Record {
            total: 12_345,
            connect: 210,
            first_byte: 9_001,
            received: 120,
            sent: 2_345,
            body_sent: 2_000,
            status: 200,
            ..Record::default()
        },
        ..Exchange::default()
    };
    exchange.request.host = "example.com".to_owned();
    exchange.request.fields.add(b"User-Agent", b"curl/8").unwrap();
    exchange
}

fn view(exchange: &Exchange) -> RecordView<'_> {
    RecordView {
        exchange,
        method: "GET",
        target: b"/a?b=c",
        version: "HTTP/1.1",
        route: "api",
        cluster: "app",
        endpoint: "10.0.0.1:3000",
        started_unix_micros: STARTED,
    }
}

fn template(text: &str) -> LineFormat {
    LineFormat::Template(LineTemplate::parse(text).unwrap())
}
