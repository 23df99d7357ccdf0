//! The works: what is asked of each proxy, how often, and the goals.

use crate::load::Job;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

enum Kind {
    Get { path: &'static str, size: usize },
    GetAndClose { path: &'static str, size: usize },
    Upload { size: usize },
}

/// One row of the table.
pub(crate) struct Work {
    /// What `--only` calls it.
    pub(crate) name: &'static str,
    /// What the table calls it.
    pub(crate) what: &'static str,
    kind: Kind,
    /// Client connections that are busy at once.
    pub(crate) connections: usize,
    /// Requests of one window: about a second of the slowest proxy's CPU.
    pub(crate) requests: u64,
    /// What Usher may cost as a share of nginx's and of HAProxy's cost.
    pub(crate) goals: Option<[f64; 2]>,
    /// How the peers are set; Usher is always as it comes.
    pub(crate) tuning: Tuning,
}

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
        match self.kind {
            Kind::Get { path, size } => Job::get(path, size, false),
            Kind::GetAndClose { path, size } => Job::get(path, size, true),
            Kind::Upload { size } => Job::upload(size),
        }
    }
}

/// The work of that name.
pub(crate) fn named(name: &str) -> Option<&'static Work> {
    ALL.iter().find(|work| work.name == name)
}

/// Every work, in the order of the table.
pub(crate) const ALL: &[Work] = &[
    Work {
        name: "1k-128",
        what: "1 KiB responses, keep-alive, 128 connections",
        kind: Kind::Get { path: "/1k", size: KIB },
        connections: 128,
        requests: 80_000,
        goals: Some([0.80, 0.75]),
        tuning: Tuning::Usual,
    },
    Work {
        name: "1k-16",
        what: "1 KiB responses, keep-alive, 16 connections",
        kind: Kind::Get { path: "/1k", size: KIB },
        connections: 16,
        requests: 80_000,
        goals: Some([0.85, 0.85]),
        tuning: Tuning::Usual,
    },
    Work {
        name: "new-connection",
        what: "a new client connection per request",
        kind: Kind::GetAndClose { path: "/1k", size: KIB },
        connections: 64,
        requests: 30_000,
        goals: Some([0.90, 0.85]),
        tuning: Tuning::Usual,
    },
    Work {
        name: "100k",
        what: "100 KiB responses",
        kind: Kind::Get { path: "/100k", size: 100 * KIB },
        connections: 64,
        requests: 12_000,
        goals: Some([0.60, 0.85]),
        tuning: Tuning::Usual,
    },
    Work {
        name: "10m",
        what: "10 MiB responses",
        kind: Kind::Get { path: "/10m", size: 10 * MIB },
        connections: 16,
        requests: 120,
        goals: Some([0.35, 0.50]),
        tuning: Tuning::Usual,
    },
    Work {
        name: "upload-1m",
        what: "1 MiB request bodies",
        kind: Kind::Upload { size: MIB },
        connections: 16,
        requests: 1_200,
        goals: Some([0.60, 0.85]),
        tuning: Tuning::Usual,
    },
    Work {
        name: "upload-1m-spooled",
        what: "1 MiB request bodies, nginx spooling as it does unless told",
        kind: Kind::Upload { size: MIB },
        connections: 16,
        requests: 1_200,
        goals: None,
        tuning: Tuning::Spooled,
    },
    Work {
        name: "100k-tuned",
        what: "100 KiB responses, peers with large buffers",
        kind: Kind::Get { path: "/100k", size: 100 * KIB },
        connections: 64,
        requests: 12_000,
        goals: None,
        tuning: Tuning::LargeBodies,
    },
    Work {
        name: "10m-tuned",
        what: "10 MiB responses, peers with large buffers",
        kind: Kind::Get { path: "/10m", size: 10 * MIB },
        connections: 16,
        requests: 120,
        goals: None,
        tuning: Tuning::LargeBodies,
    },
    Work {
        name: "upload-1m-tuned",
        what: "1 MiB request bodies, peers with large buffers",
        kind: Kind::Upload { size: MIB },
        connections: 16,
        requests: 1_200,
        goals: None,
        tuning: Tuning::LargeBodies,
    },
];
