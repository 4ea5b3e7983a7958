//! What the demo prints: all of it asked of the running parts.

use std::{collections::BTreeMap, process::Stdio, time::Duration};

use anyhow::{Context, bail};
use serde_json::Value;
use tokio::{
    process::Command,
    time::{Instant, sleep},
};
use tracebaton_embedded::{Stack, is_settled};

use crate::{client::ask, sample::Request};

/// A request that was answered.
pub(crate) struct Sent {
    status: u16,
    trace_id: String,
    request: Request,
    body: String,
}

/// Sends every request.
pub(crate) async fn send(stack: &Stack, requests: Vec<Request>) -> anyhow::Result<Vec<Sent>> {
    let url = format!("{}/ingest/shop_events", stack.ingest());
    let mut sent = Vec::new();
    for request in requests {
        let answer = ask(&url, Some(request.body())).await?;
        let (status, trace_id, body) = (answer.status, answer.trace_id, answer.body);
        sent.push(Sent { status, trace_id, request, body });
    }
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for one in &sent {
        *statuses.entry(one.status).or_default() += 1;
    }
    let records: usize = sent.iter().map(|one| one.request.records.len()).sum();
    let statuses: Vec<String> =
        statuses.iter().map(|(status, count)| format!("{count} × {status}")).collect();
    println!("sent {records} records in {} requests: {}", sent.len(), statuses.join(", "));
    Ok(sent)
}

async fn diagnosis(stack: &Stack, id: &str) -> anyhow::Result<Value> {
    let url = format!("{}/api/v1/traces/{id}/diagnosis", stack.server());
    let answer = ask(&url, None).await?;
    serde_json::from_str(&answer.body).with_context(|| format!("not JSON: {}", answer.body))
}

fn verdict(diagnosis: &Value) -> &str {
    diagnosis.get("verdict").and_then(Value::as_str).unwrap_or_default()
}

/// Waits until every request's records have come to an end, by drilldown's own word.
pub(crate) async fn settled(
    stack: &mut Stack,
    sent: &[Sent],
    within: Duration,
) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut open: Vec<&Sent> = sent.iter().collect();
    while !open.is_empty() {
        stack.check()?;
        let mut still = Vec::new();
        for one in open {
            let found = diagnosis(stack, &one.trace_id).await?;
            if !is_settled(&found) {
                still.push(one);
            }
        }
        open = still;
        if let (Some(first), true) = (open.first(), started.elapsed() > within) {
            let found = diagnosis(stack, &first.trace_id).await?;
            bail!("{} requests have not come to an end; the first: {found:#}", open.len());
        }
        if !open.is_empty() {
            sleep(Duration::from_millis(200)).await;
        }
    }
    println!("every record has come to its end {:.1} s later\n", started.elapsed().as_secs_f64());
    Ok(())
}

/// Runs the command line as a person would, and shows both.
async fn command(stack: &Stack, words: [&str; 2]) -> anyhow::Result<()> {
    println!("$ tracebaton {}", words.join(" "));
    let mut command = Command::new(stack.layout().binary("tracebaton")?);
    command.args(words).env("TRACEBATON_SERVER", stack.server()).stdin(Stdio::null());
    // The exit code is the verdict's class: it is shown, not judged.
    let status = command.status().await?;
    println!("{}\n", status.code().map_or(String::new(), |code| format!("(exit {code})")));
    Ok(())
}

/// Shows one good request whole: its id, waterfall, log lines, rows and verdict.
pub(crate) async fn good(stack: &Stack, sent: &[Sent]) -> anyhow::Result<()> {
    let is_order = |one: &&Sent| {
        one.status == 200
            && one.request.records.len() <= 5
            && one.request.records.iter().any(|record| record.get("items").is_some())
    };
    let mut good = None;
    for one in sent.iter().filter(is_order).chain(sent.iter().filter(|one| one.status == 200)) {
        if verdict(&diagnosis(stack, &one.trace_id).await?) == "INSERTED" {
            good = Some(one);
            break;
        }
    }
    let Some(good) = good else {
        println!("no request of these events went all the way into the table\n");
        return Ok(());
    };
    println!("X-Trace-Id: {}\n", good.trace_id);
    command(stack, ["trace", &good.trace_id]).await?;
    command(stack, ["logs", &good.trace_id]).await?;
    let rows = rows(stack, good).await?;
    println!("rows of its events in ClickHouse (shop.user_events): {rows}\n");
    command(stack, ["diagnose", &good.trace_id]).await
}

/// Counts the rows a request's events became, by their own ids: the table knows no trace ids.
async fn rows(stack: &Stack, sent: &Sent) -> anyhow::Result<u64> {
    let ids: Vec<&str> = sent
        .request
        .records
        .iter()
        .filter_map(|record| record.get("event_id").and_then(Value::as_str))
        .collect();
    let count = "SELECT count() FROM shop.user_events WHERE splitByChar('/', event_id)[1] IN ?";
    Ok(stack.clickhouse().query(count).bind(ids).fetch_one().await?)
}

/// Shows the verdict of every request that did not go all the way.
pub(crate) async fn others(stack: &Stack, sent: &[Sent]) -> anyhow::Result<()> {
    println!("Requests that did not go all the way:\n");
    for one in sent {
        if verdict(&diagnosis(stack, &one.trace_id).await?) == "INSERTED" {
            continue;
        }
        if one.status != 200 {
            println!("POST /ingest/shop_events answered {} {}", one.status, one.body);
        }
        command(stack, ["diagnose", &one.trace_id]).await?;
    }
    Ok(())
}

/// Says what to try while everything is left running.
pub(crate) fn hints(stack: &Stack) {
    let (ingest, server) = (stack.ingest(), stack.server());
    println!("Everything is left running; Ctrl-C stops it. Try:\n");
    println!("  curl -i {ingest}/ingest/shop_events -H 'Content-Type: application/json' \\");
    println!(
        "    -H 'X-Trace-Id: my-first-order' -d '{{\"event_id\":\"e-1\",\"type\":\"cart_add\",\"user_id\":\"u-1\",\"occurred_at\":\"2026-01-09T10:30:00Z\",\"amount\":\"7.90\",\"currency\":\"EUR\"}}'"
    );
    for verb in ["trace", "logs", "diagnose"] {
        println!("  target/debug/tracebaton {verb} my-first-order --server {server}");
    }
    println!("  curl '{}/?query=SELECT+*+FROM+shop.user_events+LIMIT+5'", stack.clickhouse_url());
    println!("\nKafka is at {}, the logs are in {}.", stack.kafka(), stack.folder().display());
}
