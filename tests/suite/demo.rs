//! `make demo`'s binary: what it prints, and how it ends.

use std::{path::Path, process::Stdio, time::Duration};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};
use tracebaton_embedded::Layout;

use crate::parts::left_behind;

fn demo(folder: &Path) -> Command {
    let mut command = Command::new(Layout::find().unwrap().binary("demo").unwrap());
    // Its data and logs go below this folder, so that what it leaves is found.
    command.env("TMPDIR", folder).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

fn is_clean(folder: &Path) {
    assert_eq!(left_behind(folder), Vec::<String>::new());
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().flatten().collect();
    assert!(files.is_empty(), "{files:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_the_whole_relay_and_every_kind_of_end() {
    let folder = TempDir::new().unwrap();
    let ran = timeout(Duration::from_secs(60), demo(folder.path()).output()).await;
    let ran = ran.expect("60 seconds are enough").unwrap();
    let out = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success(), "{out}\n{}", String::from_utf8_lossy(&ran.stderr));
    for wanted in [
        "X-Trace-Id: ",
        "POST /ingest/{topic}",
        "process shop_events",
        "process user_events",
        "send enriched_events",
        "INSERT shop.user_events",
        "rows of its events in ClickHouse (shop.user_events): ",
        "INSERTED",
        "FILTERED",
        "REJECTED_HTTP",
        "PARTIAL_PRODUCE",
        "TRANSFORM_FAILED_DLQ",
        "DROPPED_AT_MAPPING",
    ] {
        assert!(out.contains(wanted), "{wanted} is not in\n{out}");
    }
    is_clean(folder.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_ones_own_are_taken_or_refused_clearly() {
    let folder = TempDir::new().unwrap();
    let events = TempDir::new().unwrap();
    let own = events.path().join("own.jsonl");
    for (text, wanted) in [
        (None, "cannot read"),
        (Some("{\"event_id\": \"e-1\"}\nnot JSON\n"), "own.jsonl:2 is not JSON"),
        (Some("\n\n"), "holds no record"),
    ] {
        if let Some(text) = text {
            std::fs::write(&own, text).unwrap();
        }
        let ran = demo(folder.path()).env("EVENTS", &own).output().await.unwrap();
        let line = String::from_utf8(ran.stderr).unwrap();
        assert!(!ran.status.success());
        assert!(line.contains(wanted) && line.lines().count() == 1, "{line}");
    }
    let record =
        r#"{"event_id":"e-1","type":"x","user_id":"u","occurred_at":"2026-01-09T10:30:00Z"}"#;
    std::fs::write(&own, record).unwrap();
    let ran = demo(folder.path()).env("EVENTS", &own).output().await.unwrap();
    let out = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success() && out.contains("sent 1 records"), "{out}");
    is_clean(folder.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_demo_cleans_up() {
    for keep in ["", "1"] {
        let folder = TempDir::new().unwrap();
        let mut child = demo(folder.path()).env("KEEP", keep).spawn().unwrap();
        let wanted = if keep == "1" { "Everything is left running" } else { "sent " };
        wait_for(&mut child, wanted).await;
        let id = child.id().unwrap().to_string();
        std::process::Command::new("kill").args(["-INT", &id]).status().unwrap();
        let status = timeout(Duration::from_secs(30), child.wait()).await.unwrap().unwrap();
        assert_eq!(status.code(), Some(if keep == "1" { 0 } else { 130 }));
        is_clean(folder.path());
    }
}

/// Reads what the demo prints until a line holds this; the rest is read and dropped.
async fn wait_for(child: &mut Child, wanted: &str) {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    loop {
        let line = timeout(Duration::from_secs(60), lines.next_line()).await.unwrap().unwrap();
        if line.expect("the demo goes on").contains(wanted) {
            break;
        }
    }
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
}
