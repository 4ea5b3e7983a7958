//! `tracebaton serve`.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use axum::serve::ListenerExt;
use tokio::{
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tokio_stream::{StreamExt, wrappers::TcpListenerStream};

use crate::{
    api,
    ingest::grpc,
    store::{Sqlite, Store},
};

/// Receives OTLP and answers questions until the process is asked to stop.
pub(crate) async fn serve(grpc: SocketAddr, http: SocketAddr, data: &Path) -> anyhow::Result<()> {
    let store = Sqlite::open(data)
        .map_err(|error| anyhow::anyhow!("cannot open the store in {}: {error}", data.display()))?;
    let store: Arc<dyn Store> = Arc::new(store);
    let bind = async |address: SocketAddr, flag: &str| {
        let listener = TcpListener::bind(address).await;
        listener.with_context(|| format!("cannot listen on {address}; choose another by {flag}"))
    };
    let grpc = bind(grpc, "--grpc").await?;
    let http = bind(http, "--http").await?;
    // Before anybody can know that it is there, and ask it to stop.
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tracing::info!(grpc = %grpc.local_addr()?, http = %http.local_addr()?, "ready");
    let (stop, stopped) = watch::channel(false);
    let stopping = |mut stopped: watch::Receiver<bool>| async move {
        let _ = stopped.wait_for(|is_stopping| *is_stopping).await;
    };
    // Answers are small, and senders wait for them.
    let no_delay = |connection: &TcpStream| {
        let _ = connection.set_nodelay(true);
    };
    let grpc = TcpListenerStream::new(grpc)
        .map(move |connection| connection.inspect(|connection| no_delay(connection)));
    let grpc =
        grpc::router(store.clone()).serve_with_incoming_shutdown(grpc, stopping(stopped.clone()));
    let http = http.tap_io(move |connection| no_delay(connection));
    let http =
        axum::serve(http, api::router(store)).with_graceful_shutdown(stopping(stopped.clone()));
    let (grpc, http) = (tokio::spawn(grpc), tokio::spawn(http.into_future()));
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    stop.send_replace(true);
    // Connections that senders keep open would hold the end up for ever.
    let ended = tokio::time::timeout(Duration::from_secs(3), async { (grpc.await, http.await) });
    if ended.await.is_err() {
        tracing::info!("closed connections that were still open");
    }
    tracing::info!("stopped");
    Ok(())
}
