//! Ledgers made by hand, and what is made of them.

mod batches;
mod between;
mod encode;
mod laws;
mod others;
mod settling;
mod silent;
mod untold;
mod verdicts;

use super::{
    diagnose::{Diagnosis, diagnose},
    inputs::Fate,
    ledger::Branch,
    verdict::Verdict,
};
use crate::{
    model::{Delivery, Dropped, HopEvent},
    otlp::cut,
    store::{Sqlite, Store},
};

/// The trace that is asked for.
const TRACE: &str = "0192f3c4b5a67b8c9d0e1f2a3b4c5d6e";
/// The moment at which is asked, in nanoseconds since 1970: 2026-01-09.
const NOW: i64 = 1_767_960_000_000_000_000;
const SECOND: i64 = 1_000_000_000;

/// An event of the trace, an hour before the question.
fn event(kind: &str, span: &str, name: &str) -> HopEvent {
    HopEvent {
        trace_id: TRACE.into(),
        span_id: span.into(),
        time: NOW - 3600 * SECOND,
        service: "ingest".into(),
        kind: kind.into(),
        name: name.into(),
        records_in: 1,
        attempt: 1,
        ..HopEvent::default()
    }
}

/// A request whose records were all sent on.
fn request(records: i64) -> HopEvent {
    HopEvent {
        records_in: records,
        passed: records,
        emitted: records,
        http_status: Some(200),
        ..event("receive", "request", "/ingest/{topic}")
    }
}

/// Records that a hop sent to offsets of partition 0.
fn sent(span: &str, topic: &str, first: i64, last: i64) -> HopEvent {
    let records = last - first + 1;
    HopEvent {
        records_in: records,
        passed: records,
        emitted: records,
        topic: Some(topic.into()),
        partition: Some(0),
        first: Some(first),
        last: Some(last),
        ..event("send", span, topic)
    }
}

/// One record that a group read from an offset of partition 0. The group is the service too.
fn read(span: &str, topic: &str, group: &str, offset: i64, fate: Fate) -> HopEvent {
    let mut event = HopEvent {
        service: group.into(),
        topic: Some(topic.into()),
        partition: Some(0),
        first: Some(offset),
        group: Some(group.into()),
        ..event("process", span, topic)
    };
    match fate {
        Fate::Passed => (event.passed, event.emitted) = (1, 1),
        Fate::Filtered => event.filtered = 1,
        Fate::Failed => event.failed = 1,
        Fate::DeadLettered => event.dead_lettered = 1,
        Fate::Pending => {}
    }
    if fate != Fate::Passed {
        event.reason = Some(format!("{fate:?} by {group}"));
    }
    event
}

/// A batch into a table, from `first` on, without gaps; `members` are the traces of its records.
fn batch(id: &str, topic: &str, first: i64, members: &[&str], fate: Fate) -> HopEvent {
    let records = members.len() as i64;
    let mut event = HopEvent {
        trace_id: id.into(),
        kind: "insert".into(),
        name: "shop.orders".into(),
        records_in: records,
        last: Some(first + records - 1),
        batch_id: Some(id.into()),
        members: members.iter().map(|member| (*member).to_owned()).collect(),
        ..read(id, topic, "sync", first, Fate::Pending)
    };
    event.reason = None;
    match fate {
        Fate::Passed => event.passed = records,
        Fate::Failed => event.failed = records,
        _ => {}
    }
    event
}

/// The events of records that went all the way: request → raw → transform → users → table.
fn relay(records: i64) -> Vec<HopEvent> {
    let last = records - 1;
    let mut events = vec![request(records), sent("request", "raw", 0, last)];
    for offset in 0..records {
        let span = format!("transform-{offset}");
        events.push(read(&span, "raw", "transform", offset, Fate::Passed));
        events.push(sent(&span, "users", offset, offset));
    }
    let members = vec![TRACE; usize::try_from(records).unwrap()];
    events.push(batch("batch", "users", 0, &members, Fate::Passed));
    events
}

/// A store that has these, taken in as OTLP.
fn store(hops: Vec<HopEvent>, dropped: Vec<Dropped>) -> (Sqlite, tempfile::TempDir) {
    // Hundreds of stores that live for a moment need no disk, where there is memory to hold them.
    let memory = std::path::Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let folder = folder.unwrap();
    let store = Sqlite::open(folder.path()).unwrap();
    let delivery = cut::logs(&encode::request(hops)).unwrap();
    assert_eq!(delivery.rejected.count, 0, "{}", delivery.rejected.why);
    store.keep(Delivery { dropped, ..delivery }).unwrap();
    (store, folder)
}

fn diagnosis_of(hops: Vec<HopEvent>) -> Diagnosis {
    let (store, _folder) = store(hops, Vec::new());
    diagnose(&store, TRACE, || NOW).unwrap()
}

/// Returns the verdicts found, the worst first, and each hop's name.
fn found(diagnosis: &Diagnosis) -> Vec<(Verdict, &str)> {
    diagnosis.findings.iter().map(|finding| (finding.verdict, finding.hop.as_str())).collect()
}

fn branch<'d>(diagnosis: &'d Diagnosis, group: &str) -> &'d Branch {
    diagnosis.ledger.branches.iter().find(|branch| branch.group == group).unwrap()
}
