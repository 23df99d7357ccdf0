//! Signatures of DNS messages by a shared secret (RFC 8945).

use std::time::SystemTime;

use aws_lc_rs::hmac;

use super::TsigAlgorithm;
use crate::dns::wire::{CLASS_ANY, Data, Message, TYPE_TSIG, push_name, push_u16};
use crate::time::unix_seconds;

/// How much two clocks may differ, in seconds (section 10).
const FUDGE: u16 = 300;
/// Where the number of additional records stands in a message.
const ADDITIONAL_COUNT: usize = 10;

pub(super) struct Key<'a> {
    pub(super) name: &'a str,
    pub(super) algorithm: TsigAlgorithm,
    pub(super) secret: &'a [u8],
}

impl Key<'_> {
    fn mac(&self) -> hmac::Key {
        let algorithm = match self.algorithm {
            TsigAlgorithm::HmacSha256 => hmac::HMAC_SHA256,
            TsigAlgorithm::HmacSha384 => hmac::HMAC_SHA384,
            TsigAlgorithm::HmacSha512 => hmac::HMAC_SHA512,
        };
        hmac::Key::new(algorithm, self.secret)
    }

    /// The variables that are signed beside the message (section 4.3.3).
    fn variables(&self, time: &[u8], error: u16) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        push_name(&mut out, self.name.trim_end_matches('.'))?;
        push_u16(&mut out, CLASS_ANY);
        out.extend_from_slice(&[0; 4]);
        push_name(&mut out, self.algorithm.as_str())?;
        out.extend_from_slice(time);
        push_u16(&mut out, error);
        push_u16(&mut out, 0);
        Some(out)
    }

    /// The message with its signature, and the signature. None if the key's name is none.
    pub(super) fn sign(&self, mut message: Vec<u8>, now: SystemTime) -> Option<(Vec<u8>, Vec<u8>)> {
        let mut time = unix_seconds(now).to_be_bytes().get(2..)?.to_vec();
        push_u16(&mut time, FUDGE);
        let signed = [message.as_slice(), &self.variables(&time, 0)?].concat();
        let mac = hmac::sign(&self.mac(), &signed).as_ref().to_vec();
        let id = message.get(..2)?.to_vec();
        push_name(&mut message, self.name.trim_end_matches('.'))?;
        push_u16(&mut message, TYPE_TSIG);
        push_u16(&mut message, CLASS_ANY);
        message.extend_from_slice(&[0; 4]);
        let mut data = Vec::new();
        push_name(&mut data, self.algorithm.as_str())?;
        data.extend_from_slice(&time);
        push_u16(&mut data, u16::try_from(mac.len()).ok()?);
        data.extend_from_slice(&mac);
        data.extend_from_slice(&id);
        data.extend_from_slice(&[0; 4]);
        push_u16(&mut message, u16::try_from(data.len()).ok()?);
        message.extend_from_slice(&data);
        let count = message.get_mut(ADDITIONAL_COUNT..ADDITIONAL_COUNT + 2)?;
        count.copy_from_slice(&1_u16.to_be_bytes());
        Some((message, mac))
    }

    /// Whether the answer to a message with the signature `request` is signed (section 5.3). None if not.
    pub(super) fn verify(
        &self,
        answer: &Message,
        bytes: &[u8],
        request: &[u8],
        now: SystemTime,
    ) -> Option<()> {
        let record = answer.records.last().filter(|record| record.kind == TYPE_TSIG)?;
        let Data::Other(data) = &record.data else { return None };
        let mut name = Vec::new();
        push_name(&mut name, self.algorithm.as_str())?;
        let rest = data.strip_prefix(name.as_slice())?;
        let (time, rest) = rest.split_at_checked(8)?;
        let (length, rest) = rest.split_at_checked(2)?;
        let (mac, rest) = rest.split_at_checked(u16::from_be_bytes(length.try_into().ok()?).into())?;
        let error = u16::from_be_bytes(rest.get(2..4)?.try_into().ok()?);
        let signed_at = time.iter().take(6).fold(0_i64, |sum, byte| sum << 8 | i64::from(*byte));
        if error != 0 || unix_seconds(now).abs_diff(signed_at) > FUDGE.into() {
            return None;
        }
        let mut unsigned = bytes.get(..record.start)?.to_vec();
        let count = unsigned.get_mut(ADDITIONAL_COUNT..ADDITIONAL_COUNT + 2)?;
        let number = u16::from_be_bytes((&*count).try_into().ok()?).checked_sub(1)?;
        count.copy_from_slice(&number.to_be_bytes());
        let mut signed = Vec::new();
        push_u16(&mut signed, u16::try_from(request.len()).ok()?);
        signed.extend_from_slice(request);
        signed.extend_from_slice(&unsigned);
        signed.extend_from_slice(&self.variables(time, error)?);
        hmac::verify(&self.mac(), &signed, mac).ok()
    }
}
