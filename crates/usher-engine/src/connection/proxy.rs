//! The PROXY header in front of a connection, from load balancers that are trusted.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};

use usher_net::Transport;
use usher_net::proxy_protocol::{self, MAX_V2_BYTES, Parsed};

use crate::snapshot::ProxyRule;

/// Reads the header; bytes behind it are left in `ahead`. Gives the client's and our own address, if it says so.
///
/// A peer that is not trusted is served as what it is, without looking for a header: if it sends one, that is no
/// request, and it is answered with 400.
pub(super) async fn read<T: Transport>(
    stream: &mut T,
    rule: &ProxyRule,
    peer: Option<IpAddr>,
    ahead: &mut Vec<u8>,
) -> Result<Option<(SocketAddr, SocketAddr)>, ()> {
    if !rule.trusts(peer) {
        return Ok(None);
    }
    let mut buffer = [0; 512];
    loop {
        match proxy_protocol::parse(ahead) {
            Ok(Parsed::Header(header)) => {
                ahead.drain(..header.consumed);
                return Ok(header.source());
            }
            Ok(Parsed::Absent) if rule.required => return Err(()),
            Ok(Parsed::Absent) => return Ok(None),
            Ok(Parsed::NeedMore) if ahead.len() <= MAX_V2_BYTES => {}
            Ok(Parsed::NeedMore) | Err(_) => return Err(()),
        }
        match poll_fn(|cx| stream.poll_read(cx, &mut buffer)).await {
            Ok(len) if len > 0 => ahead.extend_from_slice(&buffer[..len]),
            _ => return Err(()),
        }
    }
}
