//! The REST API, which the CLI speaks too.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;

use crate::{
    ingest,
    model::Id,
    query::{diagnose, id, logs, trace},
    store::{Error, Store},
};

type Shared = Arc<dyn Store>;

/// Returns every route of the HTTP port.
pub(crate) fn router(store: Shared) -> Router {
    Router::new()
        .route("/health", get(|| async { Json(serde_json::json!({ "status": "ok" })) }))
        .route("/api/v1/traces/{id}", get(spans))
        .route("/api/v1/traces/{id}/logs", get(log_lines))
        .route("/api/v1/traces/{id}/diagnosis", get(diagnosis))
        .merge(ingest::http::routes())
        .with_state(store)
}

async fn spans(State(store): State<Shared>, Path(text): Path<String>) -> Response {
    by_id(store, text, |store, id| trace::read(store, id)).await
}

async fn log_lines(State(store): State<Shared>, Path(text): Path<String>) -> Response {
    by_id(store, text, |store, id| logs::read(store, id)).await
}

async fn diagnosis(State(store): State<Shared>, Path(text): Path<String>) -> Response {
    answer(move || diagnose::diagnose(&*store, &text, id::now)).await
}

async fn by_id<T: Serialize + Send + 'static>(
    store: Shared,
    text: String,
    read: impl FnOnce(&dyn Store, Id) -> Result<T, Error> + Send + 'static,
) -> Response {
    match id::resolve(&text) {
        Ok(id) => answer(move || read(&*store, id::find(&*store, &text, id)?)).await,
        Err(what) => refuse(StatusCode::BAD_REQUEST, &what),
    }
}

async fn answer<T: Serialize + Send + 'static>(
    ask: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Response {
    match tokio::task::spawn_blocking(ask).await {
        Ok(Ok(found)) => Json(found).into_response(),
        Ok(Err(error)) => {
            let what = format!("the store cannot be read: {error}");
            refuse(StatusCode::INTERNAL_SERVER_ERROR, &what)
        }
        Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "the store gave up on this question"),
    }
}

fn refuse(status: StatusCode, what: &str) -> Response {
    (status, Json(serde_json::json!({ "error": what }))).into_response()
}
