//! `[tls]`, `[[certificate]]`, and the `tls` of listeners and clusters.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::Endpoint;
use crate::decode::{Context, Decode, OneOrMany, Spanned};
use crate::document::{Node, Value};
use crate::schema::Schema;

crate::names! {
    /// Which versions and cipher suites of TLS are spoken.
    pub enum TlsPolicy {
        /// TLS 1.2 and 1.3, with forward secrecy and authenticated encryption only. Every client of the last ten years
        /// speaks it.
        Intermediate = "intermediate",
        /// TLS 1.3 only.
        Modern = "modern",
    }
}

crate::names! {
    /// A version of HTTP on the wire.
    pub enum Protocol {
        /// HTTP/1.0 and 1.1.
        H1 = "h1",
        /// HTTP/2. Without TLS, clients begin with it at once ("prior knowledge").
        H2 = "h2",
        /// HTTP/3, over UDP on the port of the listener. It needs TLS.
        H3 = "h3",
    }
}

crate::section! {
    /// What holds for TLS on every listener that has it.
    pub default struct Tls {
        /// Which versions and cipher suites are spoken.
        pub policy: TlsPolicy = TlsPolicy::Intermediate,
        /// Give clients a ticket with which they come back at less cost. Tickets are encrypted with keys that change
        /// twice a day and never leave the memory of the process, unless `ticket_keys` says otherwise.
        pub session_tickets: bool = true,
        /// Files with 48 or 80 secret bytes each (`openssl rand 80 > key`), for several machines that shall know each
        /// other's tickets. The first encrypts, all decrypt. Changing them is yours then.
        pub ticket_keys: Option<OneOrMany<Spanned<PathBuf>>>,
        /// Fetch proofs that certificates are not revoked (OCSP) and hand them to clients, where the certificate names
        /// a server for it.
        pub ocsp_stapling: bool = true,
    }
}

crate::section! {
    /// A certificate from files. They are read again when they change, without a reload. The hosts are those that the
    /// certificate names; of several for one host, clients get the one whose kind of key they know.
    pub struct Certificate {
        /// The certificate, and behind it those of the authorities in between (PEM): `fullchain.pem`.
        pub cert: Spanned<PathBuf>,
        /// Its private key (PEM).
        pub key: Spanned<PathBuf>,
        /// Show it to clients that ask for an unknown host or for none. Without such a certificate they are refused.
        pub default: bool = false,
    }
}

crate::section! {
    /// TLS on a listener.
    pub default struct ListenerTls {
        /// In place of `tls.policy`.
        pub policy: Option<TlsPolicy>,
        /// Ask clients for a certificate.
        pub client_certificate: Option<ClientCertificate>,
        /// Obtain certificates for the hosts of its routes, as `[automatic_https]` says.
        pub automatic: bool = true,
        /// Take requests in the first packet of a returning client (0-RTT, HTTP/3). They may be sent twice by an
        /// attacker: only `GET`, `HEAD` and `OPTIONS` are taken, with `Early-Data: 1`; an endpoint that does not want
        /// one answers 425.
        pub early_data: bool = false,
        /// Connections that are passed on as they are, still encrypted, by the host that the client names.
        pub passthrough: Vec<Spanned<Passthrough>> = Vec::new(),
    }
}

crate::section! {
    /// Hosts whose connections are passed on still encrypted. Either `cluster` or `to` is set.
    pub struct Passthrough {
        /// `example.com`, or `*.example.com` for its subdomains.
        pub host: OneOrMany<Spanned<String>>,
        /// The name of a cluster.
        pub cluster: Option<Spanned<String>>,
        /// One or more endpoints, as a cluster without a name.
        pub to: Option<OneOrMany<Spanned<Endpoint>>>,
    }
}

crate::section! {
    /// The certificates of clients.
    #[bare(ca)]
    pub struct ClientCertificate {
        /// The authorities that sign them (PEM).
        pub ca: OneOrMany<Spanned<PathBuf>>,
        /// Whether clients without one are refused in the handshake. Else routes say so, by `client_certificate`.
        pub mode: ClientCertificateMode = ClientCertificateMode::Required,
        /// Lists of those that were revoked (PEM or DER, version 2): one of each authority that signs clients.
        pub crl: OneOrMany<Spanned<PathBuf>> = OneOrMany::default(),
    }
}

crate::names! {
    /// Whether clients must have a certificate.
    pub enum ClientCertificateMode {
        /// A client without one is refused.
        Required = "required",
        /// A client may have one; if it does, it must be a good one.
        Optional = "optional",
    }
}

crate::section! {
    /// TLS towards the endpoints of a cluster. Endpoints written as `https://…` have it with these defaults.
    pub default struct ClusterTls {
        /// Check that the endpoint's certificate is signed by a known authority and is for its name. `false` protects
        /// from listeners only, not from impostors.
        pub verify: bool = true,
        /// The name that the certificate must have, and that the endpoint is told (SNI). Without it, the host of the
        /// endpoint's address.
        pub server_name: Option<Spanned<String>>,
        /// The authorities that sign endpoints' certificates (PEM), in place of those that the system trusts. An endpoint
        /// that signed its own is named by that.
        pub ca: Option<Spanned<PathBuf>>,
        /// A certificate to show to endpoints (PEM), with `key`.
        pub cert: Option<Spanned<PathBuf>>,
        /// Its private key (PEM).
        pub key: Option<Spanned<PathBuf>>,
        /// In place of `tls.policy`.
        pub policy: Option<TlsPolicy>,
    }
}

crate::names! {
    /// How endpoints are spoken to.
    pub enum UpstreamProtocol {
        /// HTTP/2 where an endpoint offers it in the TLS handshake, else HTTP/1.1.
        Auto = "auto",
        /// HTTP/1.1.
        H1 = "h1",
        /// HTTP/2; without TLS, at once ("prior knowledge").
        H2 = "h2",
        /// HTTP/3. It needs TLS.
        H3 = "h3",
    }
}

/// A key that is `true`, `false`, or a table with more.
#[derive(Debug, Clone, Default)]
pub enum Switch<T> {
    /// `false`
    #[default]
    Off,
    /// `true`, or a table.
    On(T),
}

impl<T> Switch<T> {
    /// What is set, if it is on.
    pub fn on(&self) -> Option<&T> {
        match self {
            Self::Off => None,
            Self::On(value) => Some(value),
        }
    }
}

impl<T: Decode + Default> Decode for Switch<T> {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        match (&node.value, node.as_str()) {
            (Value::Bool(false), _) | (_, Some("off")) => Some(Self::Off),
            (Value::Bool(true), _) | (_, Some("on")) => Some(Self::On(T::default())),
            (Value::Table(_), _) => T::decode(node, cx).map(Self::On),
            _ => {
                cx.wrong_type(node, "`true`, `false` or a table");
                None
            }
        }
    }

    fn schema() -> Schema {
        Schema::any_of(vec![bool::schema(), T::schema()])
    }

    fn encode(&self) -> serde_json::Value {
        match self {
            Self::Off => json!(false),
            Self::On(value) => value.encode(),
        }
    }
}

/// How long a client may take for a TLS handshake, unless the config says otherwise.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(10);
