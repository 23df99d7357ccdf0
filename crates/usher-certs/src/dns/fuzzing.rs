//! DNS messages, as the fuzz target `dns_message` sees them.

use std::net::IpAddr;
use std::time::UNIX_EPOCH;

use super::rfc2136;
use super::wire::{Data, Message, parse, push_name, push_u16};

/// A message that was read.
#[derive(Debug, PartialEq, Eq)]
pub struct DnsMessage(Message);

impl DnsMessage {
    /// Reads one. None if it is broken anywhere.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        parse(bytes).map(Self)
    }

    /// Where its records begin.
    pub fn starts(&self) -> Vec<usize> {
        self.0.records.iter().map(|record| record.start).collect()
    }

    /// All names in it.
    pub fn names(&self) -> Vec<&str> {
        let asked = self.0.question.iter().map(|(name, _)| name.as_str());
        let records = self.0.records.iter();
        let all = records.flat_map(|record| {
            let target = match &record.data {
                Data::Name(name) => Some(name.as_str()),
                _ => None,
            };
            target.into_iter().chain([record.name.as_str()])
        });
        asked.chain(all).collect()
    }

    /// The same but for where its records begin.
    pub fn without_places(mut self) -> Self {
        self.0.records.iter_mut().for_each(|record| record.start = 0);
        self
    }

    /// The same written again, without compression; all records stand in the first section. None if it cannot be.
    pub fn write(&self) -> Option<Vec<u8>> {
        let message = &self.0;
        let flags =
            u16::from(message.response) << 15 | u16::from(message.truncated) << 9 | u16::from(message.code);
        let mut out = Vec::new();
        let records = u16::try_from(message.records.len()).ok()?;
        let head = [message.id, flags, message.question.is_some().into(), records, 0, 0];
        head.into_iter().for_each(|value| push_u16(&mut out, value));
        if let Some((name, kind)) = &message.question {
            push_name(&mut out, name)?;
            push_u16(&mut out, *kind);
            push_u16(&mut out, 1);
        }
        for record in &message.records {
            push_name(&mut out, &record.name)?;
            push_u16(&mut out, record.kind);
            out.extend_from_slice(&[0; 6]);
            let data = write_data(&record.data)?;
            push_u16(&mut out, u16::try_from(data.len()).ok()?);
            out.extend_from_slice(&data);
        }
        Some(out)
    }

    /// Whether it is signed by a key that nobody has, as an answer to a request of which nobody knows.
    pub fn is_signed(&self, bytes: &[u8]) -> bool {
        rfc2136::is_signed(&self.0, bytes, UNIX_EPOCH)
    }
}

fn write_data(data: &Data) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match data {
        Data::Address(IpAddr::V4(address)) => out.extend_from_slice(&address.octets()),
        Data::Address(IpAddr::V6(address)) => out.extend_from_slice(&address.octets()),
        Data::Name(name) => push_name(&mut out, name)?,
        Data::Text(text) => {
            for part in text.chunks(255) {
                out.push(u8::try_from(part.len()).ok()?);
                out.extend_from_slice(part);
            }
        }
        Data::Other(bytes) => out.extend_from_slice(bytes),
    }
    Some(out)
}
