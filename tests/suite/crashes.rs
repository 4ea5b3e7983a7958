//! Every part may crash: no record is lost, and none is unaccounted for.

use serde_json::json;
use tracebaton_embedded::Part;
use tracebaton_tests::{Relay, event};

/// Sends numbered events, several a request; returns the trace ids.
async fn send(relay: &Relay, name: &str, requests: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..requests {
        let records = [0, 1, 2].map(|at| event(&format!("{name}-{number}-{at}"), "page_view"));
        let answer = relay.post(&json!(records), &[]).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        ids.push(answer.trace_id().to_owned());
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_crashes_and_comes_back_loses_nothing() {
    let mut relay = Relay::start().await.unwrap();
    for part in [Part::RawToUser, Part::Enrich, Part::Sync] {
        let mut ids = send(&relay, &format!("{}-before", part.as_str()), 30).await;
        // Killed in the middle of these, most likely.
        relay.stack.take(part).unwrap().kill().await.unwrap();
        ids.extend(send(&relay, &format!("{}-during", part.as_str()), 10).await);
        relay.stack.start_part(part).await.unwrap();
        ids.extend(send(&relay, &format!("{}-after", part.as_str()), 5).await);
        let rows = all_rows(&mut relay, part, 45 * 3).await;
        assert_eq!(rows, 45 * 3, "events of which {} has rows", part.as_str());
        // At least once: what was inserted just before the crash may be inserted again. What the
        // crash took from the exporter is missing as evidence, and is not called a loss.
        let ends = ["INSERTED", "DUPLICATED", "INCONCLUSIVE"];
        for id in &ids {
            let diagnosis = relay.await_one_of(id, &ends).await.unwrap();
            let inserted = diagnosis["findings"].as_array().unwrap().iter();
            let is_in = inserted.filter(|found| found["verdict"] == "INSERTED").count() == 1;
            assert!(is_in || part == Part::Sync, "{id}: {diagnosis:#}");
        }
    }
    relay.stop().await;
}

async fn all_rows(relay: &mut Relay, part: Part, wanted: usize) -> usize {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let rows = relay.rows().await.unwrap();
        let found = rows.keys().filter(|id| id.starts_with(part.as_str())).count();
        if found >= wanted || tokio::time::Instant::now() > deadline {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn telemetry_waits_while_drilldown_is_away() {
    let mut relay = Relay::start().await.unwrap();
    relay.stack.take(Part::Drilldown).unwrap().kill().await.unwrap();
    let ids = send(&relay, "away", 40).await;
    assert_eq!(all_rows_named(&relay, "away", 120).await, 120, "the relay goes on without it");
    relay.stack.start_part(Part::Drilldown).await.unwrap();
    for (id, diagnosis) in relay.settled(&ids).await.unwrap() {
        assert_eq!(diagnosis["verdict"], "INSERTED", "{id}: {diagnosis:#}");
    }
    // What it has acknowledged survives its crash.
    relay.crash(Part::Drilldown).await.unwrap();
    for id in &ids {
        assert_eq!(relay.verdict(id).await.unwrap(), "INSERTED", "{id}");
    }
    relay.stop().await;
}

async fn all_rows_named(relay: &Relay, name: &str, wanted: usize) -> usize {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let rows = relay.rows().await.unwrap();
        let found = rows.keys().filter(|id| id.starts_with(name)).count();
        if found >= wanted || tokio::time::Instant::now() > deadline {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_waits_for_clickhouse_and_gets_in() {
    let mut relay = Relay::start().await.unwrap();
    relay
        .stack
        .take(Part::Clickhouse)
        .unwrap()
        .stop(std::time::Duration::from_secs(20))
        .await
        .unwrap();
    let ids = send(&relay, "blocked", 1).await;
    let diagnosis = relay.await_verdict(&ids[0], "BATCH_BLOCKED").await.unwrap();
    assert!(
        diagnosis["summary"].as_str().unwrap().contains("clickhouse_unavailable"),
        "{diagnosis:#}"
    );
    relay.stack.start_part(Part::Clickhouse).await.unwrap();
    relay.await_verdict(&ids[0], "INSERTED").await.unwrap();
    assert_eq!(relay.rows().await.unwrap().len(), 3);
    relay.stop().await;
}
