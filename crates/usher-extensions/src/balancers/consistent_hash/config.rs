//! The section of `consistent_hash`.

use usher_config::{Context, Decode, Node, Schema, ValueError};
use usher_http::fields::is_token;

usher_config::section! {
    /// Something of the request settles the endpoint, and few requests change theirs when endpoints come and go.
    pub default struct ConsistentHash {
        /// What requests are told apart by: `client_ip`, `path`, `header:NAME`, `cookie:NAME` or `query:NAME`.
        pub key: Key = Key::ClientIp,
        /// How keys are spread over endpoints.
        pub algorithm: Algorithm = Algorithm::Maglev,
        /// What settles the endpoint of requests without the key.
        pub without_key: WithoutKey = WithoutKey::Random,
        /// An endpoint may have so many times its share of the requests under way; when it has them, the key's next
        /// endpoint is asked. `1.25` is a good value. Without it, there is no bound.
        #[range(1.05..=10.0)]
        pub bounded_load: Option<f64>,
    }
}

usher_config::names! {
    /// How keys are spread over endpoints.
    pub enum Algorithm {
        /// A table in which each endpoint has slots by its weight, nearly exactly.
        Maglev = "maglev",
        /// A ring on which each endpoint has points by its weight. When an endpoint leaves, no key moves but its own;
        /// shares are less even.
        Ring = "ring",
    }
}

usher_config::names! {
    /// What settles the endpoint of requests without the key.
    pub enum WithoutKey {
        /// Nothing: they go anywhere, by weight.
        Random = "random",
        /// The client's address.
        ClientIp = "client_ip",
    }
}

/// What requests are told apart by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// The client's address; of IPv6 the network of 64 bits.
    ClientIp,
    /// The path, without the query.
    Path,
    /// The first value of a field.
    Header(String),
    /// A cookie.
    Cookie(String),
    /// The first value of a parameter of the query, as it is written there.
    Query(String),
}

/// Makes a key of a name.
type Named = fn(String) -> Key;

/// What may stand in front of a name.
const PREFIXES: [(&str, Named); 3] =
    [("header:", Key::Header), ("cookie:", Key::Cookie), ("query:", Key::Query)];

const WRITTEN: &str = "`client_ip`, `path`, `header:NAME`, `cookie:NAME` or `query:NAME`";

impl std::str::FromStr for Key {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "client_ip" => return Ok(Self::ClientIp),
            "path" => return Ok(Self::Path),
            _ => {}
        }
        let unknown = || ValueError::new(format!("`{text}` is nothing that requests are told apart by"));
        let found = PREFIXES.iter().find_map(|(prefix, key)| Some((prefix, key, text.strip_prefix(prefix)?)));
        let Some((prefix, key, name)) = found else {
            let (kind, name) = text.split_once(':').unwrap_or((text, ""));
            let all = ["client_ip", "path", "header", "cookie", "query"];
            return Err(match usher_config::closest(kind, all) {
                Some(near @ ("client_ip" | "path")) => unknown().help(format!("did you mean `{near}`?")),
                Some(near) if name.is_empty() => unknown().help(format!("did you mean `{near}:NAME`?")),
                Some(near) => unknown().help(format!("did you mean `{near}:{name}`?")),
                None => unknown().help(format!("write {WRITTEN}")),
            });
        };
        let fits = if *prefix == "query:" { !name.is_empty() } else { is_token(name.as_bytes()) };
        match fits {
            true => Ok(key(name.to_owned())),
            false => Err(unknown().help(format!("write a name behind `{prefix}`, as in `{prefix}user`"))),
        }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ClientIp => f.write_str("client_ip"),
            Self::Path => f.write_str("path"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
            Self::Query(name) => write!(f, "query:{name}"),
        }
    }
}

impl Decode for Key {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        cx.parse(node, WRITTEN, str::parse)
    }

    fn schema() -> Schema {
        Schema::text("what requests are told apart by")
            .example("client_ip")
            .example("path")
            .example("header:X-Tenant")
            .example("cookie:session")
            .example("query:user")
    }

    fn encode(&self) -> usher_config::serde_json::Value {
        self.to_string().into()
    }
}
