//! Integers with a prefix (RFC 9204 section 4.1.1), of which the end may not have arrived.

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// The value, and how many bytes it took.
    Value(u32, usize),
    /// Its end is not there yet.
    Cut,
    /// It does not fit in 32 bits: no integer here has a meaning then.
    TooLarge,
}

/// Reads an integer whose first `prefix` bits (1 to 8) are in the first byte.
#[inline]
pub(super) fn read(bytes: &[u8], prefix: u32) -> Read {
    let Some(&first) = bytes.first() else { return Read::Cut };
    let mask = 0xff_u8 >> (8 - prefix);
    if first & mask < mask {
        return Read::Value((first & mask).into(), 1);
    }
    let mut sum = u64::from(mask);
    for (at, shift) in [(1, 0), (2, 7), (3, 14), (4, 21), (5, 28)] {
        let Some(&byte) = bytes.get(at) else { return Read::Cut };
        sum += u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return u32::try_from(sum).map_or(Read::TooLarge, |value| Read::Value(value, at + 1));
        }
    }
    Read::TooLarge
}

/// Appends an integer behind the bits of `first` that are not of the prefix.
#[inline]
pub(super) fn write(first: u8, prefix: u32, value: u64, out: &mut Vec<u8>) {
    let mask = 0xff_u8 >> (8 - prefix);
    if value < u64::from(mask) {
        out.push(first | value as u8);
        return;
    }
    out.push(first | mask);
    let mut rest = value - u64::from(mask);
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}
