//! Version 2: binary (section 2.2).

use std::ffi::OsStr;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::{Details, Endpoints, Error, Header, Version, tlv};
use crate::address::canonical;

/// How every header starts.
pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and transport, length.
pub(super) const FIXED_BYTES: usize = 16;
/// Most bytes after the fixed part that are accepted.
pub(super) const MAX_PAYLOAD_BYTES: usize = 4096;
/// Bytes of one path in the UNIX address block.
pub(super) const UNIX_PATH_BYTES: usize = 108;

const LOCAL: u8 = 0;
const PROXY: u8 = 1;

/// Parses what follows the signature. Each byte is judged as soon as it is there.
pub(super) fn parse(rest: &[u8]) -> Result<Option<Header>, Error> {
    let Some((&version_command, rest)) = rest.split_first() else { return Ok(None) };
    let command = command(version_command)?;
    let Some((&family, rest)) = rest.split_first() else { return Ok(None) };
    let family = Family::of(family, command)?;
    let Some((length, rest)) = rest.split_first_chunk() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes(*length));
    if length > MAX_PAYLOAD_BYTES {
        return Err(Error::TooLong);
    }
    if length < family.bytes() {
        return Err(Error::Truncated);
    }
    let Some(payload) = rest.get(..length) else { return Ok(None) };
    let (endpoints, details) = family.parse(version_command, payload)?;
    Ok(Some(Header { consumed: FIXED_BYTES + length, version: Version::V2, endpoints, details }))
}

fn command(version_command: u8) -> Result<u8, Error> {
    match (version_command >> 4, version_command & 0x0f) {
        (2, command @ (LOCAL | PROXY)) => Ok(command),
        (2, command) => Err(Error::UnknownCommand(command)),
        (version, _) => Err(Error::UnknownVersion(version)),
    }
}

/// The family and transport byte, of which only these values are defined (section 2.2).
#[derive(Debug, Clone, Copy)]
enum Family {
    /// LOCAL or UNSPEC: the whole block is skipped.
    Ignored,
    Tcp4,
    Udp4,
    Tcp6,
    Udp6,
    Unix(u8),
}

impl Family {
    fn of(byte: u8, command: u8) -> Result<Self, Error> {
        Ok(match byte {
            // "The receiver must discard the protocol block including the family which is ignored".
            _ if command == LOCAL => Self::Ignored,
            0x00 => Self::Ignored,
            0x11 => Self::Tcp4,
            0x12 => Self::Udp4,
            0x21 => Self::Tcp6,
            0x22 => Self::Udp6,
            0x31 | 0x32 => Self::Unix(byte),
            _ => return Err(Error::UnknownFamily(byte)),
        })
    }

    fn byte(self) -> u8 {
        match self {
            Self::Ignored => 0x00,
            Self::Tcp4 => 0x11,
            Self::Udp4 => 0x12,
            Self::Tcp6 => 0x21,
            Self::Udp6 => 0x22,
            Self::Unix(byte) => byte,
        }
    }

    /// Length of the address block.
    fn bytes(self) -> usize {
        match self {
            Self::Ignored => 0,
            Self::Tcp4 | Self::Udp4 => 12,
            Self::Tcp6 | Self::Udp6 => 36,
            Self::Unix(_) => 2 * UNIX_PATH_BYTES,
        }
    }

    fn parse(self, version_command: u8, payload: &[u8]) -> Result<(Endpoints, Details), Error> {
        let endpoints = match self {
            Self::Ignored => return Ok((Endpoints::Own, Details::default())),
            Self::Tcp4 | Self::Tcp6 => {
                let (source, destination) = self.ip(payload).ok_or(Error::Truncated)?;
                Endpoints::Tcp { source, destination }
            }
            Self::Udp4 | Self::Udp6 => {
                let (source, destination) = self.ip(payload).ok_or(Error::Truncated)?;
                Endpoints::Udp { source, destination }
            }
            Self::Unix(_) => {
                let (source, rest) = payload.split_at_checked(UNIX_PATH_BYTES).ok_or(Error::Truncated)?;
                let destination = rest.get(..UNIX_PATH_BYTES).ok_or(Error::Truncated)?;
                Endpoints::Unix { source: path(source), destination: path(destination) }
            }
        };
        let [high, low] = u16::try_from(payload.len()).map_err(|_| Error::TooLong)?.to_be_bytes();
        let fixed = [version_command, self.byte(), high, low];
        let (addresses, tlvs) = payload.split_at_checked(self.bytes()).ok_or(Error::Truncated)?;
        Ok((endpoints, tlv::parse(&[SIGNATURE, &fixed, addresses], tlvs)?))
    }

    fn ip(self, block: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
        let (source, destination, ports) = if matches!(self, Self::Tcp4 | Self::Udp4) {
            let (source, rest) = block.split_first_chunk::<4>()?;
            let (destination, ports) = rest.split_first_chunk::<4>()?;
            (Ipv4Addr::from(*source).into(), Ipv4Addr::from(*destination).into(), ports)
        } else {
            let (source, rest) = block.split_first_chunk::<16>()?;
            let (destination, ports) = rest.split_first_chunk::<16>()?;
            (Ipv6Addr::from(*source).into(), Ipv6Addr::from(*destination).into(), ports)
        };
        let (source_port, ports) = ports.split_first_chunk::<2>()?;
        let (destination_port, _) = ports.split_first_chunk::<2>()?;
        let end = |ip, port: &[u8; 2]| canonical(SocketAddr::new(ip, u16::from_be_bytes(*port)));
        Some((end(source, source_port), end(destination, destination_port)))
    }
}

/// A path, which ends at the first NUL.
fn path(block: &[u8]) -> PathBuf {
    let end = block.iter().position(|byte| *byte == 0).unwrap_or(block.len());
    PathBuf::from(OsStr::from_bytes(&block[..end]))
}
