//! A stand-in for ClickHouse's HTTP interface that fails as told, which the real one would not.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;

/// What becomes of an insert.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    Take,
    /// ClickHouse's own refusal: a code and a text.
    Exception(u32, &'static str),
    /// A proxy's answer.
    Status(u16),
}

type Plan = Box<dyn Fn(usize, &[String]) -> Answer + Send>;

#[derive(Default)]
struct State {
    plan: Option<Plan>,
    inserted: Vec<String>,
    query_ids: Vec<String>,
}

pub(crate) struct ClickHouse {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl ClickHouse {
    /// Serves until the tests are over.
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<Mutex<State>>::default();
        let shared = state.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                serve(TcpListener::from_std(listener).unwrap(), shared).await;
            });
        });
        Self { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sets what becomes of inserts, given how many there were before and the lines.
    pub(crate) fn answer(&self, plan: impl Fn(usize, &[String]) -> Answer + Send + 'static) {
        self.state.lock().unwrap().plan = Some(Box::new(plan));
    }

    /// Returns the ids of the events that were taken.
    pub(crate) fn inserted(&self) -> Vec<String> {
        self.state.lock().unwrap().inserted.clone()
    }

    /// Returns the name of every insert that was tried.
    pub(crate) fn query_ids(&self) -> Vec<String> {
        self.state.lock().unwrap().query_ids.clone()
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = state.clone();
        let service = service_fn(move |request| take(request, state.clone()));
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        // A client that is killed in the middle is part of what is tested.
        tokio::spawn(async move { drop(connection.await) });
    }
}

async fn take(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let pairs: BTreeMap<_, _> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let body = match request.into_body().collect().await {
        Ok(body) => String::from_utf8(body.to_bytes().to_vec()).unwrap(),
        Err(_) => std::future::pending().await,
    };
    let Some(query_id) = pairs.get("query_id") else {
        // Not an insert: the table is created.
        return Ok(Response::default());
    };
    assert_eq!(pairs.get("insert_deduplication_token"), Some(query_id));
    let lines: Vec<String> = body.lines().map(str::to_owned).collect();
    let mut state = state.lock().unwrap();
    let attempt = state.query_ids.len();
    state.query_ids.push((*query_id).to_owned());
    let answer = state.plan.as_ref().map_or(Answer::Take, |plan| plan(attempt, &lines));
    let response = Response::builder();
    Ok(match answer {
        Answer::Take => {
            let id = |line: &String| {
                let row: Value = serde_json::from_str(line).unwrap();
                row["event_id"].as_str().unwrap().to_owned()
            };
            state.inserted.extend(lines.iter().map(id));
            Response::default()
        }
        Answer::Exception(code, text) => {
            let text = format!("Code: {code}. DB::Exception: {text}. (SOME_NAME)");
            let response = response.status(500).header("x-clickhouse-exception-code", code);
            response.body(text.into()).unwrap()
        }
        Answer::Status(status) => response.status(status).body("not now".into()).unwrap(),
    })
}
