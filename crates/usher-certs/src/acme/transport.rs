//! What carries ACME requests: our HTTP client, with what the protocol's library does not look at noted on the way.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{HeaderValue, LINK, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, Response};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};

use crate::http::{self, Http, HttpError, Reply};

/// How long a directory is used before it is fetched again.
const DIRECTORY_AGE: Duration = Duration::from_secs(3600);
/// When to ask for the renewal window again if the CA does not say (RFC 9773 section 4.3.3): six hours.
const WINDOW_RETRY: HeaderValue = HeaderValue::from_static("21600");
/// Chains that a CA may offer beside the first one.
const MAX_ALTERNATES: usize = 10;

/// Directories that were fetched lately, by URL; shared by all orders.
#[derive(Clone, Debug, Default)]
pub(crate) struct Directories(Arc<Mutex<HashMap<String, (Instant, Bytes)>>>);

impl Directories {
    fn table(&self) -> MutexGuard<'_, HashMap<String, (Instant, Bytes)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whatever was fetched may be out of date.
    pub(crate) fn forget(&self, url: &str) {
        self.table().remove(url);
    }
}

/// What was seen in responses of one order.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// `Retry-After` of the last response that was an error.
    pub(crate) retry_after: Option<SystemTime>,
    /// Other chains of the certificate (RFC 8555 section 7.4.2, link relation `alternate`).
    pub(crate) alternates: Vec<String>,
    /// The body of the last response that was a chain.
    pub(crate) chain: Option<Bytes>,
}

/// The transport of one order.
#[derive(Clone)]
pub(crate) struct Transport {
    http: Http,
    directory: String,
    directories: Directories,
    seen: Arc<Mutex<Seen>>,
}

impl Transport {
    pub(crate) fn new(http: Http, directory: &str, directories: Directories) -> Self {
        Self { http, directory: directory.to_owned(), directories, seen: Arc::default() }
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn exchange(self, mut request: Request<Full<Bytes>>) -> Result<BytesResponse, Error> {
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(http::USER_AGENT));
        let host = request.uri().host().unwrap_or_default().to_owned();
        let fetch = request.method() == Method::GET;
        let directory = fetch && request.uri().to_string() == self.directory;
        if directory && let Some(body) = self.fresh_directory() {
            return Ok(BytesResponse::from(Response::new(Full::new(body))));
        }
        let reply = self.http.send(request).await.map_err(|error| Error::Other(Box::new(error)))?;
        self.look(&reply);
        check(&reply, host).map_err(|error| Error::Other(Box::new(error)))?;
        if directory {
            self.directories.table().insert(self.directory.clone(), (Instant::now(), reply.body.clone()));
        }
        let mut response = Response::new(Full::new(reply.body));
        *response.status_mut() = hyper::StatusCode::from_u16(reply.status).unwrap_or_default();
        *response.headers_mut() = reply.headers;
        if fetch && !response.headers().contains_key(RETRY_AFTER) {
            response.headers_mut().insert(RETRY_AFTER, WINDOW_RETRY);
        }
        Ok(BytesResponse::from(response))
    }

    fn fresh_directory(&self) -> Option<Bytes> {
        let table = self.directories.table();
        let (fetched, body) = table.get(&self.directory)?;
        (fetched.elapsed() < DIRECTORY_AGE).then(|| body.clone())
    }

    fn look(&self, reply: &Reply) {
        let mut seen = self.seen();
        if reply.status >= 400 {
            seen.retry_after = http::retry_after(&reply.headers, SystemTime::now());
        }
        if reply.is_success() && reply.body.starts_with(b"-----BEGIN CERTIFICATE") {
            seen.chain = Some(reply.body.clone());
            let links = reply.headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
            let found: Vec<String> = links.flat_map(|value| value.split(',')).filter_map(alternate).collect();
            if !found.is_empty() {
                seen.alternates = found.into_iter().take(MAX_ALTERNATES).collect();
            }
        }
    }
}

/// The target of a link of the relation `alternate` (RFC 8288).
fn alternate(link: &str) -> Option<String> {
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let relation = parameters.split(';').filter_map(|one| one.trim().strip_prefix("rel=")).next()?;
    relation.trim_matches('"').eq_ignore_ascii_case("alternate").then(|| target.to_owned())
}

/// An error that is no problem document (RFC 7807) came from something before the CA, such as a load balancer.
fn check(reply: &Reply, host: String) -> Result<(), HttpError> {
    if reply.status < 400 || reply.json().is_object() {
        return Ok(());
    }
    Err(HttpError {
        host,
        what: format!("answered with status {}", reply.status),
        status: Some(reply.status),
        retry_after: http::retry_after(&reply.headers, SystemTime::now()),
    })
}

impl HttpClient for Transport {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let this = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = match body.collect().await {
                Ok(body) => body.to_bytes(),
                Err(never) => match never {},
            };
            this.exchange(Request::from_parts(parts, Full::new(body))).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::alternate;

    #[test]
    fn reads_links() {
        let cases = [
            ("<https://ca/1>;rel=\"alternate\"", Some("https://ca/1")),
            (" <https://ca/2>; title=x; rel=alternate ", Some("https://ca/2")),
            ("<https://ca/3>;rel=\"up\"", None),
            ("https://ca/4;rel=alternate", None),
            ("<https://ca/5", None),
        ];
        for (link, target) in cases {
            assert_eq!(alternate(link).as_deref(), target, "{link}");
        }
    }
}
