//! HPACK: what was decoded, encoded again, decodes to the same, with tables of any size; Huffman code has one form. The
//! input is blocks, each behind a byte with its length.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_fuzz::Pairs;
use usher_wire::hpack::{Decoder, Encoder, HpackError, TABLE_SIZE};
use usher_wire::huffman;

/// Fields that are looked at in one block; a few bytes can name a large one many times.
const MOST: usize = 1000;

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Pairs, HpackError> {
    let mut pairs = Vec::new();
    decoder.decode(block, |name, value| {
        if pairs.len() < MOST {
            pairs.push((name.to_vec(), value.to_vec()));
        }
    })?;
    Ok(pairs)
}

fuzz_target!(|data: &[u8]| {
    let mut text = Vec::new();
    if huffman::decode(data, &mut text).is_ok() {
        let mut code = Vec::new();
        huffman::encode(&text, &mut code);
        assert_eq!(code, data, "one code for one text");
        assert_eq!(huffman::encoded_len(&text), code.len());
    }
    let mut from = Decoder::new(200);
    let (mut encoder, mut to) = (Encoder::default(), Decoder::new(TABLE_SIZE));
    let mut rest = data;
    while let Some((&len, behind)) = rest.split_first() {
        let (block, after) = behind.split_at(usize::from(len).min(behind.len()));
        rest = after;
        let Ok(pairs) = decode(&mut from, block) else { return };
        if len % 8 == 7 {
            encoder.set_limit(u32::from(len) * 20);
        }
        let mut again = Vec::new();
        encoder.begin(&mut again);
        pairs.iter().for_each(|(name, value)| encoder.field(name, value, &mut again));
        assert_eq!(decode(&mut to, &again), Ok(pairs));
    }
});
