//! Frames of WebSockets (RFC 6455 section 5.2), by hand: the proxy's own reader is not asked for an opinion on itself.

use super::way::{Broken, Way};

pub(super) const TEXT: u8 = 1;
pub(super) const CLOSE: u8 = 8;
pub(super) const PING: u8 = 9;
pub(super) const FIN: u8 = 0x80;

/// The mask of clients; that of a test need not surprise anybody.
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame; clients mask it.
pub(super) fn write(first: u8, payload: &[u8], masked: bool) -> Vec<u8> {
    let bit = if masked { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..126 => bytes.push(bit | short as u8),
        length => {
            bytes.push(bit | 126);
            bytes.extend(u16::try_from(length).expect("short messages").to_be_bytes());
        }
    }
    if masked {
        bytes.extend(KEY);
        bytes.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    } else {
        bytes.extend(payload);
    }
    bytes
}

/// A numbered message of a few hundred bytes; every fifth in fragments, with a ping between them.
pub(super) fn message(number: u64, masked: bool) -> Vec<u8> {
    let text = format!("{number:08} {}", "x".repeat(20 + number as usize * 37 % 400));
    if !number.is_multiple_of(5) {
        return write(FIN | TEXT, text.as_bytes(), masked);
    }
    let (one, two) = text.as_bytes().split_at(text.len() / 2);
    [write(TEXT, one, masked), write(FIN | PING, b"?", masked), write(FIN, two, masked)].concat()
}

/// The number of a message.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text.get(..8)?).ok()?.parse().ok()
}

/// Reads frames and puts messages together.
#[derive(Default)]
pub(super) struct Reader {
    held: Vec<u8>,
    message: Vec<u8>,
}

/// What came.
pub(super) enum Heard {
    Message(Vec<u8>),
    Ping,
    Close(Option<u16>),
    /// The connection ended.
    End,
}

impl Reader {
    /// The next thing that is said; a wait for it can be given up and begun again.
    pub(super) async fn next(&mut self, way: &mut impl Way) -> Result<Heard, Broken> {
        loop {
            if let Some((first, payload)) = self.frame() {
                match first & 15 {
                    CLOSE => {
                        let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                        return Ok(Heard::Close(code));
                    }
                    PING => return Ok(Heard::Ping),
                    kind if kind > CLOSE => {}
                    _ => {
                        self.message.extend(payload);
                        if first & FIN != 0 {
                            return Ok(Heard::Message(std::mem::take(&mut self.message)));
                        }
                    }
                }
                continue;
            }
            let piece = way.receive().await?;
            if piece.is_empty() {
                let whole = self.held.is_empty() && self.message.is_empty();
                return if whole { Ok(Heard::End) } else { Err("ended within a message".into()) };
            }
            self.held.extend(piece);
        }
    }

    fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let held = &self.held;
        let (first, second) = (*held.first()?, *held.get(1)?);
        let (length, mut at) = match second & 0x7f {
            126 => (usize::from(u16::from_be_bytes([*held.get(2)?, *held.get(3)?])), 4),
            short => (usize::from(short), 2),
        };
        let mut key = [0; 4];
        if second & 0x80 != 0 {
            key.copy_from_slice(held.get(at..at + 4)?);
            at += 4;
        }
        let payload = held.get(at..at + length)?;
        let payload = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        self.held.drain(..at + length);
        Some((first, payload))
    }
}
