//! The two messages of the health service, in the encoding of Protocol Buffers, each behind the five bytes that gRPC puts
//! before a message: whether it is compressed, and its length (big-endian).

/// `HealthCheckRequest`: field 1 is the service's name.
pub(super) fn call(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(1 << 3 | 2);
        put_varint(service.len() as u64, &mut message);
        message.extend_from_slice(service.as_bytes());
    }
    let mut framed = vec![0];
    framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
    framed.extend_from_slice(&message);
    framed
}

/// The state in a `HealthCheckResponse`: field 1, 0 where it is left out. None if this is no such message.
pub(super) fn state(framed: &[u8]) -> Option<u64> {
    let (head, rest) = framed.split_first_chunk::<5>()?;
    let [compressed, length @ ..] = *head;
    let mut rest = rest.get(..u32::from_be_bytes(length) as usize).filter(|_| compressed == 0)?;
    let mut state = 0;
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        match (key >> 3, key & 7) {
            (1, 0) => state = varint(&mut rest)?,
            (_, 0) => drop(varint(&mut rest)?),
            (_, 1) => rest = rest.get(8..)?,
            (_, 2) => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                rest = rest.get(length..)?;
            }
            (_, 5) => rest = rest.get(4..)?,
            _ => return None,
        }
    }
    Some(state)
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes a number of variable length: at most ten bytes, seven bits in each, the lowest first.
fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for at in 0..10 {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f).checked_shl(7 * at).unwrap_or_default();
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
