//! What follows the addresses in version 2: type, length, value (section 2.2.1 and after).

use super::crc32c::Crc32c;
use super::{Details, Error, MAX_UNIQUE_ID_BYTES, Shown};

pub(super) const ALPN: u8 = 0x01;
pub(super) const AUTHORITY: u8 = 0x02;
pub(super) const CRC32C: u8 = 0x03;
pub(super) const UNIQUE_ID: u8 = 0x05;
pub(super) const SSL: u8 = 0x20;
/// Bit of the first byte of an SSL value: the client came over TLS.
pub(super) const CLIENT_SSL: u8 = 0x01;
/// The client showed a certificate in this connection.
pub(super) const CLIENT_CERT_CONN: u8 = 0x02;
/// The client showed a certificate in a connection of this session, perhaps an earlier one.
pub(super) const CLIENT_CERT_SESS: u8 = 0x04;
/// Bytes of an SSL value before its own TLVs: the bits and the result of the verification.
pub(super) const SSL_FIXED_BYTES: usize = 5;

/// Parses `tlvs`, which follow the bytes of `before` in the header, and checks the checksum over all of it.
pub(super) fn parse(before: &[&[u8]], tlvs: &[u8]) -> Result<Details, Error> {
    let mut details = Details::default();
    let mut checksum = None;
    let mut rest = tlvs;
    while let Some(Tlv { kind, value, after }) = next(rest)? {
        match kind {
            ALPN => once(kind, &mut details.alpn, value.to_vec())?,
            AUTHORITY => once(kind, &mut details.authority, authority(value)?)?,
            UNIQUE_ID if value.len() > MAX_UNIQUE_ID_BYTES => return Err(Error::BadTlv(kind)),
            UNIQUE_ID => once(kind, &mut details.unique_id, value.to_vec())?,
            CRC32C => {
                let value: [u8; 4] = value.try_into().map_err(|_| Error::BadTlv(kind))?;
                // Where the value starts, as the checksum counts these four bytes as zeros.
                let start = tlvs.len() - after.len() - value.len();
                once(kind, &mut checksum, (start, u32::from_be_bytes(value)))?;
            }
            SSL if value.len() < SSL_FIXED_BYTES => return Err(Error::BadTlv(kind)),
            SSL => {
                let bits = value.first().copied().unwrap_or(0);
                details.over_tls |= bits & CLIENT_SSL != 0;
                details.certificate = details.certificate.or(shown(bits, &value[1..SSL_FIXED_BYTES]));
            }
            // NOOP, NETNS, custom and future types.
            _ => {}
        }
        rest = after;
    }
    match checksum {
        Some((start, expected)) if sum(before, tlvs, start) != expected => Err(Error::BadChecksum),
        _ => Ok(details),
    }
}

/// The certificate that an SSL value tells of: only where it was verified, which zeros say.
fn shown(bits: u8, verify: &[u8]) -> Option<Shown> {
    match bits {
        _ if bits & CLIENT_SSL == 0 || verify != [0; 4] => None,
        _ if bits & CLIENT_CERT_CONN != 0 => Some(Shown::Now),
        _ if bits & CLIENT_CERT_SESS != 0 => Some(Shown::Before),
        _ => None,
    }
}

/// One entry, and the bytes that follow it.
struct Tlv<'a> {
    kind: u8,
    value: &'a [u8],
    after: &'a [u8],
}

/// The first entry of `bytes`.
fn next(bytes: &[u8]) -> Result<Option<Tlv<'_>>, Error> {
    let Some((&kind, rest)) = bytes.split_first() else { return Ok(None) };
    let (length, rest) = rest.split_first_chunk().ok_or(Error::BadTlv(kind))?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (value, after) = rest.split_at_checked(length).ok_or(Error::BadTlv(kind))?;
    Ok(Some(Tlv { kind, value, after }))
}

fn once<T>(kind: u8, place: &mut Option<T>, value: T) -> Result<(), Error> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::RepeatedTlv(kind)),
    }
}

/// A host name in UTF-8; no white space or control characters, as it may end up in a log or a rule.
pub(super) fn authority(value: &[u8]) -> Result<String, Error> {
    match str::from_utf8(value) {
        Ok(name) if !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control()) => {
            Ok(name.to_owned())
        }
        _ => Err(Error::BadTlv(AUTHORITY)),
    }
}

/// The checksum of the header, with the four bytes at `start` of `tlvs` taken as zeros.
pub(super) fn sum(before: &[&[u8]], tlvs: &[u8], start: usize) -> u32 {
    let mut sum = Crc32c::new();
    before.iter().for_each(|part| sum.update(part));
    let (head, tail) = tlvs.split_at_checked(start).unwrap_or((tlvs, &[]));
    sum.update(head);
    sum.update(&[0; 4]);
    sum.update(tail.get(4..).unwrap_or(&[]));
    sum.finish()
}
