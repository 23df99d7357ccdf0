//! `/clusters`: how endpoints stand, and changes at run time.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use usher_api::clusters::{Edit, EditKind, EndpointChange, Refused, Versioned, Wanted};

use crate::pages::{Site, lines, off_thread};

/// The largest weight that an endpoint can have.
const MAX_WEIGHT: u64 = 65_535;

pub(crate) async fn all(State(site): State<Site>) -> Response {
    let json =
        off_thread(move || site.registry.clusters().map_or("[]".to_owned(), |clusters| clusters.json()))
            .await;
    json.map_or_else(IntoResponse::into_response, |text| {
        ([(header::CONTENT_TYPE, "application/json")], text).into_response()
    })
}

pub(crate) async fn change(State(site): State<Site>, Path(name): Path<String>, body: Bytes) -> Response {
    let changes = match parse(&body) {
        Ok(changes) => changes,
        Err(why) => return (StatusCode::BAD_REQUEST, lines(why)).into_response(),
    };
    let changed = move || match site.registry.clusters() {
        Some(clusters) => clusters.change(&name, &changes),
        None => Err(Refused::Unknown("there are no clusters".to_owned())),
    };
    match off_thread(changed).await {
        Ok(Ok(done)) => lines(done).into_response(),
        Ok(Err(Refused::Busy(why))) => (StatusCode::SERVICE_UNAVAILABLE, lines(why)).into_response(),
        Ok(Err(Refused::Unknown(why) | Refused::Changed(why))) => {
            (StatusCode::NOT_FOUND, lines(why)).into_response()
        }
        Ok(Err(why @ Refused::Wrong(_))) => refused(why),
        Err(failed) => failed.into_response(),
    }
}

pub(crate) async fn hold(State(site): State<Site>, Path(name): Path<String>, body: Bytes) -> Response {
    let open = match parse_hold(&body) {
        Ok(open) => open,
        Err(why) => return (StatusCode::BAD_REQUEST, lines(why)).into_response(),
    };
    let held = move || match site.registry.clusters() {
        Some(clusters) => clusters.hold(&name, open),
        None => Err("there are no clusters".to_owned()),
    };
    match off_thread(held).await {
        Ok(Ok(done)) => lines(done).into_response(),
        Ok(Err(why)) => (StatusCode::NOT_FOUND, lines(why)).into_response(),
        Err(failed) => failed.into_response(),
    }
}

pub(crate) async fn endpoints(State(site): State<Site>, Path(name): Path<String>) -> Response {
    let found = move || site.registry.clusters().and_then(|clusters| clusters.endpoints(&name)).ok_or(name);
    match off_thread(found).await {
        Ok(Ok(Versioned { text, version })) => {
            let fields =
                [(header::CONTENT_TYPE, "application/json".to_owned()), (header::ETAG, quoted(&version))];
            (fields, text).into_response()
        }
        Ok(Err(name)) => refused(Refused::Unknown(format!("there is no cluster `{name}`"))),
        Err(failed) => failed.into_response(),
    }
}

/// How a circuit is to be: open, closed, or, with None, as requests go.
fn parse_hold(body: &[u8]) -> Result<Option<bool>, String> {
    const FORM: &str = r#"write {"state": "open"}, "closed" or "auto""#;
    let document: Value =
        serde_json::from_slice(body).map_err(|error| format!("not JSON: {error}; {FORM}"))?;
    let only = document.as_object().filter(|wanted| wanted.len() == 1).and_then(|wanted| wanted.get("state"));
    match only.and_then(Value::as_str) {
        Some("open") => Ok(Some(true)),
        Some("closed") => Ok(Some(false)),
        Some("auto") => Ok(None),
        _ => Err(format!("not a state of a circuit; {FORM}")),
    }
}

pub(crate) async fn edit(
    State(site): State<Site>,
    Path(name): Path<String>,
    headers: HeaderMap,
    (kind, body): (EditKind, Bytes),
) -> Response {
    let edit = Edit { kind, body: body.to_vec(), expected: expected(&headers) };
    let edited = move || match site.registry.clusters() {
        Some(clusters) => clusters.edit(&name, edit),
        None => Err(Refused::Unknown("there are no clusters".to_owned())),
    };
    match off_thread(edited).await {
        Ok(Ok(Versioned { text, version })) => {
            ([(header::ETAG, quoted(&version))], lines(text)).into_response()
        }
        Ok(Err(why)) => refused(why),
        Err(failed) => failed.into_response(),
    }
}

/// The version that `If-Match` names; `*` means any (RFC 9110, section 13.1.1).
fn expected(headers: &HeaderMap) -> Option<String> {
    let named = headers.get(header::IF_MATCH)?.to_str().unwrap_or_default().trim();
    (named != "*").then(|| named.trim_matches('"').to_owned())
}

fn quoted(version: &str) -> String {
    format!("\"{version}\"")
}

/// As RFC 9457 has it, with all mistakes.
fn refused(why: Refused) -> Response {
    let mut etag = None;
    let (status, title, errors) = match why {
        Refused::Unknown(text) => (StatusCode::NOT_FOUND, text, Vec::new()),
        Refused::Wrong(errors) => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "nothing was changed: the document is wrong".to_owned(),
            errors,
        ),
        Refused::Changed(version) => {
            let text =
                format!("nothing was changed: somebody else has changed the endpoints; now `{version}`");
            etag = Some(quoted(&version));
            (StatusCode::PRECONDITION_FAILED, text, Vec::new())
        }
        Refused::Busy(text) => (StatusCode::SERVICE_UNAVAILABLE, text, Vec::new()),
    };
    let errors: Vec<Value> =
        errors.iter().map(|(pointer, detail)| json!({ "pointer": pointer, "detail": detail })).collect();
    let problem = json!({ "status": status.as_u16(), "title": title, "errors": errors });
    let mut response =
        (status, [(header::CONTENT_TYPE, "application/problem+json")], problem.to_string()).into_response();
    if let Some(etag) = etag.and_then(|etag| etag.parse().ok()) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

/// What is wanted of each endpoint.
fn parse(body: &[u8]) -> Result<Vec<EndpointChange>, String> {
    const FORM: &str = r#"write {"10.0.0.1:3000": {"state": "drain"}}"#;
    let document: Value =
        serde_json::from_slice(body).map_err(|error| format!("not JSON: {error}; {FORM}"))?;
    let endpoints = document.as_object().ok_or_else(|| format!("not an object; {FORM}"))?;
    if endpoints.is_empty() {
        return Err(format!("no endpoint is named; {FORM}"));
    }
    endpoints.iter().map(|(endpoint, wanted)| one(endpoint, wanted.as_object())).collect()
}

fn one(endpoint: &str, wanted: Option<&Map<String, Value>>) -> Result<EndpointChange, String> {
    let wanted = wanted.ok_or_else(|| format!("`{endpoint}` needs an object with `state` or `weight`"))?;
    if let Some(unknown) = wanted.keys().find(|key| !matches!(key.as_str(), "state" | "weight")) {
        return Err(format!("`{endpoint}` has an unknown key `{unknown}`; there are `state` and `weight`"));
    }
    let state = wanted.get("state").map(|state| {
        let named = state.as_str().and_then(Wanted::named);
        named.ok_or_else(|| format!("`{endpoint}`: {state} is not a state; use ready, drain or disable"))
    });
    let weight = wanted.get("weight").map(|weight| match weight {
        Value::Null => Ok(None),
        _ => match weight.as_u64().filter(|weight| *weight <= MAX_WEIGHT) {
            Some(weight) => Ok(Some(weight as u32)),
            None => Err(format!("`{endpoint}`: {weight} is not a weight; use 0 to {MAX_WEIGHT}, or null")),
        },
    });
    Ok(EndpointChange {
        endpoint: endpoint.to_owned(),
        state: state.transpose()?,
        weight: weight.transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wants_are_read() {
        let body = br#"{"a:1": {"state": "drain", "weight": 5}, "b:1": {"weight": null}, "c:1": {}}"#;
        let change =
            |endpoint: &str, state, weight| EndpointChange { endpoint: endpoint.into(), state, weight };
        let expected = [
            change("a:1", Some(Wanted::Drain), Some(Some(5))),
            change("b:1", None, Some(None)),
            change("c:1", None, None),
        ];
        assert_eq!(parse(body).unwrap(), expected);
    }

    #[test]
    fn states_of_circuits_are_read() {
        for (body, state) in [("open", Some(true)), ("closed", Some(false)), ("auto", None)] {
            assert_eq!(parse_hold(format!(r#"{{"state": "{body}"}}"#).as_bytes()), Ok(state));
        }
        for body in ["", "[]", "{}", r#"{"state": "half-open"}"#, r#"{"state": "open", "for": 3}"#] {
            assert!(
                parse_hold(body.as_bytes()).unwrap_err().contains(r#"write {"state": "open"}"#),
                "{body}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (body, said) in [
            ("", "not JSON"),
            ("[]", "not an object"),
            ("{}", "no endpoint is named"),
            (r#"{"a:1": 3}"#, "needs an object"),
            (r#"{"a:1": {"stat": "drain"}}"#, "unknown key `stat`"),
            (r#"{"a:1": {"state": "off"}}"#, "\"off\" is not a state"),
            (r#"{"a:1": {"weight": -1}}"#, "-1 is not a weight"),
            (r#"{"a:1": {"weight": 65536}}"#, "65536 is not a weight"),
        ] {
            let why = parse(body.as_bytes()).unwrap_err();
            assert!(why.contains(said), "{body}: {why}");
        }
    }
}
