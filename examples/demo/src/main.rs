//! `make demo`: runs the whole relay on a sample of a shop's events, and shows what became of it.
//!
//! `EVENTS=path` takes other events (one JSON record a line); `KEEP=1` leaves everything running.

mod client;
mod sample;
mod show;

use std::{env, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tracebaton_embedded::{Ports, Stack};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<ExitCode> {
    let requests = sample::read(env::var_os("EVENTS").map(PathBuf::from))?;
    let keep = env::var("KEEP").is_ok_and(|value| value == "1");
    // Whoever goes on by hand wants the ports they know, where those are free.
    let ports = if keep { Ports::well_known().or_else(|_| Ports::free())? } else { Ports::free()? };
    let folder = env::temp_dir().join(format!("tracebaton-demo-{}", std::process::id()));
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut stack = None;
    let shown = tokio::select! {
        shown = relay(&mut stack, &folder, ports, requests, keep) => shown.map(|()| ExitCode::SUCCESS),
        _ = terminate.recv() => Ok(ExitCode::from(143)),
        _ = interrupt.recv() => Ok(if keep { ExitCode::SUCCESS } else { ExitCode::from(130) }),
    };
    println!("stopping …");
    if let Some(mut stack) = stack {
        stack.stop().await;
    }
    if shown.is_ok() {
        std::fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    shown
}

async fn relay(
    kept: &mut Option<Stack>,
    folder: &std::path::Path,
    ports: Ports,
    requests: Vec<sample::Request>,
    keep: bool,
) -> anyhow::Result<()> {
    println!(
        "starting broker, ClickHouse, drilldown and four services; logs in {} …",
        folder.display()
    );
    let stack = kept.insert(Stack::start(folder.to_path_buf(), ports).await?);
    let sent = show::send(stack, requests).await?;
    show::settled(stack, &sent, Duration::from_secs(30)).await?;
    show::good(stack, &sent).await?;
    show::others(stack, &sent).await?;
    if keep {
        show::hints(stack);
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            stack.check()?;
        }
    }
    Ok(())
}
