//! The works: what is asked of each proxy, over which protocol, how often, and the goals.

use crate::load::Job;
use crate::peers::Proxy;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// One row of a table.
#[derive(Debug)]
pub(crate) struct Work {
    /// What `--only` calls it.
    pub(crate) name: &'static str,
    /// What the table calls it.
    pub(crate) what: &'static str,
    /// Which table it is in, and so whom Usher is compared with.
    pub(crate) table: Table,
    /// How clients come to the proxy.
    pub(crate) door: Door,
    pub(crate) ask: Ask,
    /// Client connections that are busy at once.
    pub(crate) connections: usize,
    /// Requests under way at once on each of them.
    pub(crate) streams: usize,
    /// Requests of one window: about a second of the slowest proxy's CPU.
    pub(crate) requests: u64,
    /// What Usher may cost as a share of what each peer of the table costs, in their order; none is for perspective.
    pub(crate) goals: &'static [f64],
    /// How the peers are set; Usher is always as it comes.
    pub(crate) tuning: Tuning,
    /// Usher has health checks, outlier detection, retries and limits switched on.
    pub(crate) guarded: bool,
}

/// The tables of CPU per request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    /// HTTP/1.1 without TLS.
    Plain,
    /// TLS, HTTP/2 and gRPC.
    Encrypted,
    /// HTTP/3.
    Quic,
    /// Connections of TCP that are passed on as they are.
    Tcp,
    /// What guards cost.
    Guards,
}

impl Table {
    pub(crate) const ALL: [Self; 5] = [Self::Plain, Self::Encrypted, Self::Quic, Self::Tcp, Self::Guards];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Plain => "CPU per request",
            Self::Encrypted => "CPU per request, TLS 1.3 and HTTP/2",
            Self::Quic => "CPU per request, HTTP/3",
            Self::Tcp => "CPU per transfer, TCP",
            Self::Guards => "CPU per request, health, outliers, retries and limits switched on",
        }
    }

    /// Whom Usher is compared with.
    pub(crate) fn peers(self) -> &'static [Proxy] {
        match self {
            Self::Plain | Self::Encrypted | Self::Tcp => &[Proxy::Nginx, Proxy::Haproxy],
            Self::Guards => &[Proxy::Bare],
            // Neither of those in Debian 12 speaks HTTP/3.
            Self::Quic => &[Proxy::Caddy],
        }
    }
}

/// How clients come to a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// HTTP/1.1 over TCP.
    Http,
    /// The same, but the proxy does not know: it passes on bytes.
    Tcp,
    /// HTTP/1.1 over TLS.
    Https(Handshake),
    /// HTTP/2 over TLS.
    H2,
    /// HTTP/2 over TCP, known beforehand.
    H2c,
    /// HTTP/3.
    H3,
}

impl Door {
    pub(crate) fn is_encrypted(self) -> bool {
        !matches!(self, Self::Http | Self::Tcp | Self::H2c)
    }
}

/// Which TLS handshakes the client makes; anything else counts as an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handshake {
    /// Nothing is resumed; X25519.
    Full,
    /// A ticket of the connection before is used; X25519 nevertheless, for forward secrecy.
    Resumed,
    /// Nothing is resumed; X25519MLKEM768.
    PostQuantum,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Get {
        path: &'static str,
        size: usize,
    },
    /// On a connection of its own.
    GetAndClose {
        path: &'static str,
        size: usize,
    },
    Upload {
        size: usize,
    },
    /// One message there, one back; the endpoint speaks HTTP/2 without TLS.
    Grpc,
}

const GET_1K: Ask = Ask::Get { path: "/1k", size: KIB };
const GET_100K: Ask = Ask::Get { path: "/100k", size: 100 * KIB };
const GET_10M: Ask = Ask::Get { path: "/10m", size: 10 * MIB };
const GET_1K_AND_CLOSE: Ask = Ask::GetAndClose { path: "/1k", size: KIB };
const UPLOAD_1M: Ask = Ask::Upload { size: MIB };
const UPLOAD_10M: Ask = Ask::Upload { size: 10 * MIB };

/// How nginx and HAProxy are set for a work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tuning {
    /// Their defaults, and request bodies streamed.
    Usual,
    /// nginx stores a request body before it forwards it: its default.
    Spooled,
    /// Buffers and pipes as large as helps with large bodies, at the cost of memory per connection.
    LargeBodies,
}

impl Work {
    /// The request and the response that must come.
    pub(crate) fn job(&self) -> Job {
        match self.ask {
            Ask::Get { path, size } => Job::get(path, size, false),
            Ask::GetAndClose { path, size } if self.door == Door::Tcp => Job::get_unannounced(path, size),
            Ask::GetAndClose { path, size } => Job::get(path, size, true),
            Ask::Upload { size } => Job::upload(size),
            Ask::Grpc => Job::grpc(),
        }
    }

    /// Whether a proxy can do it: those in the table, but for what OpenSSL 3.0 does not know.
    pub(crate) fn is_for(&self, proxy: Proxy) -> bool {
        let peer = self.door != Door::Https(Handshake::PostQuantum) && self.table.peers().contains(&proxy);
        matches!(proxy, Proxy::Usher | Proxy::Before) || peer
    }
}

/// The work of that name.
pub(crate) fn named(name: &str) -> Option<&'static Work> {
    ALL.iter().find(|work| work.name == name)
}

/// What most works have in common.
const USUAL: Work = Work {
    name: "",
    what: "",
    table: Table::Plain,
    door: Door::Http,
    ask: GET_1K,
    connections: 16,
    streams: 1,
    requests: 80_000,
    goals: &[],
    tuning: Tuning::Usual,
    guarded: false,
};

const TCP: Work = Work { table: Table::Tcp, door: Door::Tcp, ..USUAL };

const HTTPS: Work = Work { table: Table::Encrypted, door: Door::Https(Handshake::Full), ..USUAL };

/// Two connections with 100 streams each: fewer requests at once than any proxy keeps connections to the endpoint.
const H2: Work = Work { door: Door::H2, connections: 2, streams: 100, ..HTTPS };

const H3: Work = Work { table: Table::Quic, door: Door::H3, connections: 2, ..USUAL };

/// Every work, in the order of the tables.
pub(crate) const ALL: &[Work] = &[
    Work {
        name: "1k-128",
        what: "1 KiB responses, keep-alive, 128 connections",
        connections: 128,
        goals: &[0.80, 0.75],
        ..USUAL
    },
    Work {
        name: "1k-16",
        what: "1 KiB responses, keep-alive, 16 connections",
        goals: &[0.85, 0.85],
        ..USUAL
    },
    Work {
        name: "new-connection",
        what: "a new client connection per request",
        ask: GET_1K_AND_CLOSE,
        connections: 64,
        requests: 30_000,
        goals: &[0.90, 0.85],
        ..USUAL
    },
    Work {
        name: "100k",
        what: "100 KiB responses",
        ask: GET_100K,
        connections: 64,
        requests: 12_000,
        goals: &[0.60, 0.85],
        ..USUAL
    },
    Work {
        name: "10m",
        what: "10 MiB responses",
        ask: GET_10M,
        requests: 120,
        goals: &[0.35, 0.50],
        ..USUAL
    },
    Work {
        name: "upload-1m",
        what: "1 MiB request bodies",
        ask: UPLOAD_1M,
        requests: 1_200,
        goals: &[0.60, 0.85],
        ..USUAL
    },
    Work {
        name: "upload-1m-spooled",
        what: "1 MiB request bodies, nginx spooling as it does unless told",
        ask: UPLOAD_1M,
        requests: 1_200,
        tuning: Tuning::Spooled,
        ..USUAL
    },
    Work {
        name: "100k-tuned",
        what: "100 KiB responses, peers with large buffers",
        ask: GET_100K,
        connections: 64,
        requests: 12_000,
        tuning: Tuning::LargeBodies,
        ..USUAL
    },
    Work {
        name: "10m-tuned",
        what: "10 MiB responses, peers with large buffers",
        ask: GET_10M,
        requests: 120,
        tuning: Tuning::LargeBodies,
        ..USUAL
    },
    Work {
        name: "upload-1m-tuned",
        what: "1 MiB request bodies, peers with large buffers",
        ask: UPLOAD_1M,
        requests: 1_200,
        tuning: Tuning::LargeBodies,
        ..USUAL
    },
    Work {
        name: "https-1k",
        what: "HTTPS, 1 KiB responses, keep-alive, 128 connections",
        connections: 128,
        requests: 60_000,
        goals: &[0.65, 0.75],
        ..HTTPS
    },
    Work {
        name: "handshake",
        what: "HTTPS, a new connection per request, full handshake",
        ask: GET_1K_AND_CLOSE,
        connections: 64,
        requests: 4_000,
        goals: &[0.75, 0.75],
        ..HTTPS
    },
    Work {
        name: "handshake-resumed",
        what: "HTTPS, a new connection per request, resumed by ticket",
        door: Door::Https(Handshake::Resumed),
        ask: GET_1K_AND_CLOSE,
        connections: 64,
        requests: 6_000,
        goals: &[0.90, 0.90],
        ..HTTPS
    },
    Work {
        name: "handshake-pq",
        what: "HTTPS, a new connection per request, full handshake with X25519MLKEM768",
        door: Door::Https(Handshake::PostQuantum),
        ask: GET_1K_AND_CLOSE,
        connections: 64,
        requests: 4_000,
        ..HTTPS
    },
    Work {
        name: "https-10m",
        what: "HTTPS, 10 MiB responses",
        ask: GET_10M,
        requests: 80,
        goals: &[0.75, 0.90],
        ..HTTPS
    },
    Work {
        name: "https-10m-tuned",
        what: "HTTPS, 10 MiB responses, peers with large buffers",
        ask: GET_10M,
        requests: 80,
        tuning: Tuning::LargeBodies,
        ..HTTPS
    },
    Work {
        name: "h2-1k",
        what: "HTTP/2 to HTTP/1.1, 1 KiB responses, 2 connections with 100 streams",
        requests: 60_000,
        goals: &[0.65, 0.75],
        ..H2
    },
    Work {
        name: "grpc",
        what: "gRPC, unary, HTTP/2 on both sides, 2 connections with 100 streams",
        ask: Ask::Grpc,
        requests: 40_000,
        goals: &[0.75, 0.90],
        ..H2
    },
    Work {
        name: "grpc-h2c",
        what: "gRPC, unary, the same without TLS",
        door: Door::H2c,
        ask: Ask::Grpc,
        requests: 40_000,
        ..H2
    },
    Work {
        name: "h3-1k",
        what: "HTTP/3 to HTTP/1.1, 1 KiB responses, 2 connections with 50 streams",
        streams: 50,
        requests: 20_000,
        goals: &[0.35],
        ..H3
    },
    Work {
        name: "h3-10m",
        what: "HTTP/3 to HTTP/1.1, 10 MiB responses, 2 connections with 2 streams",
        ask: GET_10M,
        streams: 2,
        requests: 32,
        goals: &[0.35],
        ..H3
    },
    Work {
        name: "tcp-10m",
        what: "10 MiB from the endpoint",
        ask: GET_10M,
        requests: 120,
        goals: &[0.80, 0.80],
        ..TCP
    },
    Work {
        name: "tcp-upload-10m",
        what: "10 MiB to the endpoint",
        ask: UPLOAD_10M,
        requests: 120,
        goals: &[0.80, 0.80],
        ..TCP
    },
    Work { name: "tcp-1k", what: "1 KiB there and back, on connections that stay", connections: 128, ..TCP },
    Work {
        name: "tcp-connection",
        what: "a connection for 1 KiB",
        ask: GET_1K_AND_CLOSE,
        connections: 64,
        requests: 20_000,
        ..TCP
    },
    Work {
        name: "1k-guarded",
        what: "1 KiB responses, keep-alive, 128 connections",
        table: Table::Guards,
        connections: 128,
        goals: &[1.03],
        guarded: true,
        ..USUAL
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_and_goals_fit_their_table() {
        for (index, work) in ALL.iter().enumerate() {
            assert!(ALL[..index].iter().all(|other| other.name != work.name), "{}", work.name);
            let fits = work.goals.is_empty() || work.goals.len() == work.table.peers().len();
            assert!(fits, "{}: {:?}", work.name, work.goals);
            assert!(work.is_for(Proxy::Usher), "{}", work.name);
            let single = matches!(work.door, Door::Http | Door::Tcp | Door::Https(_));
            assert!(work.streams == 1 || !single, "{}", work.name);
        }
    }

    #[test]
    fn only_usher_is_asked_for_what_the_others_cannot() {
        let all = |name: &str| {
            let work = named(name).unwrap();
            Proxy::ALL.into_iter().filter(|proxy| work.is_for(*proxy)).collect::<Vec<_>>()
        };
        assert_eq!(all("handshake-pq"), [Proxy::Usher]);
        assert_eq!(all("h3-1k"), [Proxy::Caddy, Proxy::Usher]);
        assert_eq!(all("h2-1k"), [Proxy::Nginx, Proxy::Haproxy, Proxy::Usher]);
        assert_eq!(all("1k-guarded"), [Proxy::Bare, Proxy::Usher]);
    }
}
