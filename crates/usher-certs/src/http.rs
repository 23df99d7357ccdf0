//! The HTTP client of this crate: for ACME, the APIs of DNS hosts, ask endpoints and OCSP responders.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{HeaderMap, RETRY_AFTER};
use hyper::{Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// How long a request may take, from the connection to the last byte of the response.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);
/// How long a connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// The largest body of a response, in bytes.
const MAX_BODY: usize = 1 << 20;
/// Idle connections to a host that are kept.
const MAX_IDLE: usize = 2;
/// Who asks.
pub(crate) const USER_AGENT: &str = concat!("usher/", env!("CARGO_PKG_VERSION"));

/// Why there is no response.
#[derive(Clone, Debug)]
pub(crate) struct HttpError {
    /// Whom was asked.
    pub(crate) host: String,
    pub(crate) what: String,
    /// The response's status, if there was one.
    pub(crate) status: Option<u16>,
    /// The response said to come back then.
    pub(crate) retry_after: Option<SystemTime>,
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.host, self.what)
    }
}

impl Error for HttpError {}

/// A response, whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as JSON; null if it is none.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The beginning of the body, for a message: one line, printable.
    pub(crate) fn excerpt(&self) -> String {
        excerpt(&String::from_utf8_lossy(&self.body))
    }
}

/// The beginning of a foreign text, for a message: one line, printable, at most 300 characters.
pub(crate) fn excerpt(text: &str) -> String {
    let text: String = text.trim().chars().take(300).collect();
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A client with its connections. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    inner: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Http {
    /// Trusts these roots (PEM), or those of the system.
    pub(crate) fn new(roots: Option<&[u8]>) -> Result<Self, String> {
        let roots = match roots {
            Some(pem) => own_roots(pem)?,
            None => system_roots()?,
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config =
            config.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth();
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(CONNECT_LIMIT));
        let builder = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1();
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(MAX_IDLE)
            .build(builder.wrap_connector(http));
        Ok(Self { inner: client })
    }

    /// Sends a request and reads the whole response, both bounded.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Reply, HttpError> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let error = |what: String| HttpError { host: host.clone(), what, status: None, retry_after: None };
        let exchange = async {
            let response = self.inner.request(request).await.map_err(|cause| error(unreachable(&cause)))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, MAX_BODY).collect().await;
            let body = body.map_err(|cause| error(format!("broke off its response: {cause}")))?.to_bytes();
            Ok(Reply { status: parts.status.as_u16(), headers: parts.headers, body })
        };
        match tokio::time::timeout(REQUEST_LIMIT, exchange).await {
            Ok(result) => result,
            Err(_) => Err(error(format!("did not answer within {} s", REQUEST_LIMIT.as_secs()))),
        }
    }

    /// Sends a request with a body of some type and these further fields.
    pub(crate) async fn call(
        &self,
        method: &str,
        url: &str,
        fields: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Reply, HttpError> {
        let uri: Result<Uri, _> = url.parse();
        let broken =
            |cause: String| HttpError { host: url.to_owned(), what: cause, status: None, retry_after: None };
        let uri = uri.map_err(|cause| broken(format!("is not a URL: {cause}")))?;
        let mut request = Request::builder().method(method).uri(uri).header("user-agent", USER_AGENT);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body)));
        self.send(request.map_err(|cause| broken(format!("cannot be asked: {cause}")))?).await
    }
}

/// The innermost causes say most: "connection refused", "certificate has expired".
fn unreachable(error: &dyn Error) -> String {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    match causes.last() {
        Some(cause) => format!("cannot be reached: {cause}"),
        None => format!("cannot be reached: {error}"),
    }
}

fn own_roots(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate =
            certificate.map_err(|error| format!("the root certificates cannot be read: {error}"))?;
        roots.add(certificate).map_err(|error| format!("a root certificate cannot be used: {error}"))?;
    }
    if roots.is_empty() { Err("there is no root certificate in the file".to_owned()) } else { Ok(roots) }
}

fn system_roots() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if !roots.is_empty() {
        return Ok(roots);
    }
    let why = found.errors.first().map_or_else(String::new, |error| format!(": {error}"));
    Err(format!("the system has no root certificates{why}; install the package `ca-certificates`"))
}

/// When `Retry-After` says to come back (RFC 9110 section 10.2.3).
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<SystemTime> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match value.parse::<u32>() {
        Ok(seconds) => now.checked_add(Duration::from_secs(seconds.into())),
        Err(_) => httpdate::parse_http_date(value).ok(),
    }
}

/// A value in a query or form: everything but unreserved characters is escaped (RFC 3986 section 2.3).
pub(crate) fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(byte.into());
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}
