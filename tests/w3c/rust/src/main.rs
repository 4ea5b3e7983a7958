//! The service that the W3C Trace Context harness talks to: `w3c-rust [PORT]`, on 127.0.0.1.
//!
//! It gets a JSON array of `{"url", "arguments"}` and posts each `arguments` to its `url`. The
//! layers of tracebaton do the rest: one reads the context of what comes in, the other writes it
//! into what goes out.

use std::{env, sync::Arc};

use anyhow::Context;
use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::TcpListener;
use tower::{Layer, Service, service_fn};
use tracebaton::tower::{ClientLayer, ClientService, TraceLayer};

const MAX_BODY: usize = 1 << 20;

type Outgoing = ClientService<Client<HttpConnector, Full<Bytes>>>;

#[derive(Deserialize)]
struct Errand {
    url: String,
    arguments: Box<RawValue>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let port = env::args().nth(1).unwrap_or_else(|| "5000".to_owned());
    let port: u16 = port.parse().with_context(|| format!("not a port: {port}"))?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on http://{}/", listener.local_addr()?);
    let client = ClientLayer::default().layer(Client::builder(TokioExecutor::new()).build_http());
    let client = Arc::new(client);
    let service = TraceLayer::default().layer(service_fn(move |request| {
        let client = client.clone();
        async move { Ok::<_, std::convert::Infallible>(answer(request, &client).await) }
    }));
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        // A client that goes away in the middle is no fault of ours.
        tokio::spawn(async move { drop(connection.await) });
    }
}

async fn answer(request: Request<Incoming>, client: &Outgoing) -> Response<Full<Bytes>> {
    let (status, text) = match run(request, client).await {
        Ok(()) => (StatusCode::OK, "done".to_owned()),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error:#}")),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response
}

async fn run(request: Request<Incoming>, client: &Outgoing) -> anyhow::Result<()> {
    let body = Limited::new(request.into_body(), MAX_BODY).collect().await;
    let body = body.map_err(anyhow::Error::from_boxed)?.to_bytes();
    let errands: Vec<Errand> = serde_json::from_slice(&body)?;
    for Errand { url, arguments } in errands {
        let url: Uri = url.parse()?;
        let body = Full::from(arguments.get().to_owned());
        let request = Request::post(url).header(header::CONTENT_TYPE, "application/json");
        client.clone().call(request.body(body)?).await?;
    }
    Ok(())
}
