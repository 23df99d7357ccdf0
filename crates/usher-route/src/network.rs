//! Address ranges.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An address or a network in CIDR notation (RFC 4632, section 3.1). An IPv4-mapped IPv6 address
/// (RFC 4291, section 2.5.5.2) counts as the IPv4 address in it, both here and in what is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    base: IpAddr,
    /// How many leading bits count: up to 32 for IPv4, up to 128 for IPv6.
    length: u8,
}

/// Why a text is not a [`Network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkError {
    /// The part before the `/` is not an address.
    Address,
    /// The part after the `/` is not a number of bits that such an address has.
    Length,
    /// Bits behind the prefix are set; the network that was probably meant.
    HostBits(Network),
}

impl Network {
    /// Reads `10.0.0.0/8`, `2001:db8::/32`, or a single address.
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let given: IpAddr = address.parse().map_err(|_| NetworkError::Address)?;
        let width = width(given);
        let length = match length {
            None => width,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().ok().filter(|l| *l <= width).ok_or(NetworkError::Length)?
            }
            Some(_) => return Err(NetworkError::Length),
        };
        let (base, length) = match given.to_canonical() {
            IpAddr::V4(mapped) if given.is_ipv6() && length >= 96 => (IpAddr::V4(mapped), length - 96),
            _ => (given, length),
        };
        let network = Self { base: truncate(base, length), length };
        if network.base == base { Ok(network) } else { Err(NetworkError::HostBits(network)) }
    }

    /// Whether `address` lies in the network.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.base.is_ipv4() && truncate(address, self.length) == self.base
    }

    /// What a hash table of networks is asked for; two networks share a key only if they are equal.
    pub(crate) fn key(&self) -> [u8; 18] {
        let mut key = [0; 18];
        key[0] = u8::from(self.base.is_ipv4());
        key[1] = self.length;
        match self.base {
            IpAddr::V4(a) => key[2..6].copy_from_slice(&a.octets()),
            IpAddr::V6(a) => key[2..].copy_from_slice(&a.octets()),
        }
        key
    }

    /// Of a key: whether the network is one of IPv4, and how many bits of an address count.
    pub(crate) fn shape(key: &[u8]) -> Option<(bool, u8)> {
        match key {
            [ipv4, length, ..] => Some((*ipv4 == 1, *length)),
            _ => None,
        }
    }

    /// The network of the given shape around `address`, if the address is of that family.
    pub(crate) fn around(address: IpAddr, (ipv4, length): (bool, u8)) -> Option<Self> {
        let address = address.to_canonical();
        (address.is_ipv4() == ipv4).then(|| Self { base: truncate(address, length), length })
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// `address` with all but its first `length` bits cleared.
fn truncate(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(a) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(a.to_bits() & mask))
        }
        IpAddr::V6(a) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(a.to_bits() & mask))
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        Self::parse(text)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.length == width(self.base) {
            write!(f, "{}", self.base)
        } else {
            write!(f, "{}/{}", self.base, self.length)
        }
    }
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => {
                f.write_str("not an address; write `10.0.0.0/8`, `2001:db8::/32` or one address")
            }
            Self::Length => {
                f.write_str("the prefix length is a number up to 32 for IPv4 and up to 128 for IPv6")
            }
            Self::HostBits(meant) => write!(f, "bits behind the prefix are set; write `{meant}`"),
        }
    }
}

impl std::error::Error for NetworkError {}
