//! `[automatic_https]`

use std::path::PathBuf;
use std::time::Duration;

use super::tls::Switch;
use crate::decode::{OneOrMany, Spanned};
use crate::value::{Percent, Rate, Secret};

/// Whether certificates are obtained, and how.
pub type AutomaticHttps = Switch<Automatic>;

crate::section! {
    /// Certificates that obtain and renew themselves (ACME, RFC 8555), for every host of every route on a listener with
    /// TLS that no `[[certificate]]` covers. Names that only this machine or network knows (`localhost`, `*.internal`, IP
    /// addresses) get one of an authority of our own, which `usher trust` makes known to this machine.
    pub default struct Automatic {
        /// Whom the certificate authority tells of problems.
        pub email: Option<String>,
        /// The certificate authority, or several: the next is asked when one fails again and again.
        pub ca: OneOrMany<Spanned<CertificateAuthority>> = OneOrMany(vec![Spanned::nowhere(CertificateAuthority::letsencrypt())]),
        /// How to show that a host is ours; the next is tried when one fails. `dns-01` needs `dns`, and is the only one
        /// for `*.example.com`.
        pub challenges: OneOrMany<Spanned<ChallengeKind>> = OneOrMany([ChallengeKind::TlsAlpn01, ChallengeKind::Http01, ChallengeKind::Dns01].map(Spanned::nowhere).to_vec()),
        /// Who writes DNS records for `dns-01`.
        pub dns: Option<Spanned<DnsProvider>>,
        /// The kind of key.
        pub key_type: KeyType = KeyType::EcdsaP256,
        /// Where keys, certificates and accounts are kept. Without it, `/var/lib/usher` for root, else
        /// `$XDG_DATA_HOME/usher`.
        pub storage: Option<Spanned<PathBuf>>,
        /// Further hosts to obtain certificates for, such as `*.example.com`.
        pub hosts: OneOrMany<Spanned<String>> = OneOrMany::default(),
        /// Renew when this much of a certificate's life is left. Without it, when the authority says so (ARI, RFC 9773),
        /// else at a third.
        pub renew_at: Option<Percent>,
        /// Send clients that come by plain HTTP to HTTPS, on hosts with an automatic certificate.
        pub redirect: bool = true,
        /// Obtain certificates for unknown hosts when a client first asks for them.
        pub on_demand: Option<Spanned<OnDemand>>,
    }
}

crate::section! {
    /// A certificate authority: `letsencrypt`, `letsencrypt-staging`, `zerossl`, `google`, `google-staging`, `buypass`,
    /// `sslcom`, `actalis`, or the address of its directory.
    #[bare(directory)]
    pub struct CertificateAuthority {
        /// The name, or `https://…` of its directory.
        pub directory: Spanned<String>,
        /// Who signed the directory's own certificate (PEM), where the system does not know it.
        pub roots: Option<Spanned<PathBuf>>,
        /// The key identifier that binds the account to one that you have there already (EAB).
        pub eab_key_id: Option<String>,
        /// The key that goes with it (base64url).
        pub eab_hmac_key: Option<Secret>,
        /// One of the profiles that it offers, such as `shortlived`.
        pub profile: Option<String>,
        /// The common name of the root that the chain shall end at, where it offers several.
        pub preferred_chain: Option<String>,
    }
}

impl CertificateAuthority {
    fn letsencrypt() -> Self {
        Self {
            directory: Spanned::nowhere("letsencrypt".to_owned()),
            roots: None,
            eab_key_id: None,
            eab_hmac_key: None,
            profile: None,
            preferred_chain: None,
        }
    }
}

crate::names! {
    /// How it is shown that a host is ours.
    pub enum ChallengeKind {
        /// A file over plain HTTP on port 80.
        Http01 = "http-01",
        /// A special certificate on port 443.
        TlsAlpn01 = "tls-alpn-01",
        /// A record in DNS.
        Dns01 = "dns-01",
    }
}

crate::names! {
    /// A kind of key.
    pub enum KeyType {
        /// ECDSA on P-256: small and fast.
        EcdsaP256 = "ecdsa-p256",
        /// ECDSA on P-384.
        EcdsaP384 = "ecdsa-p384",
        /// RSA, 2048 bits, for very old clients.
        Rsa2048 = "rsa-2048",
    }
}

crate::names! {
    /// Who writes DNS records.
    pub enum DnsProviderName {
        /// A program of yours.
        Command = "command",
        /// A name server that takes signed updates (RFC 2136), such as BIND, Knot or PowerDNS.
        Rfc2136 = "rfc2136",
        /// Cloudflare.
        Cloudflare = "cloudflare",
        /// Amazon Route 53.
        Route53 = "route53",
        /// deSEC.
        Desec = "desec",
        /// An acme-dns server.
        AcmeDns = "acme-dns",
    }
}

crate::names! {
    /// How updates of DNS are signed (TSIG, RFC 8945).
    pub enum TsigAlgorithm {
        /// HMAC with SHA-256.
        HmacSha256 = "hmac-sha256",
        /// HMAC with SHA-384.
        HmacSha384 = "hmac-sha384",
        /// HMAC with SHA-512.
        HmacSha512 = "hmac-sha512",
    }
}

crate::section! {
    /// Who writes DNS records, and how it knows us. Which of the keys are needed depends on the provider.
    pub struct DnsProvider {
        /// The provider.
        pub provider: DnsProviderName,
        /// `command`: the program and its arguments. It is called with `set` or `remove`, the record's name and its
        /// value.
        pub command: Option<OneOrMany<String>>,
        /// `cloudflare`, `desec`: the API token.
        pub token: Option<Secret>,
        /// `rfc2136`: the name server, `192.0.2.1:53`.
        pub server: Option<Spanned<String>>,
        /// `rfc2136`: the name of the key (TSIG).
        pub key_name: Option<String>,
        /// `rfc2136`: the key itself, base64.
        pub key: Option<Secret>,
        /// `rfc2136`: how updates are signed; `hmac-sha256` unless told.
        pub key_algorithm: Option<TsigAlgorithm>,
        /// The zone that the record is in, where it cannot be found out: its name, or with `cloudflare` and `route53` its
        /// identifier.
        pub zone: Option<String>,
        /// `route53`: the access key.
        pub access_key_id: Option<String>,
        /// `route53`: the secret that goes with it.
        pub secret_access_key: Option<Secret>,
        /// `route53`: the session token, where the access key is a temporary one.
        pub session_token: Option<Secret>,
        /// `acme-dns`: the user.
        pub username: Option<String>,
        /// `acme-dns`: the password.
        pub password: Option<Secret>,
        /// `acme-dns`: the subdomain of the account.
        pub subdomain: Option<String>,
        /// The address of the API, in place of the provider's own.
        pub url: Option<Spanned<String>>,
        /// `cloudflare`, `route53`, `desec`, `rfc2136`: if `_acme-challenge.NAME` is a CNAME, write the record where it
        /// leads. That may be a zone of its own, so that the credentials need not reach the real one.
        pub follow_cname: bool = true,
        /// Ask these name servers whether the record is there already, in place of the zone's own.
        pub resolvers: OneOrMany<Spanned<String>> = OneOrMany::default(),
        /// How long to wait for the record to be there.
        #[range(Duration::ZERO..=Duration::from_secs(3600))]
        pub propagation: Duration = Duration::from_secs(120),
    }
}

crate::section! {
    /// Certificates for hosts that are first heard of when a client asks for them. `ask` or `hosts` must say which are
    /// ours: without that, anybody could have thousands issued.
    pub struct OnDemand {
        /// Asked with `?domain=NAME`: 200 is yes, anything else is no.
        pub ask: Option<Spanned<String>>,
        /// Allowed hosts; `*.example.com` is for one label below it.
        pub hosts: OneOrMany<Spanned<String>> = OneOrMany::default(),
        /// How many may be obtained per time.
        pub rate: Rate = Rate { count: 10, per: Duration::from_secs(60) },
        /// How many there may be in all.
        #[range(1..=100_000)]
        pub max: u32 = 10_000,
    }
}
