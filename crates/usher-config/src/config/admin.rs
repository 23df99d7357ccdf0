//! `admin`

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::json;

use crate::decode::{Context, Decode, Spanned};
use crate::document::Node;
use crate::schema::Schema;
use crate::value::BindAddress;

/// Whether there is an admin listener.
#[derive(Debug, Clone)]
pub enum Admin {
    /// None.
    Off,
    /// There is.
    On(AdminListener),
}

crate::section! {
    /// The listener for metrics, health and control.
    #[bare(bind)]
    pub default struct AdminListener {
        /// Where it listens.
        pub bind: Spanned<BindAddress> = Spanned::nowhere(loopback()),
    }
}

fn loopback() -> BindAddress {
    BindAddress::Socket(SocketAddr::from((Ipv4Addr::LOCALHOST, 9180)))
}

impl Default for Admin {
    fn default() -> Self {
        Self::On(AdminListener::default())
    }
}

impl Decode for Admin {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        match node.as_str() {
            Some("off") => Some(Self::Off),
            _ => AdminListener::decode(node, cx).map(Self::On),
        }
    }

    fn schema() -> Schema {
        Schema::any_of(vec![Schema::names(&[("off", "No admin listener.")]), AdminListener::schema()])
    }

    fn encode(&self) -> serde_json::Value {
        match self {
            Self::Off => json!("off"),
            Self::On(listener) => listener.bind.encode(),
        }
    }
}
