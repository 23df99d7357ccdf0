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

/// The names of one length: a lookup compares with these only.
#[inline]
const fn of_length(len: usize) -> &'static [FieldId] {
    use FieldId as F;
    match len {
        2 => &[F::Te],
        3 => &[F::Via],
        4 => &[F::Host, F::Date],
        6 => &[F::Accept, F::Cookie, F::Server, F::Expect],
        7 => &[F::Upgrade, F::Trailer],
        8 => &[F::Location],
        9 => &[F::XRealIp, F::Forwarded],
        10 => &[F::Connection, F::UserAgent, F::KeepAlive, F::SetCookie],
        12 => &[F::ContentType, F::XRequestId],
        13 => &[F::CacheControl, F::Authorization],
        14 => &[F::ContentLength, F::Http2Settings],
        15 => &[F::XForwardedFor],
        16 => &[F::XForwardedHost, F::XForwardedPort, F::ProxyConnection],
        17 => &[F::XForwardedProto, F::TransferEncoding],
        18 => &[F::ProxyAuthenticate],
        19 => &[F::ProxyAuthorization],
        _ => &[],
    }
}

impl FieldId {
    /// The identifier of a name, whatever its case.
    #[inline]
    pub fn of(name: &[u8]) -> Self {
        for &id in of_length(name.len()) {
            if name.eq_ignore_ascii_case(id.as_str().as_bytes()) {
                return id;
            }
        }
        Self::Other
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

/// Whether a name is one of [`DISGUISES`] with `_` for a `-`.
pub(super) fn is_disguised(name: &[u8]) -> bool {
    let same = |(&byte, known): (&u8, u8)| byte.eq_ignore_ascii_case(&known) || byte == b'_' && known == b'-';
    name.contains(&b'_')
        && DISGUISES
            .iter()
            .any(|id| name.len() == id.as_str().len() && name.iter().zip(id.as_str().bytes()).all(same))
}
