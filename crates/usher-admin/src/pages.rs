//! What each path answers.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post, put};

use usher_api::clusters::EditKind;
use usher_api::metrics::Registry;

use crate::guard::Guard;
use crate::{Control, clusters, metrics, shifts};

const INDEX: &str = "Usher, the admin endpoint

GET  /metrics  all numbers as Prometheus text
GET  /healthz  200 while the process lives
GET  /readyz   200 while requests are served, 503 before that and while draining
GET  /certificates  all certificates as JSON: names, issuer, expiry, what failed last
POST /certificates/renew?name=NAME  obtains a new one now
GET  /clusters  all clusters as JSON: endpoints, weights, who is out and why
PATCH /clusters/NAME  changes endpoints at run time, all of them or none, by JSON such as
               {\"10.0.0.1:3000\": {\"state\": \"drain\", \"weight\": 5}}; states are ready, drain, disable
GET  /shifts  splits that move by themselves, as JSON: what the new target takes, the numbers of both sides
POST /shifts/ROUTE/ORDER  pause, resume, advance, promote, abort or restart
PUT  /clusters/NAME/breaker  holds its circuit: {\"state\": \"open\"} or \"closed\", or lets its requests decide: \"auto\"
GET   /clusters/NAME/endpoints  the same of one cluster; its version is the ETag
PATCH /clusters/NAME/endpoints  adds, removes and changes endpoints, all of them or none, by JSON such as
               {\"add\": [{\"address\": \"10.0.0.9:3000\", \"weight\": 2}], \"remove\": [\"10.0.0.1:3000\"],
               \"set\": {\"10.0.0.2:3000\": {\"state\": \"drain\"}}}; with If-Match only if nobody did meanwhile
PUT   /clusters/NAME/endpoints  makes {\"endpoints\": […]} all that there are
POST  /clusters/NAME/endpoints  adds one
POST /reload   reads the config anew: 200, or 422 and what is wrong with it
POST /upgrade  lets another process of the binary on disk take over: 200, or 422 and why it did not
               (send `X-Usher-Admin: 1`, which keeps web pages from doing so)
";

/// What pages need.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) registry: Arc<Registry>,
    pub(crate) control: Arc<dyn Control>,
    pub(crate) guard: Guard,
}

pub(crate) fn router(site: Site) -> Router {
    Router::new()
        .route("/", get(|| async { INDEX }))
        .route("/metrics", get(all_metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/reload", post(reload))
        .route("/upgrade", post(upgrade))
        .route("/certificates", get(certificates))
        .route("/certificates/renew", post(renew))
        .route("/clusters", get(clusters::all))
        .route("/clusters/{name}", patch(clusters::change))
        .route("/shifts", get(shifts::all))
        .route("/shifts/{route}/{order}", post(shifts::order))
        .route("/clusters/{name}/breaker", put(clusters::hold))
        .route(
            "/clusters/{name}/endpoints",
            get(clusters::endpoints)
                .patch(|site, name, headers, body| {
                    clusters::edit(site, name, headers, (EditKind::Patch, body))
                })
                .put(|site, name, headers, body| {
                    clusters::edit(site, name, headers, (EditKind::Replace, body))
                })
                .post(|site, name, headers, body| clusters::edit(site, name, headers, (EditKind::Add, body))),
        )
        .fallback(|| async { (StatusCode::NOT_FOUND, "no such page; / lists those that exist\n") })
        .layer(middleware::from_fn_with_state(site.clone(), check))
        .with_state(site)
}

/// Refuses what a web page could have sent, before any page is asked.
async fn check(State(site): State<Site>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let safe = matches!(*request.method(), Method::GET | Method::HEAD);
    let mut response = if !site.guard.knows_host(headers) {
        let why = "the Host is not an address of this endpoint; ask by address or as localhost\n";
        (StatusCode::MISDIRECTED_REQUEST, why).into_response()
    } else if !safe && !site.guard.is_deliberate(headers) {
        (StatusCode::FORBIDDEN, "send the header `X-Usher-Admin: 1` to show that no web page asks\n")
            .into_response()
    } else {
        next.run(request).await
    };
    for (name, value) in &PROTECTION {
        response.headers_mut().insert(name.clone(), value.clone());
    }
    response
}

/// On every response: not to be kept, not to be taken for anything else, not to be framed.
static PROTECTION: [(HeaderName, HeaderValue); 3] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
];

async fn all_metrics(State(site): State<Site>) -> Response {
    let rendered = off_thread(move || metrics::render(&site.registry)).await;
    rendered.map_or_else(IntoResponse::into_response, |text| {
        ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
    })
}

async fn ready(State(site): State<Site>) -> Response {
    match off_thread(move || site.control.ready()).await {
        Ok(Ok(())) => "ready\n".into_response(),
        Ok(Err(why)) => (StatusCode::SERVICE_UNAVAILABLE, lines(why)).into_response(),
        Err(failed) => failed.into_response(),
    }
}

async fn reload(State(site): State<Site>) -> Response {
    match off_thread(move || site.control.reload()).await {
        Ok(Ok(report)) => lines(report).into_response(),
        Ok(Err(report)) => (StatusCode::UNPROCESSABLE_ENTITY, lines(report)).into_response(),
        Err(failed) => failed.into_response(),
    }
}

async fn upgrade(State(site): State<Site>) -> Response {
    match off_thread(move || site.control.upgrade()).await {
        Ok(Ok(report)) => lines(report).into_response(),
        Ok(Err(report)) => (StatusCode::UNPROCESSABLE_ENTITY, lines(report)).into_response(),
        Err(failed) => failed.into_response(),
    }
}

async fn certificates(State(site): State<Site>) -> Response {
    let json =
        off_thread(move || site.registry.certificates().map_or("[]".to_owned(), |report| report.json()))
            .await;
    json.map_or_else(IntoResponse::into_response, |text| {
        ([(header::CONTENT_TYPE, "application/json")], text).into_response()
    })
}

async fn renew(State(site): State<Site>, request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let name = query.strip_prefix("name=").unwrap_or_default().to_owned();
    let shown = name.clone();
    let renewed = move || match site.registry.certificates() {
        Some(report) => report.renew(&name),
        None => Err("no listener has TLS".to_owned()),
    };
    match off_thread(renewed).await {
        Ok(Ok(())) => lines(format!("a new certificate for `{shown}` is being obtained")).into_response(),
        Ok(Err(why)) => (StatusCode::NOT_FOUND, lines(why)).into_response(),
        Err(failed) => failed.into_response(),
    }
}

/// Runs what may wait where it holds up no other request.
pub(crate) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, (StatusCode, &'static str)> {
    let failed = (StatusCode::INTERNAL_SERVER_ERROR, "a defect of Usher; see its log\n");
    tokio::task::spawn_blocking(work).await.map_err(|_| failed)
}

/// The text with a newline at its end.
pub(crate) fn lines(mut text: String) -> String {
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}
