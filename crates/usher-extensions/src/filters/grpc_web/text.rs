//! Base64 piece by piece.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use usher_http::Fields;
use usher_http::transform::{Transform, Untransformable};

const WRONG: Untransformable = Untransformable("gRPC-Web text is not base64");

/// From base64 to bytes. A sender may encode each message for itself, so padding may stand anywhere between groups.
#[derive(Default)]
pub(super) struct Decoder {
    group: Vec<u8>,
}

impl Transform for Decoder {
    fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), Untransformable> {
        for &byte in piece.iter().filter(|byte| !matches!(byte, b'\r' | b'\n')) {
            self.group.push(byte);
            if self.group.len() == 4 {
                STANDARD.decode_vec(&self.group, out).map_err(|_| WRONG)?;
                self.group.clear();
            }
        }
        Ok(())
    }

    fn finish(
        &mut self,
        trailers: Option<&Fields>,
        _: &mut Vec<u8>,
    ) -> Result<Option<Fields>, Untransformable> {
        let _ = trailers;
        if self.group.is_empty() { Ok(None) } else { Err(WRONG) }
    }
}

/// From bytes to base64. What does not fill a group at the end of a piece is padded, so that the reader sees each piece
/// at once: a stream of messages may pause for long.
#[derive(Default)]
pub(super) struct Encoder;

impl Encoder {
    pub(super) fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(STANDARD.encode(piece).as_bytes());
    }

    pub(super) fn finish(&mut self, _: &mut Vec<u8>) {}
}
