//! The field names that the proxy itself has to understand.

macro_rules! field_ids {
    ($($id:ident = $text:literal,)*) => {
        /// A field name that decides something in the proxy; all others are [`FieldId::Other`].
        ///
        /// Found once while parsing, so that no later step compares names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum FieldId {
            /// A name that only extensions and endpoints care about.
            Other = 0,
            $(#[doc = $text] $id,)*
        }

        impl FieldId {
            /// The name in its usual spelling; empty for [`FieldId::Other`].
            pub const fn as_str(self) -> &'static str {
                match self { Self::Other => "", $(Self::$id => $text,)* }
            }

            /// The name in its usual spelling, colon and space: how a line begins.
            pub(super) const fn line_start(self) -> &'static [u8] {
                match self { Self::Other => b"", $(Self::$id => concat!($text, ": ").as_bytes(),)* }
            }

            /// The name in lower case.
            pub(crate) const fn lower(self) -> &'static [u8] {
                match self {
                    Self::Other => b"",
                    $(Self::$id => {
                        static LOWER: [u8; $text.len()] = lower_case($text.as_bytes());
                        &LOWER
                    })*
                }
            }

            /// All but [`FieldId::Other`].
            pub(super) const ALL: &'static [FieldId] = &[$(FieldId::$id,)*];
        }
    };
}

field_ids! {
    Accept = "Accept",
    Authorization = "Authorization",
    CacheControl = "Cache-Control",
    Connection = "Connection",
    ContentLength = "Content-Length",
    ContentType = "Content-Type",
    Cookie = "Cookie",
    Date = "Date",
    Expect = "Expect",
    Forwarded = "Forwarded",
    Host = "Host",
    Http2Settings = "HTTP2-Settings",
    KeepAlive = "Keep-Alive",
    Location = "Location",
    MaxForwards = "Max-Forwards",
    Proxy = "Proxy",
    ProxyAuthenticate = "Proxy-Authenticate",
    ProxyAuthorization = "Proxy-Authorization",
    ProxyConnection = "Proxy-Connection",
    Server = "Server",
    SetCookie = "Set-Cookie",
    Te = "TE",
    Trailer = "Trailer",
    TransferEncoding = "Transfer-Encoding",
    Upgrade = "Upgrade",
    UserAgent = "User-Agent",
    Via = "Via",
    XForwardedFor = "X-Forwarded-For",
    XForwardedHost = "X-Forwarded-Host",
    XForwardedPort = "X-Forwarded-Port",
    XForwardedProto = "X-Forwarded-Proto",
    XRealIp = "X-Real-IP",
    XRequestId = "X-Request-Id",
}

const fn lower_case<const N: usize>(text: &[u8]) -> [u8; N] {
    let mut lower = [0; N];
    let mut at = 0;
    while at < N {
        lower[at] = text[at].to_ascii_lowercase();
        at += 1;
    }
    lower
}

/// A known name, as [`FieldId::of`] compares it.
#[derive(Clone, Copy)]
struct Known {
    id: FieldId,
    /// In lower case, so long.
    name: [u8; LONGEST],
    len: u8,
}

const LONGEST: usize = 22;
// [`is_same`] compares three words.
const _: () = assert!(LONGEST <= 24);
const PLACES: usize = 64;

/// Where a name stands among [`KNOWN`]: by its length, its first letter and the last but one. To set one bit makes letters
/// lower case.
#[inline]
const fn place(name: &[u8]) -> usize {
    if name.len() < 2 {
        return 0;
    }
    let (first, last) = (name[0] | 0x20, name[name.len() - 2] | 0x20);
    (name.len() * 77 + last as usize * 7 + first as usize * 123) % PLACES
}

/// The known names, each where it alone stands. None has a `-` where [`place`] looks, so that a
/// [disguised](is_disguised) one stands there too.
static KNOWN: [Known; PLACES] = {
    let mut places = [Known { id: FieldId::Other, name: [0; LONGEST], len: 0 }; PLACES];
    let mut at = 0;
    while at < FieldId::ALL.len() {
        let id = FieldId::ALL[at];
        let name = id.as_str().as_bytes();
        let known = &mut places[place(name)];
        assert!(known.len == 0, "two names at one place: other factors are needed");
        assert!(name[0] != b'-' && name[name.len() - 2] != b'-', "another letter is needed");
        (known.id, known.len) = (id, name.len() as u8);
        let mut letter = 0;
        while letter < name.len() {
            known.name[letter] = name[letter].to_ascii_lowercase();
            letter += 1;
        }
        at += 1;
    }
    places
};

impl Known {
    /// The only known name that this one can be.
    #[inline]
    fn candidate(name: &[u8]) -> &'static Self {
        &KNOWN[place(name)]
    }

    #[inline]
    fn name(&self) -> &[u8] {
        self.name.get(..self.len as usize).unwrap_or_default()
    }
}

/// Whether a name is `lower` but for case. Setting one bit turns letters into lower case and leaves `-` and digits as
/// they are; what else it could make equal are control bytes, which are in no name.
#[inline]
fn is_same(name: &[u8], lower: &[u8]) -> bool {
    const FOLD: u64 = 0x2020_2020_2020_2020;
    let word = |a: &[u8; 8], b: &[u8; 8]| u64::from_le_bytes(*a) | FOLD == u64::from_le_bytes(*b);
    let half = |a: &[u8; 4], b: &[u8; 4]| u32::from_le_bytes(*a) | FOLD as u32 == u32::from_le_bytes(*b);
    let pair = |a: &[u8; 2], b: &[u8; 2]| u16::from_le_bytes(*a) | FOLD as u16 == u16::from_le_bytes(*b);
    if name.len() != lower.len() {
        return false;
    }
    if let (Some((a, c)), Some((b, d))) = (ends(name), ends(lower)) {
        // The longest names have a third word.
        let between = |name: &[u8]| name.get(8..16).map(|word| word.first_chunk().copied());
        let (Some(Some(e)), Some(Some(f))) = (between(name), between(lower)) else {
            return word(a, b) && word(c, d);
        };
        return word(a, b) && word(c, d) && word(&e, &f);
    }
    if let (Some((a, c)), Some((b, d))) = (ends(name), ends(lower)) {
        return half(a, b) && half(c, d);
    }
    if let (Some((a, c)), Some((b, d))) = (ends(name), ends(lower)) {
        return pair(a, b) && pair(c, d);
    }
    name == lower
}

/// The first bytes and the last, which may overlap.
#[inline]
fn ends<const N: usize>(bytes: &[u8]) -> Option<(&[u8; N], &[u8; N])> {
    bytes.first_chunk().zip(bytes.last_chunk())
}

impl FieldId {
    /// The identifier of a name, whatever its case.
    #[inline]
    pub fn of(name: &[u8]) -> Self {
        let known = Known::candidate(name);
        if is_same(name, known.name()) { known.id } else { Self::Other }
    }

    /// This identifier's bit in a set of identifiers.
    #[inline]
    pub(crate) const fn bit(self) -> u64 {
        1 << self as u8
    }
}

/// The names that a disguise with `_` for `-` could let through the proxy.
const DISGUISES: [FieldId; 8] = [
    FieldId::ContentLength,
    FieldId::TransferEncoding,
    FieldId::XForwardedFor,
    FieldId::XForwardedHost,
    FieldId::XForwardedPort,
    FieldId::XForwardedProto,
    FieldId::XRealIp,
    FieldId::XRequestId,
];

/// Whether a name that is not known is one of [`DISGUISES`] with `_` for a `-`.
#[inline]
pub(crate) fn is_disguised(name: &[u8]) -> bool {
    let known = Known::candidate(name);
    let same =
        |(&byte, &known): (&u8, &u8)| byte.to_ascii_lowercase() == known || byte == b'_' && known == b'-';
    name.len() == known.name().len()
        && name.iter().zip(known.name()).all(same)
        && DISGUISES.contains(&known.id)
        && name.contains(&b'_')
}

/// Beside `X-Forwarded-…`: names by which deployed proxies and content networks tell a client's address or scheme, and
/// which frameworks (Rack, Spring, Express and the like) or their extensions believe. In lower case.
pub(super) const CLAIMED: [&[u8]; 14] = [
    b"cf-connecting-ip",
    b"cf-connecting-ipv6",
    b"client-cert",
    b"client-cert-chain",
    b"fastly-client-ip",
    b"forwarded-for",
    b"front-end-https",
    b"true-client-ip",
    b"x-client-ip",
    b"x-cluster-client-ip",
    b"x-forwarded",
    b"x-original-forwarded-for",
    b"x-scheme",
    b"x-url-scheme",
];

/// Whether a name tells where a request came from, so that only a trusted proxy may write it: every `X-Forwarded-…` and
/// some others, `_` for `-` included.
///
/// Of other names, the first letter tells nearly always.
#[inline]
pub fn is_claim(name: &[u8]) -> bool {
    matches!(name.first(), Some(b'c' | b'C' | b'f' | b'F' | b't' | b'T' | b'x' | b'X'))
        && name.len() >= b"x-scheme".len()
        && is_claim_at_length(name)
}

fn is_claim_at_length(name: &[u8]) -> bool {
    const PREFIX: &[u8] = b"x-forwarded-";
    let same =
        |(&byte, &known): (&u8, &u8)| byte.to_ascii_lowercase() == known || byte == b'_' && known == b'-';
    let is = |name: &[u8], known: &[u8]| name.len() == known.len() && name.iter().zip(known).all(same);
    name.get(..PREFIX.len()).is_some_and(|start| is(start, PREFIX))
        || CLAIMED.iter().any(|known| is(name, known))
}
