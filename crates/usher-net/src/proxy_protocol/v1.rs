//! Version 1: a line of text (section 2.1).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::{Details, Endpoints, Error, Header, MAX_V1_BYTES, Version};
use crate::address::canonical;

/// How every line starts.
pub(super) const SIGNATURE: &[u8] = b"PROXY ";

const MAX_REST_BYTES: usize = MAX_V1_BYTES - SIGNATURE.len();

/// Parses what follows the signature.
pub(super) fn parse(rest: &[u8]) -> Result<Option<Header>, Error> {
    let Some(line) = line(rest)? else { return Ok(None) };
    let endpoints = endpoints(line)?;
    let consumed = SIGNATURE.len() + line.len() + b"\r\n".len();
    Ok(Some(Header { consumed, version: Version::V1, endpoints, details: Details::default() }))
}

/// The text before CRLF. No other CR or LF may be in reach: what is one line to us must be one to everybody.
fn line(rest: &[u8]) -> Result<Option<&[u8]>, Error> {
    // The CR must leave room for its LF.
    let reach = rest.get(..MAX_REST_BYTES - 1).unwrap_or(rest);
    match reach.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
        None if reach.len() == MAX_REST_BYTES - 1 => Err(Error::TooLong),
        None => Ok(None),
        Some(end) => match &rest[end..] {
            [b'\r', b'\n', ..] => Ok(Some(&rest[..end])),
            [b'\r'] => Ok(None),
            _ => Err(Error::MalformedLine),
        },
    }
}

fn endpoints(line: &[u8]) -> Result<Endpoints, Error> {
    let mut words = line.split(|byte| *byte == b' ');
    match words.next() {
        // What follows is to be ignored.
        Some(b"UNKNOWN") => Ok(Endpoints::Own),
        Some(b"TCP4") => tcp::<Ipv4Addr>(words),
        Some(b"TCP6") => tcp::<Ipv6Addr>(words),
        _ => Err(Error::UnknownProtocol),
    }
}

fn tcp<'a, Ip: FromStr + Into<IpAddr>>(
    mut words: impl Iterator<Item = &'a [u8]>,
) -> Result<Endpoints, Error> {
    let mut word = || words.next().ok_or(Error::MalformedLine);
    let (source, destination) = (word()?, word()?);
    let (source_port, destination_port) = (word()?, word()?);
    if words.next().is_some() {
        return Err(Error::MalformedLine);
    }
    let source = SocketAddr::new(ip::<Ip>(source)?, port(source_port)?);
    let destination = SocketAddr::new(ip::<Ip>(destination)?, port(destination_port)?);
    Ok(Endpoints::Tcp { source: canonical(source), destination: canonical(destination) })
}

/// The standard library refuses leading zeros, zones and other spellings.
fn ip<Ip: FromStr + Into<IpAddr>>(word: &[u8]) -> Result<IpAddr, Error> {
    let word = str::from_utf8(word).map_err(|_| Error::BadAddress)?;
    word.parse::<Ip>().map(Into::into).map_err(|_| Error::BadAddress)
}

fn port(word: &[u8]) -> Result<u16, Error> {
    let leading_zero = matches!(word, [b'0', _, ..]);
    if leading_zero || !word.iter().all(u8::is_ascii_digit) {
        return Err(Error::BadPort);
    }
    let word = str::from_utf8(word).map_err(|_| Error::BadPort)?;
    word.parse().map_err(|_| Error::BadPort)
}
