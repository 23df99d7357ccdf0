//! The section `rate_limit`.

use usher_config::{Context, Decode, Node, Rate, Schema, Spanned, ValueError};
use usher_http::fields::is_token;

usher_config::section! {
    /// Limits how many requests each client may send in a time.
    #[bare(rate)]
    pub struct RateLimit {
        /// How many requests a client may send in the long run.
        pub rate: Spanned<Rate>,
        /// How many requests a client may send at once after a pause. Without it, the number in `rate`.
        #[range(1..=1_000_000_000)]
        pub burst: Option<u32>,
        /// What is counted: `client_ip`, `header:NAME`, or `route` for all requests of the route together.
        pub per: Per = Per::ClientIp,
        /// How many leading bits of an IPv6 address count: one customer has a whole network of them.
        #[range(32..=128)]
        pub ipv6_prefix: u8 = 64,
        /// How many clients are told apart. When there are more, the one whose limit is restored first is forgotten.
        #[range(1..=10_000_000)]
        pub size: u32 = 100_000,
        /// The status of a refusal.
        #[range(400..=599)]
        pub status: u16 = 429,
        /// Adds `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset` to responses.
        pub headers: bool = false,
        /// A name: routes with the same name and the same limit count together.
        pub name: Option<String>,
    }
}

/// What requests are counted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Per {
    /// The client's address.
    ClientIp,
    /// The value of a field, or each of them if it is repeated; the client's address where it is missing.
    Header(String),
    /// All together.
    Route,
}

impl std::str::FromStr for Per {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "client_ip" => return Ok(Self::ClientIp),
            "route" => return Ok(Self::Route),
            _ => {}
        }
        let unknown = || ValueError::new(format!("`{text}` is nothing that requests are counted by"));
        let Some(name) = text.strip_prefix("header:") else {
            return Err(match usher_config::closest(text, ["client_ip", "route", "header:NAME"]) {
                Some(near) => unknown().help(format!("did you mean `{near}`?")),
                None => unknown().help("write `client_ip`, `header:NAME` or `route`"),
            });
        };
        if !is_token(name.as_bytes()) {
            return Err(
                unknown().help("write the name of a field behind `header:`, as in `header:X-Api-Key`")
            );
        }
        Ok(Self::Header(name.to_owned()))
    }
}

impl std::fmt::Display for Per {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ClientIp => f.write_str("client_ip"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Route => f.write_str("route"),
        }
    }
}

impl Decode for Per {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        cx.parse(node, "`client_ip`, `header:NAME` or `route`", str::parse)
    }

    fn schema() -> Schema {
        Schema::text("what requests are counted by")
            .example("client_ip")
            .example("header:X-Api-Key")
            .example("route")
    }

    fn encode(&self) -> usher_config::serde_json::Value {
        self.to_string().into()
    }
}
