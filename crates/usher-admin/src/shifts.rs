//! `/shifts`: splits that move by themselves, and what is done with them at run time.

use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use usher_api::shifts::ShiftOrder;

use crate::pages::{Site, lines, off_thread};

pub(crate) async fn all(State(site): State<Site>) -> Response {
    let json = move || site.registry.shifts().map_or("[]".to_owned(), |shifts| shifts.json());
    off_thread(json).await.map_or_else(IntoResponse::into_response, |text| {
        ([(header::CONTENT_TYPE, "application/json")], text).into_response()
    })
}

pub(crate) async fn order(
    State(site): State<Site>,
    Path((route, order)): Path<(String, String)>,
    _: Request,
) -> Response {
    let Some(order) = ShiftOrder::named(&order) else {
        let all = ShiftOrder::ALL.map(ShiftOrder::as_str).join(", ");
        return (StatusCode::BAD_REQUEST, lines(format!("`{order}` is none of {all}"))).into_response();
    };
    let done = move || match site.registry.shifts() {
        Some(shifts) => shifts.order(&route, order),
        None => Err("there are no shifts".to_owned()),
    };
    match off_thread(done).await {
        Ok(Ok(done)) => lines(done).into_response(),
        Ok(Err(why)) => (StatusCode::CONFLICT, lines(why)).into_response(),
        Err(failed) => failed.into_response(),
    }
}
