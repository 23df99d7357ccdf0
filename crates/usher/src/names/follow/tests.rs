//! What is asked of a name server, and what comes of its answers.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig};
use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name, RData, Record};

use super::*;

/// Bytes of an answer that fits into a datagram.
const DATAGRAM: usize = 512;
const HOST: &str = "app.example.com.";

/// Addresses, as they are written.
type List<'a> = &'a [&'a str];

/// What happens; what there is of IPv4 and of IPv6, where none is a failure; what was known; what comes of it, and whether
/// something is wrong then.
type Case<'a> = (&'a str, [Option<List<'a>>; 2], List<'a>, List<'a>, bool);

/// What there is of a type; no entry: nothing. A failure is SERVFAIL.
type Says = HashMap<RecordType, Result<Vec<RData>, ()>>;

/// A name server of its own, for as long as the test process lives.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<Says>>);

impl Server {
    /// Starts it; who asks it.
    fn start() -> (Self, Rc<Shared>) {
        let server = Self::default();
        let streams = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = streams.local_addr().unwrap();
        let datagrams = UdpSocket::bind(address).unwrap();
        let (of_datagrams, of_streams) = (server.clone(), server.clone());
        thread::spawn(move || {
            let mut query = [0; DATAGRAM];
            while let Ok((length, client)) = datagrams.recv_from(&mut query) {
                datagrams.send_to(&of_datagrams.answer(&query[..length], DATAGRAM), client).unwrap();
            }
        });
        thread::spawn(move || {
            for mut stream in streams.incoming().flatten() {
                let mut length = [0; 2];
                while stream.read_exact(&mut length).is_ok() {
                    let mut query = vec![0; u16::from_be_bytes(length).into()];
                    stream.read_exact(&mut query).unwrap();
                    let answer = of_streams.answer(&query, usize::MAX);
                    stream.write_all(&u16::try_from(answer.len()).unwrap().to_be_bytes()).unwrap();
                    stream.write_all(&answer).unwrap();
                }
            }
        });
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
        let at_port = |mut one: ConnectionConfig| {
            one.port = address.port();
            one
        };
        let connections = connections.into_iter().map(at_port).collect();
        let name_server = NameServerConfig::new(address.ip(), true, connections);
        let mut options = ResolverOpts::default();
        for_names(&mut options);
        let settings = RefCell::new((ResolverConfig::from_name_servers(vec![name_server]), options));
        let (permits, table) = (Semaphore::new(AT_ONCE), Table::default());
        (server, Rc::new(Shared { settings, permits, table, changed: Box::new(|_| {}) }))
    }

    fn says(&self, kind: RecordType, says: Result<Vec<RData>, ()>) {
        self.0.lock().unwrap().insert(kind, says);
    }

    /// Says these addresses of a family from now on; none: that it cannot say.
    fn names(&self, kind: RecordType, addresses: Option<&[&str]>) {
        let data = |address: &&str| RData::from(address.parse::<IpAddr>().unwrap());
        self.says(kind, addresses.map(|all| all.iter().map(data).collect()).ok_or(()));
    }

    fn answer(&self, query: &[u8], most: usize) -> Vec<u8> {
        let query = Message::from_vec(query).unwrap();
        let mut response = Message::response(query.metadata.id, OpCode::Query);
        response.add_queries(query.queries.clone());
        match self.0.lock().unwrap().get(&query.queries[0].query_type()) {
            Some(Ok(all)) => {
                let record =
                    |data: &RData| Record::from_rdata(query.queries[0].name().clone(), 60, data.clone());
                response.add_answers(all.iter().map(record));
            }
            Some(Err(())) => response.metadata.response_code = ResponseCode::ServFail,
            None => {}
        }
        let bytes = response.to_vec().unwrap();
        if bytes.len() > most { response.truncate().to_vec().unwrap() } else { bytes }
    }
}

fn run<T>(play: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, play)
}

fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

/// The addresses, and what is wrong with them.
async fn heard(shared: &Shared, known: &[&str]) -> Result<(Vec<String>, Option<String>), String> {
    let known: Vec<IpAddr> = known.iter().map(|one| one.parse().unwrap()).collect();
    let heard = shared.ask(HOST, &known).await.0?;
    Ok((heard.addresses.iter().map(ToString::to_string).collect(), heard.fault))
}

#[test]
fn a_family_that_cannot_be_asked_for_keeps_its_addresses() {
    use RecordType::{A, AAAA};
    let (server, shared) = Server::start();
    let both = ["10.0.0.1", "fd00::1"];
    let cases: [Case<'_>; 6] = [
        ("both", [Some(&["10.0.0.1"]), Some(&["fd00::1"])], &[], &both, false),
        ("six fails, four moves", [Some(&["10.0.0.2"]), None], &both, &["10.0.0.2", "fd00::1"], true),
        ("four fails, six moves", [None, Some(&["fd00::2"])], &both, &["10.0.0.1", "fd00::2"], true),
        ("there is no six any more", [Some(&["10.0.0.2"]), Some(&[])], &both, &["10.0.0.2"], false),
        ("there is no four any more", [Some(&[]), Some(&["fd00::2"])], &both, &["fd00::2"], false),
        ("there never was a six", [Some(&["10.0.0.1"]), None], &["10.0.0.1"], &["10.0.0.1"], false),
    ];
    run(async {
        for (what, [four, six], known, expected, is_partial) in cases {
            server.names(A, four);
            server.names(AAAA, six);
            let (addresses, fault) = heard(&shared, known).await.unwrap();
            assert_eq!((addresses, fault.is_some()), (texts(expected), is_partial), "{what}");
        }
        server.names(A, None);
        server.names(AAAA, None);
        assert!(heard(&shared, &both).await.is_err(), "whoever asks keeps what it knows");
    });
}

#[test]
fn a_host_of_a_service_keeps_the_family_that_cannot_be_asked_for() {
    let (server, shared) = Server::start();
    let target = Name::from_ascii(HOST).unwrap();
    server.says(RecordType::SRV, Ok(vec![RData::SRV(SRV::new(1, 1, 80, target))]));
    server.names(RecordType::A, Some(&["10.0.0.1"]));
    server.names(RecordType::AAAA, Some(&["fd00::1"]));
    // Nothing holds for longer than a moment.
    let bounds = Bounds { min: Duration::ZERO, max: Duration::ZERO };
    let mut memory = service::Memory::of(&[]);
    run(async {
        let mut found = async || {
            let (found, _) = service::ask(&shared, "_web._tcp.example.com.", (&mut memory, bounds)).await;
            found.unwrap().iter().map(|one| one.address.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(found().await, ["10.0.0.1", "fd00::1"]);
        server.names(RecordType::A, Some(&["10.0.0.2"]));
        server.names(RecordType::AAAA, None);
        assert_eq!(found().await, ["10.0.0.2", "fd00::1"]);
    });
}

#[test]
fn so_many_addresses_of_a_host_count() {
    let (server, shared) = Server::start();
    let all: Vec<String> =
        (0..MAX_ADDRESSES + 100).map(|number| format!("10.0.{}.{}", number / 250, number % 250)).collect();
    server.names(RecordType::A, Some(&all.iter().map(String::as_str).collect::<Vec<_>>()));
    let (addresses, _) = run(heard(&shared, &[])).unwrap();
    assert_eq!(addresses, all[..MAX_ADDRESSES], "the first ones in their own order");
}
