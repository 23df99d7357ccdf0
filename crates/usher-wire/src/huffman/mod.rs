//! The Huffman code of HPACK and QPACK (RFC 7541 section 5.2 and appendix B).
//!
//! The code is canonical: among codes of one length they count upwards in the order of symbols, and a longer code
//! continues where the shorter ones end. So the lengths alone define it, and every table here is computed from them.

mod lengths;
#[cfg(test)]
mod tests;

use lengths::LENGTHS;

/// A string that is not Huffman code: it holds EOS, or ends with something else than up to seven ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HuffmanError;

/// The number of symbols with EOS.
const SYMBOLS: usize = 257;
const EOS: u16 = 256;
/// The longest code (bits).
const LONGEST: usize = 30;
/// Codes up to this length are found in one look (bits); no code has 9.
const SHORT: u32 = 8;

/// Codes, aligned right.
static CODES: [u32; SYMBOLS] = codes();
/// What the first eight bits say: symbol and length of a short code; length 0 if the code is longer.
static FIRST: [(u8, u8); 256] = first();
/// Symbols in the order of their codes.
static ORDER: [u16; SYMBOLS] = order();
/// By length: the first code that is longer, aligned left, and the number to subtract from a code to get its place in
/// [`ORDER`].
static SPANS: [(u32, u32); LONGEST + 1] = spans();

const fn order() -> [u16; SYMBOLS] {
    let mut order = [0; SYMBOLS];
    let (mut length, mut at) = (1, 0);
    while length <= LONGEST {
        let mut symbol = 0;
        while symbol < SYMBOLS {
            if LENGTHS[symbol] as usize == length {
                order[at] = symbol as u16;
                at += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    order
}

const fn codes() -> [u32; SYMBOLS] {
    let order = order();
    let mut codes = [0; SYMBOLS];
    let (mut code, mut length, mut at) = (0u32, 0u8, 0);
    while at < SYMBOLS {
        let symbol = order[at] as usize;
        code <<= LENGTHS[symbol] - length;
        length = LENGTHS[symbol];
        codes[symbol] = code;
        code += 1;
        at += 1;
    }
    codes
}

const fn first() -> [(u8, u8); 256] {
    let codes = codes();
    let mut table = [(0, 0); 256];
    let mut symbol = 0;
    while symbol < 256 {
        let length = LENGTHS[symbol] as u32;
        if length <= SHORT {
            let from = (codes[symbol] << (SHORT - length)) as usize;
            let mut at = from;
            while at < from + (1 << (SHORT - length)) {
                table[at] = (symbol as u8, length as u8);
                at += 1;
            }
        }
        symbol += 1;
    }
    table
}

const fn spans() -> [(u32, u32); LONGEST + 1] {
    let (order, codes) = (order(), codes());
    let mut spans = [(0, 0); LONGEST + 1];
    let mut at = 0;
    while at < SYMBOLS {
        let symbol = order[at] as usize;
        let length = LENGTHS[symbol] as usize;
        // Of the longest, the last code is all ones: nothing is behind it, and the sum would not fit.
        let above = if length == LONGEST { u32::MAX } else { (codes[symbol] + 1) << (32 - length) };
        spans[length] = (above, codes[symbol].wrapping_sub(at as u32));
        at += 1;
    }
    spans
}

/// Appends what `code` stands for.
///
/// # Errors
/// When it holds EOS, or its padding is not the beginning of EOS, or is eight bits and more (RFC 7541 section 5.2). What
/// was appended is of no use then.
pub fn decode(code: &[u8], out: &mut Vec<u8>) -> Result<(), HuffmanError> {
    out.reserve(code.len() + code.len() / 2);
    let (mut bits, mut have) = (0u64, 0u32);
    let mut rest = code.iter();
    loop {
        // At least 32 bits, so that every code fits; behind the end there are ones, as padding is.
        while have <= 56 {
            let Some(&byte) = rest.next() else { break };
            bits |= u64::from(byte) << (56 - have);
            have += 8;
        }
        if have == 0 {
            return Ok(());
        }
        let ones = u64::MAX.checked_shr(have).unwrap_or_default();
        let (symbol, length) = symbol((bits | ones) >> 32);
        if length > have {
            // Only a code of ones can begin with so many of them: what is left is padding, if it is short and all ones.
            let padding = have < 8 && (bits | ones) == u64::MAX;
            return if padding { Ok(()) } else { Err(HuffmanError) };
        }
        if symbol == EOS {
            return Err(HuffmanError);
        }
        out.push(symbol as u8);
        bits <<= length;
        have -= length;
    }
}

/// The symbol that 32 bits begin with, and how many of them it is.
#[inline]
fn symbol(word: u64) -> (u16, u32) {
    let word = word as u32;
    let (symbol, length) = FIRST[(word >> (32 - SHORT)) as usize];
    if length > 0 {
        return (symbol.into(), length.into());
    }
    for (length, (above, offset)) in SPANS.iter().enumerate().skip(SHORT as usize + 1) {
        if word < *above || length == LONGEST {
            let place = (word >> (32 - length)).wrapping_sub(*offset) as usize;
            return (ORDER.get(place).copied().unwrap_or(EOS), length as u32);
        }
    }
    (EOS, LONGEST as u32)
}

/// The length of the code for `text` (bytes).
pub fn encoded_len(text: &[u8]) -> usize {
    let bits: usize = text.iter().map(|&byte| usize::from(LENGTHS[usize::from(byte)])).sum();
    bits.div_ceil(8)
}

/// Appends the code for `text`, padded with ones.
pub fn encode(text: &[u8], out: &mut Vec<u8>) {
    let (mut bits, mut have) = (0u64, 0u32);
    for &byte in text {
        let length = u32::from(LENGTHS[usize::from(byte)]);
        bits = bits << length | u64::from(CODES[usize::from(byte)]);
        have += length;
        while have >= 8 {
            have -= 8;
            out.push((bits >> have) as u8);
        }
    }
    if have > 0 {
        out.push((bits << (8 - have)) as u8 | 0xff >> have);
    }
}
