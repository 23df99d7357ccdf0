//! The static table (RFC 7541 appendix A), and where in it a name is.

/// Names and values; the first has index 1.
pub(super) static ENTRIES: [(&[u8], &[u8]); 61] = [
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"200"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"304"),
    (b":status", b"400"),
    (b":status", b"404"),
    (b":status", b"500"),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b""),
    (b"accept-ranges", b""),
    (b"accept", b""),
    (b"access-control-allow-origin", b""),
    (b"age", b""),
    (b"allow", b""),
    (b"authorization", b""),
    (b"cache-control", b""),
    (b"content-disposition", b""),
    (b"content-encoding", b""),
    (b"content-language", b""),
    (b"content-length", b""),
    (b"content-location", b""),
    (b"content-range", b""),
    (b"content-type", b""),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"expect", b""),
    (b"expires", b""),
    (b"from", b""),
    (b"host", b""),
    (b"if-match", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"if-range", b""),
    (b"if-unmodified-since", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"max-forwards", b""),
    (b"proxy-authenticate", b""),
    (b"proxy-authorization", b""),
    (b"range", b""),
    (b"referer", b""),
    (b"refresh", b""),
    (b"retry-after", b""),
    (b"server", b""),
    (b"set-cookie", b""),
    (b"strict-transport-security", b""),
    (b"transfer-encoding", b""),
    (b"user-agent", b""),
    (b"vary", b""),
    (b"via", b""),
    (b"www-authenticate", b""),
];

/// What is found of a field in the static table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Name and value, at this index.
    Field(u32),
    /// The name, first at this index.
    Name(u32),
}

/// A slot for every name, without collisions: the index of its first entry, or 0.
static SLOTS: [u8; 1 << SLOT_BITS] = slots();
const SLOT_BITS: u32 = 7;
/// Found by trial: with it no two names of the table share a slot.
const FACTOR: u32 = 0xf0f7_7331;

const fn slot(name: &[u8]) -> usize {
    let (first, middle, last) = (name[0] as u32, name[name.len() / 2] as u32, name[name.len() - 1] as u32);
    let key = name.len() as u32 | first << 8 | middle << 16 | last << 24;
    (key.wrapping_mul(FACTOR) >> (u32::BITS - SLOT_BITS)) as usize
}

const fn slots() -> [u8; 1 << SLOT_BITS] {
    let mut slots = [0; 1 << SLOT_BITS];
    let mut at = ENTRIES.len();
    while at > 0 {
        slots[slot(ENTRIES[at - 1].0)] = at as u8;
        at -= 1;
    }
    slots
}

/// Looks a field up. Names with several values have them one behind the other.
#[inline]
pub(super) fn find(name: &[u8], value: &[u8]) -> Option<Found> {
    if name.is_empty() || name.len() > 255 {
        return None;
    }
    let index = usize::from(SLOTS[slot(name)]);
    let entries = ENTRIES.get(index.checked_sub(1)?..)?;
    if entries.first()?.0 != name {
        return None;
    }
    let place = entries.iter().take_while(|entry| entry.0 == name).position(|entry| entry.1 == value);
    Some(match place {
        Some(place) => Found::Field((index + place) as u32),
        None => Found::Name(index as u32),
    })
}
