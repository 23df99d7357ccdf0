//! Writing headers, for endpoints that want to know the client.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::v2::{MAX_PAYLOAD_BYTES, SIGNATURE, UNIX_PATH_BYTES};
use super::{Details, Endpoints, Error, MAX_UNIQUE_ID_BYTES, Shown, tlv};

/// Appends a version 1 header. What version 1 cannot say (UDP, Unix sockets, one's own connection) is `UNKNOWN`;
/// an IPv4 and an IPv6 address together are both written as IPv6.
pub fn encode_v1(endpoints: &Endpoints, out: &mut Vec<u8>) {
    // Writing to a vector cannot fail.
    let _ = match endpoints {
        Endpoints::Tcp { source, destination } => match pair(*source, *destination) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                write!(out, "PROXY TCP4 {from} {to} {} {}\r\n", source.port(), destination.port())
            }
            (from, to) => write!(out, "PROXY TCP6 {from} {to} {} {}\r\n", source.port(), destination.port()),
        },
        _ => out.write_all(b"PROXY UNKNOWN\r\n"),
    };
}

/// Appends a version 2 header; with `checksum`, one that the receiver can verify. [`Endpoints::Own`] becomes LOCAL,
/// which carries no details.
///
/// # Errors
/// When a path, an authority or an id is longer than the protocol or [`MAX_V2_BYTES`](super::MAX_V2_BYTES) allow, or
/// would be refused by [`parse`](super::parse); nothing is appended then.
pub fn encode_v2(
    endpoints: &Endpoints,
    details: &Details,
    checksum: bool,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let mut addresses = Vec::with_capacity(36);
    let (command, family) = match endpoints {
        Endpoints::Own => (0x20, 0x00),
        Endpoints::Tcp { source, destination } => {
            (0x21, 0x01 | ip_block(*source, *destination, &mut addresses))
        }
        Endpoints::Udp { source, destination } => {
            (0x21, 0x02 | ip_block(*source, *destination, &mut addresses))
        }
        Endpoints::Unix { source, destination } => {
            unix_path(source, &mut addresses)?;
            unix_path(destination, &mut addresses)?;
            (0x21, 0x31)
        }
    };
    let mut tlvs = Vec::new();
    if *endpoints != Endpoints::Own {
        write_details(details, &mut tlvs)?;
    }
    let sum_at = tlvs.len() + 3;
    if checksum {
        write_tlv(tlv::CRC32C, &[0; 4], &mut tlvs)?;
    }
    let length = addresses.len() + tlvs.len();
    if length > MAX_PAYLOAD_BYTES {
        return Err(Error::TooLong);
    }
    let [high, low] = u16::try_from(length).map_err(|_| Error::TooLong)?.to_be_bytes();
    let fixed = [command, family, high, low];
    if checksum {
        let sum = tlv::sum(&[SIGNATURE, &fixed, &addresses], &tlvs, sum_at);
        tlvs.truncate(sum_at);
        tlvs.extend_from_slice(&sum.to_be_bytes());
    }
    for part in [SIGNATURE, &fixed, &addresses, &tlvs] {
        out.extend_from_slice(part);
    }
    Ok(())
}

/// Both addresses in one family.
fn pair(source: SocketAddr, destination: SocketAddr) -> (IpAddr, IpAddr) {
    let wide = |ip| match ip {
        IpAddr::V4(ip) => IpAddr::V6(ip.to_ipv6_mapped()),
        IpAddr::V6(_) => ip,
    };
    match (source.ip(), destination.ip()) {
        (from, to) if from.is_ipv4() == to.is_ipv4() => (from, to),
        (from, to) => (wide(from), wide(to)),
    }
}

/// Appends an address block and returns the bits of its family.
fn ip_block(source: SocketAddr, destination: SocketAddr, out: &mut Vec<u8>) -> u8 {
    let (from, to) = pair(source, destination);
    for ip in [from, to] {
        match ip {
            IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
        }
    }
    out.extend_from_slice(&source.port().to_be_bytes());
    out.extend_from_slice(&destination.port().to_be_bytes());
    if from.is_ipv4() { 0x10 } else { 0x20 }
}

fn unix_path(path: &Path, out: &mut Vec<u8>) -> Result<(), Error> {
    let path = path.as_os_str().as_bytes();
    let padding = UNIX_PATH_BYTES.checked_sub(path.len()).ok_or(Error::BadAddress)?;
    if path.contains(&0) {
        return Err(Error::BadAddress);
    }
    out.extend_from_slice(path);
    out.resize(out.len() + padding, 0);
    Ok(())
}

fn write_details(details: &Details, out: &mut Vec<u8>) -> Result<(), Error> {
    if let Some(alpn) = &details.alpn {
        write_tlv(tlv::ALPN, alpn, out)?;
    }
    if let Some(authority) = &details.authority {
        tlv::authority(authority.as_bytes())?;
        write_tlv(tlv::AUTHORITY, authority.as_bytes(), out)?;
    }
    if let Some(id) = &details.unique_id {
        if id.len() > MAX_UNIQUE_ID_BYTES {
            return Err(Error::BadTlv(tlv::UNIQUE_ID));
        }
        write_tlv(tlv::UNIQUE_ID, id, out)?;
    }
    if details.over_tls {
        // Section 2.2.6: `verify` is 0 only where a certificate was shown, and was good.
        let (bits, verify) = match details.certificate {
            Some(Shown::Now) => (tlv::CLIENT_CERT_CONN | tlv::CLIENT_CERT_SESS, 0),
            Some(Shown::Before) => (tlv::CLIENT_CERT_SESS, 0),
            None => (0, 1),
        };
        write_tlv(tlv::SSL, &[tlv::CLIENT_SSL | bits, 0, 0, 0, verify], out)?;
    }
    Ok(())
}

fn write_tlv(kind: u8, value: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let length = u16::try_from(value.len()).map_err(|_| Error::TooLong)?;
    out.push(kind);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(value);
    Ok(())
}
