//! The section `client_certificate`.

use usher_config::{OneOrMany, Spanned};

usher_config::section! {
    /// Lets only clients with a certificate in, that the listener's `tls.client_certificate` has verified.
    pub default struct ClientCertificate {
        /// Whether clients without one are refused, with 403.
        pub required: bool = true,
        /// Only these subjects, as `tls.client.subject` has them; `*` stands for any text.
        pub subject: OneOrMany<Spanned<String>> = OneOrMany::default(),
        /// Only certificates with one of these alternative names: `DNS:app.internal`, `URI:spiffe://site/*`,
        /// `email:*@example.com`.
        pub san: OneOrMany<Spanned<String>> = OneOrMany::default(),
        /// Only these certificates: SHA-256 in hexadecimal digits, with or without colons.
        pub fingerprint: OneOrMany<Spanned<String>> = OneOrMany::default(),
        /// Tell endpoints of it, in the field `Client-Cert` (RFC 9440).
        pub forward: bool = false,
    }
}
