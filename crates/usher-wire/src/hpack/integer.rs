//! Integers with a prefix (RFC 7541 section 5.1).

/// An integer that is cut or longer than any that has a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntegerError;

/// Reads an integer whose first `prefix` bits (1 to 8) are in the first byte; gives what follows it too.
///
/// # Errors
/// When it is cut, or does not fit in 32 bits, or takes more bytes than such a one.
#[inline]
pub fn read(bytes: &[u8], prefix: u32) -> Result<(u32, &[u8]), IntegerError> {
    let (&first, mut rest) = bytes.split_first().ok_or(IntegerError)?;
    let mask = 0xff >> (8 - prefix);
    let first = first & mask;
    if first < mask {
        return Ok((first.into(), rest));
    }
    let mut sum = u64::from(mask);
    for shift in [0, 7, 14, 21, 28] {
        let (&byte, after) = rest.split_first().ok_or(IntegerError)?;
        rest = after;
        sum += u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return u32::try_from(sum).map(|sum| (sum, rest)).map_err(|_| IntegerError);
        }
    }
    Err(IntegerError)
}

/// Appends an integer behind the bits of `first` that are not of the prefix.
#[inline]
pub fn write(first: u8, prefix: u32, value: u32, out: &mut Vec<u8>) {
    let mask = 0xff_u32 >> (8 - prefix);
    if value < mask {
        out.push(first | value as u8);
        return;
    }
    out.push(first | mask as u8);
    let mut rest = value - mask;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}
