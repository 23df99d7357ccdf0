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

            #[cfg(test)]
            pub(super) fn all() -> &'static [FieldId] {
                &[$(FieldId::$id,)*]
            }
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

/// The only known name that this one can be, by its length and at most one of its letters.
#[inline]
fn candidate(name: &[u8]) -> FieldId {
    use FieldId as F;
    let letter = |at: usize| name.get(at).map_or(0, |byte| byte | 0x20);
    match name.len() {
        2 => F::Te,
        3 => F::Via,
        4 if letter(0) == b'h' => F::Host,
        4 => F::Date,
        5 => F::Proxy,
        6 => match letter(0) {
            b'a' => F::Accept,
            b'c' => F::Cookie,
            b's' => F::Server,
            _ => F::Expect,
        },
        7 if letter(0) == b'u' => F::Upgrade,
        7 => F::Trailer,
        8 => F::Location,
        9 if letter(0) == b'x' => F::XRealIp,
        9 => F::Forwarded,
        10 => match letter(0) {
            b'c' => F::Connection,
            b'u' => F::UserAgent,
            b'k' => F::KeepAlive,
            _ => F::SetCookie,
        },
        12 => match letter(0) {
            b'c' => F::ContentType,
            b'm' => F::MaxForwards,
            _ => F::XRequestId,
        },
        13 if letter(0) == b'a' => F::Authorization,
        13 => F::CacheControl,
        14 if letter(0) == b'c' => F::ContentLength,
        14 => F::Http2Settings,
        15 => F::XForwardedFor,
        16 => match letter(12) {
            b'h' => F::XForwardedHost,
            b'p' => F::XForwardedPort,
            _ => F::ProxyConnection,
        },
        17 if letter(0) == b'x' => F::XForwardedProto,
        17 => F::TransferEncoding,
        18 => F::ProxyAuthenticate,
        19 => F::ProxyAuthorization,
        _ => F::Other,
    }
}

/// Whether a name is `lower` but for case. Setting one bit turns letters into lower case and leaves `-` and digits as
/// they are; what else it could make equal are control bytes, which are in no name.
#[inline]
fn is_same(name: &[u8], lower: &[u8]) -> bool {
    const FOLD: u64 = 0x2020_2020_2020_2020;
    let word = |a: &[u8; 8], b: &[u8; 8]| u64::from_le_bytes(*a) | FOLD == u64::from_le_bytes(*b);
    let half = |a: &[u8; 4], b: &[u8; 4]| u32::from_le_bytes(*a) | FOLD as u32 == u32::from_le_bytes(*b);
    if name.len() != lower.len() {
        return false;
    }
    // The last word overlaps the one before it.
    if let (Some(a), Some(b)) = (name.last_chunk(), lower.last_chunk()) {
        let (starts, _) = name.as_chunks();
        let (known, _) = lower.as_chunks();
        return word(a, b) && starts.iter().zip(known).all(|(a, b)| word(a, b));
    }
    if let (Some(a), Some(b), Some(c), Some(d)) =
        (name.first_chunk(), lower.first_chunk(), name.last_chunk(), lower.last_chunk())
    {
        return half(a, b) && half(c, d);
    }
    name.eq_ignore_ascii_case(lower)
}

impl FieldId {
    /// The identifier of a name, whatever its case.
    #[inline]
    pub fn of(name: &[u8]) -> Self {
        let id = candidate(name);
        if is_same(name, id.lower()) { id } else { Self::Other }
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
    let id = candidate(name);
    let same =
        |(&byte, &known): (&u8, &u8)| byte.to_ascii_lowercase() == known || byte == b'_' && known == b'-';
    id != FieldId::Other
        && name.iter().zip(id.lower()).all(same)
        && DISGUISES.contains(&id)
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
