//! Every part may crash: no record is lost, and none is unaccounted for.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use serde_json::json;
use tokio::task::JoinHandle;
use tracebaton_embedded::Part;
use tracebaton_tests::{Relay, Sender, event};

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

/// Sends without a pause until it is told to stop.
struct Load {
    ids: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

impl Load {
    fn start(sender: Sender, name: &'static str) -> Self {
        let (ids, stop) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicBool>::default());
        let (kept, is_stopping) = (ids.clone(), stop.clone());
        let task = tokio::spawn(async move {
            for number in 0.. {
                let records =
                    [0, 1, 2].map(|at| event(&format!("{name}-{number}-{at}"), "page_view"));
                let answer = sender.post(&json!(records), &[]).await.unwrap();
                assert_eq!(answer.status, 200, "{}", answer.body);
                kept.lock().unwrap().push(answer.trace_id().to_owned());
                if is_stopping.load(Relaxed) {
                    return;
                }
            }
        });
        Self { ids, task, stop }
    }

    /// Waits until so many more requests were answered.
    async fn goes_on(&self, more: usize) {
        let wanted = self.ids.lock().unwrap().len() + more;
        while self.ids.lock().unwrap().len() < wanted {
            assert!(!self.task.is_finished(), "the load has ended");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn end(self) -> Vec<String> {
        self.stop.store(true, Relaxed);
        self.task.await.unwrap();
        Arc::into_inner(self.ids).unwrap().into_inner().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_crashes_under_load_and_comes_back_loses_nothing() {
    let mut relay = Relay::start().await.unwrap();
    for part in [Part::RawToUser, Part::Enrich, Part::Sync] {
        let name = part.as_str();
        let load = Load::start(relay.sender(), name);
        load.goes_on(30).await;
        relay.stack.take(part).unwrap().kill().await.unwrap();
        load.goes_on(10).await;
        relay.stack.start_part(part).await.unwrap();
        load.goes_on(10).await;
        let ids = load.end().await;
        assert_eq!(rows_of(&relay, name, ids.len() * 3).await, ids.len() * 3, "{name}");

        // At least once: what was sent on just before the crash may be sent on again. What the
        // crash took from the exporter is missing as evidence, and is not called a loss.
        let ends = ["INSERTED", "DUPLICATED", "INCONCLUSIVE"];
        let mut inserted = 0;
        let rows = relay.rows().await.unwrap();
        for (number, id) in ids.iter().enumerate() {
            let diagnosis = relay.await_one_of(id, &ends).await.unwrap();
            if diagnosis["verdict"] == "INSERTED" {
                // Only a sink may have inserted before its crash without anybody knowing.
                let most = if part == Part::Sync { 2 } else { 1 };
                let mut own = (0..3).map(|at| rows.get(&format!("{name}-{number}-{at}")));
                assert!(own.all(|rows| rows.is_some_and(|rows| *rows <= most)), "{diagnosis:#}");
                inserted += 1;
            }
        }
        assert!(inserted >= ids.len() / 4, "{name}: only {inserted} of {} are INSERTED", ids.len());
    }
    relay.stop().await;
}

/// Counts the events of this name that have rows, waiting for so many.
async fn rows_of(relay: &Relay, name: &str, wanted: usize) -> usize {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let rows = relay.rows().await.unwrap();
        let found = rows.keys().filter(|id| id.starts_with(name)).count();
        if found >= wanted || tokio::time::Instant::now() > deadline {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn telemetry_waits_while_drilldown_is_away() {
    let mut relay = Relay::start().await.unwrap();
    relay.stack.take(Part::Drilldown).unwrap().kill().await.unwrap();
    let ids = send(&relay, "away", 40).await;
    assert_eq!(rows_of(&relay, "away", 120).await, 120, "the relay goes on without it");
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

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_waits_for_clickhouse_and_gets_in() {
    let mut relay = Relay::start().await.unwrap();
    relay.stack.take(Part::Clickhouse).unwrap().stop(Duration::from_secs(20)).await.unwrap();
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
