//! DNS messages (RFC 1035 section 4), as much as DNS-01 needs: questions, answers, and updates (RFC 2136).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Records that are read of one message.
const MAX_RECORDS: usize = 200;
/// Compression pointers that are followed in one name.
const MAX_POINTERS: usize = 16;
/// The longest name on the wire (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 255;

pub(super) const TYPE_A: u16 = 1;
pub(super) const TYPE_NS: u16 = 2;
pub(super) const TYPE_CNAME: u16 = 5;
pub(super) const TYPE_SOA: u16 = 6;
pub(super) const TYPE_TXT: u16 = 16;
pub(super) const TYPE_AAAA: u16 = 28;
pub(super) const TYPE_TSIG: u16 = 250;
pub(super) const CLASS_IN: u16 = 1;
pub(super) const CLASS_NONE: u16 = 254;
pub(super) const CLASS_ANY: u16 = 255;

/// What is said by a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Data {
    Address(IpAddr),
    /// The target of NS and CNAME.
    Name(String),
    /// The strings of TXT, joined.
    Text(Vec<u8>),
    Other(Vec<u8>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Lower case, no trailing dot.
    pub(super) name: String,
    pub(super) kind: u16,
    pub(super) data: Data,
    /// Where it begins in the message.
    pub(super) start: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) id: u16,
    pub(super) response: bool,
    pub(super) truncated: bool,
    /// 0 is success, 3 means that there is no such name.
    pub(super) code: u8,
    /// The question's name and type, if there is exactly one.
    pub(super) question: Option<(String, u16)>,
    /// Of all sections.
    pub(super) records: Vec<Record>,
}

impl Message {
    /// The records of this type.
    pub(super) fn of_type(&self, kind: u16) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(move |record| record.kind == kind)
    }
}

/// Appends a name, uncompressed. None if it is none.
pub(super) fn push_name(out: &mut Vec<u8>, name: &str) -> Option<()> {
    let start = out.len();
    for label in name.split('.').filter(|_| !name.is_empty()) {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        out.push(length);
        out.extend(label.bytes().map(|byte| byte.to_ascii_lowercase()));
    }
    out.push(0);
    (out.len() - start <= MAX_NAME).then_some(())
}

pub(super) fn push_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// A question. `recursive` asks a resolver to find out, else a server is asked for what it knows itself.
pub(super) fn query(id: u16, name: &str, kind: u16, recursive: bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(64);
    push_u16(&mut out, id);
    push_u16(&mut out, if recursive { 0x0100 } else { 0 });
    [1, 0, 0, 0].into_iter().for_each(|count| push_u16(&mut out, count));
    push_name(&mut out, name)?;
    push_u16(&mut out, kind);
    push_u16(&mut out, CLASS_IN);
    Some(out)
}

/// Appends the data of a TXT record: strings of up to 255 bytes, with their length before each.
pub(super) fn push_text(out: &mut Vec<u8>, value: &str) -> Option<()> {
    let chunks = value.as_bytes().chunks(255);
    let length = value.len() + chunks.len();
    push_u16(out, u16::try_from(length).ok()?);
    for chunk in chunks {
        out.push(u8::try_from(chunk.len()).ok()?);
        out.extend_from_slice(chunk);
    }
    Some(())
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    /// A name, compressed or not (RFC 1035 section 4.1.4). Pointers lead backwards only, so that it ends.
    fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        let mut pointers = 0;
        let mut here = Reader { bytes: self.bytes, at: self.at };
        loop {
            let start = here.at;
            let length = here.u8()?;
            match length >> 6 {
                0 if length == 0 => break,
                0 => push_label(&mut name, here.take(length.into())?)?,
                3 => {
                    let target = usize::from(length & 0x3f) << 8 | usize::from(here.u8()?);
                    if pointers == 0 {
                        self.at = here.at;
                    }
                    pointers += 1;
                    if target >= start || pointers > MAX_POINTERS {
                        return None;
                    }
                    here.at = target;
                }
                _ => return None,
            }
        }
        if pointers == 0 {
            self.at = here.at;
        }
        Some(name)
    }

    fn record(&mut self) -> Option<Record> {
        let start = self.at;
        let name = self.name()?;
        let kind = self.u16()?;
        self.take(6)?;
        let length = self.u16()?;
        let end = self.at.checked_add(length.into())?;
        let data = self.bytes.get(self.at..end)?;
        let data = match kind {
            TYPE_A => Data::Address(Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?).into()),
            TYPE_AAAA => Data::Address(Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).into()),
            TYPE_NS | TYPE_CNAME => {
                let mut target = Reader { bytes: self.bytes, at: self.at };
                let name = target.name()?;
                Data::Name(Some(name).filter(|_| target.at == end)?)
            }
            TYPE_TXT => Data::Text(text(data)?),
            _ => Data::Other(data.to_vec()),
        };
        self.at = end;
        Some(Record { name, kind, data, start })
    }
}

fn push_label(name: &mut String, label: &[u8]) -> Option<()> {
    if !name.is_empty() {
        name.push('.');
    }
    for byte in label {
        // A dot within a label would read as two labels; what is not ASCII is no name of ours.
        if !byte.is_ascii_graphic() || *byte == b'.' {
            return None;
        }
        name.push(byte.to_ascii_lowercase().into());
    }
    // The wire has two bytes more: the length before the first label, and the end.
    (name.len() + 2 <= MAX_NAME).then_some(())
}

fn text(data: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader { bytes: data, at: 0 };
    let mut joined = Vec::new();
    while reader.at < data.len() {
        let length = reader.u8()?;
        joined.extend_from_slice(reader.take(length.into())?);
    }
    Some(joined)
}

/// Reads a message. None if it is broken anywhere.
pub(super) fn parse(bytes: &[u8]) -> Option<Message> {
    let mut reader = Reader { bytes, at: 0 };
    let id = reader.u16()?;
    let flags = reader.u16()?;
    let questions = reader.u16()?;
    let counts = [reader.u16()?, reader.u16()?, reader.u16()?];
    let mut question = None;
    for _ in 0..questions {
        let name = reader.name()?;
        let kind = reader.u16()?;
        reader.u16()?;
        question = Some((name, kind)).filter(|_| questions == 1);
    }
    let count: usize = counts.into_iter().map(usize::from).sum();
    if count > MAX_RECORDS {
        return None;
    }
    let records = (0..count).map(|_| reader.record()).collect::<Option<Vec<_>>>()?;
    Some(Message {
        id,
        response: flags & 0x8000 != 0,
        truncated: flags & 0x0200 != 0,
        code: (flags & 0x000f) as u8,
        question,
        records,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Vec<u8> {
        let mut bytes = query(7, "_acme-challenge.A.example", TYPE_TXT, true).unwrap();
        bytes[2] = 0x81;
        bytes[7] = 2;
        // A pointer to the question's name, then TXT with two strings.
        bytes.extend_from_slice(&[0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 0, 5, 2, b'a', b'b', 1, b'c']);
        bytes.extend_from_slice(&[0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 4, 1, b'x', 0xc0, 28]);
        bytes
    }

    #[test]
    fn reads_answers_with_compression() {
        let message = parse(&answer()).unwrap();
        assert_eq!((message.id, message.response, message.code), (7, true, 0));
        assert_eq!(message.question, Some(("_acme-challenge.a.example".to_owned(), TYPE_TXT)));
        let text: Vec<_> = message.of_type(TYPE_TXT).map(|record| record.data.clone()).collect();
        assert_eq!(text, [Data::Text(b"abc".to_vec())]);
        let name = message.of_type(TYPE_CNAME).next().unwrap();
        assert_eq!(name.data, Data::Name("x.a.example".to_owned()));
    }

    #[test]
    fn refuses_every_truncation_and_loops() {
        let whole = answer();
        for length in 0..whole.len() {
            assert_eq!(parse(&whole[..length]), None, "{length}");
        }
        let mut looped = query(7, "a", TYPE_A, true).unwrap();
        looped[7] = 1;
        let at = looped.len() as u8;
        looped.extend_from_slice(&[0xc0, at, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(parse(&looped), None);
    }

    #[test]
    fn refuses_names_that_are_none() {
        let long = format!("{}.example", "a".repeat(64));
        let deep = "a.".repeat(127) + "aa";
        for name in ["a..b", ".a", &long, &deep] {
            assert_eq!(query(1, name, TYPE_A, true), None, "{name}");
        }
        assert!(query(1, "", TYPE_NS, true).is_some());
    }

    #[test]
    fn a_name_that_is_read_can_be_written() {
        let labels = |last: usize| [63, 63, 63, last].map(|length| "a".repeat(length)).join(".");
        for (name, good) in [(labels(61), true), (labels(62), false)] {
            let mut bytes = query(7, "x", TYPE_A, true).unwrap();
            bytes.truncate(12);
            name.split('.').for_each(|label| {
                bytes.push(label.len() as u8);
                bytes.extend_from_slice(label.as_bytes());
            });
            bytes.extend_from_slice(&[0, 0, 1, 0, 1]);
            assert_eq!(parse(&bytes).is_some(), good, "{}", name.len());
            assert_eq!(push_name(&mut Vec::new(), &name).is_some(), good, "{}", name.len());
        }
    }

    #[test]
    fn splits_long_texts() {
        let mut out = Vec::new();
        push_text(&mut out, &"x".repeat(300)).unwrap();
        assert_eq!((out.len(), out[2], out[258]), (304, 255, 45));
        assert_eq!(text(&out[2..]).unwrap().len(), 300);
    }
}
