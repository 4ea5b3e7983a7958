//! A Kafka broker that keeps everything in memory and ends with its parent.
//!
//! `broker 127.0.0.1:9092` listens there until SIGTERM, SIGINT, or the end of its standard input.

use std::{env, process::ExitCode};

use anyhow::Context;
use nisshi_broker::{broker::Broker, coordinator::group::administrator::Controller};
use nisshi_storage::ArcDynStorage;
use tokio::{
    io::AsyncReadExt,
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time::Instant,
};
use url::Url;
use uuid::Uuid;

#[tokio::main]
async fn main() -> ExitCode {
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("broker: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> anyhow::Result<()> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9092".to_owned());
    // The broker itself says little of an address in use: try it first.
    drop(TcpListener::bind(&address).await.with_context(|| format!("cannot listen on {address}"))?);
    let listener = Url::parse(&format!("tcp://{address}"))?;
    let mut broker = Broker::<Controller<ArcDynStorage>, ArcDynStorage>::builder()
        .node_id(1)
        .cluster_id("tracebaton-embedded")
        .incarnation_id(Uuid::new_v4())
        .advertised_listener(listener.clone())
        .storage(Url::parse("memory://dev/")?)
        .listener(listener)
        .silent(true)
        .build()
        .await
        .map_err(|error| anyhow::anyhow!("the broker cannot be set up: {error}"))?;
    println!("{{\"level\":\"INFO\",\"service\":\"broker\",\"message\":\"ready\",\"address\":\"{address}\"}}");
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let parent = async {
        let mut byte = [0];
        while tokio::io::stdin().read(&mut byte).await.is_ok_and(|read| read > 0) {}
    };
    tokio::select! {
        served = broker.serve(Instant::now()) => {
            served.map_err(|error| anyhow::anyhow!("the broker gave up: {error}"))
        }
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        () = parent => Ok(()),
    }
}
