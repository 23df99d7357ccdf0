//! Who is trusted: networks, and whoever comes through a Unix socket.

use std::net::IpAddr;

use serde_json::json;

use super::{Cidr, ValueError};
use crate::decode::{Context, Decode};
use crate::document::Node;
use crate::schema::Schema;

/// The word for a peer on a Unix socket.
const UNIX: &str = "unix";

/// Peers that are trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrustedPeer {
    /// Those of a network.
    Network(Cidr),
    /// Those that connect through a Unix socket. The permissions of the socket say who can.
    Unix,
}

impl TrustedPeer {
    /// Whether it covers a peer: its address, or none if it came through a Unix socket.
    pub fn covers(&self, peer: Option<IpAddr>) -> bool {
        match (self, peer) {
            (Self::Network(network), Some(address)) => network.contains(address),
            (Self::Unix, None) => true,
            _ => false,
        }
    }
}

impl std::str::FromStr for TrustedPeer {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            UNIX => Ok(Self::Unix),
            _ if text.starts_with("unix:") => {
                let error = ValueError::new(format!("`{text}` is not a network"));
                Err(error.help("write `unix`, without a path: it stands for all peers on Unix sockets"))
            }
            _ => text.parse().map(Self::Network),
        }
    }
}

impl std::fmt::Display for TrustedPeer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::Unix => f.write_str(UNIX),
        }
    }
}

impl Decode for TrustedPeer {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        cx.parse(node, "a network such as `10.0.0.0/8`, or `unix`", str::parse)
    }

    fn schema() -> Schema {
        let unix = Schema::names(&[(UNIX, "Whoever connects through a Unix socket.")]);
        Schema::any_of(vec![Cidr::schema(), unix])
    }

    fn encode(&self) -> serde_json::Value {
        json!(self.to_string())
    }
}
