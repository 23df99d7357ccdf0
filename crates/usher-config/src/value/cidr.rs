//! Networks: `10.0.0.0/8`, `2001:db8::/32`, or one address.

use std::net::IpAddr;

use serde_json::json;

use super::ValueError;
use crate::decode::{Context, Decode};
use crate::document::Node;
use crate::schema::Schema;

/// A network of IPv4 or IPv6 addresses (RFC 4632, RFC 4291 section 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

/// An address as 128 bits, left-aligned, and how many of them count.
fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)) << 96, 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    }
}

fn mask(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    let kept = bits(address).0 & mask(prefix);
    match address {
        IpAddr::V4(_) => IpAddr::V4(u32::try_from(kept >> 96).unwrap_or(0).into()),
        IpAddr::V6(_) => IpAddr::V6(kept.into()),
    }
}

impl Cidr {
    /// The network's first address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits all addresses share.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether the network holds the address. An IPv4 address in IPv6 form (`::ffff:192.0.2.1`) counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.prefix) == self.address
    }
}

impl From<IpAddr> for Cidr {
    /// The network of one address.
    fn from(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, prefix: bits(address).1 }
    }
}

impl std::str::FromStr for Cidr {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (address, prefix) =
            text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let Ok(address) = address.parse::<IpAddr>() else {
            let error = ValueError::new(format!("`{text}` is not a network"));
            return Err(error.help("write it like `10.0.0.0/8`, `2001:db8::/32` or `192.0.2.1`"));
        };
        let Some(prefix) = prefix else { return Ok(address.into()) };
        let longest = bits(address).1;
        let plain = (1..=3).contains(&prefix.len()) && prefix.bytes().all(|byte| byte.is_ascii_digit());
        let length = prefix.parse::<u8>().ok().filter(|length| plain && *length <= longest);
        let Some(length) = length else {
            let error = ValueError::new(format!("`/{prefix}` is not a prefix length"));
            return Err(error.help(format!("it is a number from 0 to {longest}")));
        };
        let network = masked(address, length);
        if network != address {
            let error = ValueError::new(format!("`{text}` has bits set behind its prefix"));
            return Err(error.help(format!(
                "write `{network}/{length}` for the network, or `{address}` for the address"
            )));
        }
        Ok(Self::unmapped(address, length))
    }
}

impl Cidr {
    /// A network of IPv4 addresses in IPv6 form is one of IPv4.
    fn unmapped(address: IpAddr, prefix: u8) -> Self {
        match address.to_canonical() {
            IpAddr::V4(inner) if address.is_ipv6() && prefix >= 96 => {
                Self { address: inner.into(), prefix: prefix - 96 }
            }
            _ => Self { address, prefix },
        }
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Decode for Cidr {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        cx.parse(node, "a network such as `10.0.0.0/8`", str::parse)
    }

    fn schema() -> Schema {
        Schema::text("network").example("10.0.0.0/8").example("2001:db8::/32")
    }

    fn encode(&self) -> serde_json::Value {
        json!(self.to_string())
    }
}
