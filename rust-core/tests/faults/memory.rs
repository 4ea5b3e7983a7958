//! Memory stays where it is, whatever is recorded and however often the export starts anew.

use std::time::Duration;

use tracebaton::{
    hop::{Level, Log},
    otlp::{Exporter, Options, Protocol},
};

use crate::support::{
    endpoints::{Endpoint, State},
    load,
    raw::{Raw, Reply, WELL},
    sink::Sink,
    wait_for, wait_long_for,
};

const SOON: Duration = Duration::from_secs(20);

#[test]
fn ten_million_hops_leave_memory_as_it_was() {
    const MESSAGES: i64 = 5_000_000;
    let endpoint = Raw::start(|_| Reply::Keep(WELL.to_vec()));
    let (recorder, exporter) = load::export_to(endpoint.address.port());
    let mut total = 0;
    let mut sizes = Vec::new();
    // Each message is two hops: it is processed, and what came of it is sent.
    for offset in 0..MESSAGES {
        total += load::message(&recorder, offset).total();
        // As fast as the endpoint takes it, lest this is about what is dropped.
        if offset % 10_000 == 0 {
            assert!(exporter.flush(SOON));
        }
        if offset % (MESSAGES / 10) == MESSAGES / 10 - 1 {
            sizes.push(load::resident() >> 10);
        }
    }
    let report = exporter.shutdown(SOON);
    println!("{} hops: KiB in use after each tenth: {sizes:?}: {report}", 2 * MESSAGES);
    assert_eq!(report.exported.total(), total, "{report}");
    // How many chunks are on their way at once, and so are kept for reuse, changes from moment to
    // moment. Two bytes that leaked with each item would show all the same.
    let (warm, last) = (sizes[2], sizes[9]);
    assert!(last < warm + (16 << 10), "memory grew from {warm} to {last} KiB");
    assert!(last < 64 << 10, "{last} KiB are in use with an endpoint that takes everything");
}

#[test]
fn a_thousand_exports_leave_no_memory_and_no_thread() {
    let endpoint = Raw::start(|_| Reply::Keep(WELL.to_vec()));
    let gone = Endpoint::new(State::Refused);
    let mut sizes = Vec::new();
    let threads = load::threads(None);
    for cycle in 0..1_000 {
        // Every tenth finds nobody.
        let is_gone = cycle % 10 == 9;
        let port = if is_gone { gone.port } else { endpoint.address.port() };
        let (recorder, exporter) = load::export_to(port);
        load::message(&recorder, cycle);
        let report = exporter.shutdown(Duration::from_millis(if is_gone { 5 } else { 20_000 }));
        assert_eq!(
            (report.exported.total(), report.lost.total()),
            if is_gone { (0, 4) } else { (4, 0) }
        );
        // The kernel may list a thread for a moment that was waited for.
        let threads = || load::threads(Some("tracebaton-otlp"));
        wait_for("the thread to be gone", || (threads() == 0).then_some(()));
        if cycle % 100 == 99 {
            sizes.push(load::resident() >> 10);
        }
    }
    // The threads of the endpoint end when its connections do.
    wait_for("threads to end", || (load::threads(None) <= threads).then_some(()));
    println!("KiB in use after each hundred: {sizes:?}");
    let (first, last) = (sizes[1], sizes[9]);
    assert!(last < first + 1_024, "memory grew from {first} to {last} KiB");
}

#[test]
fn what_is_too_much_for_memory_is_dropped_and_told() {
    const MIB: usize = 1 << 20;
    let gone = Endpoint::new(State::Refused);
    let options = Options {
        is_quiet: true,
        ..Options::to(&format!("http://127.0.0.1:{}", gone.port), Protocol::HttpProtobuf).unwrap()
    };
    assert_eq!(options.limit_bytes, 64 * MIB);
    let recorder = tracebaton::hop::Recorder::new();
    let exporter = Exporter::start(&recorder, &options).unwrap();
    let (before, mut most) = (load::resident(), 0);
    // Noise that hardly packs, 200 MiB of it.
    let mut seed = 1_u64;
    let mut logs = 0;
    for offset in 0..50_000 {
        let mut noise = String::new();
        while noise.len() < 4_000 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            noise.push_str(&seed.to_string());
        }
        load::message(&recorder, offset);
        recorder.log(&Log { level: Level::Info, message: &noise, fields: &[] }, None);
        logs += 1;
        if offset % 500 == 0 {
            most = most.max(load::resident());
        }
    }
    let grown = most.saturating_sub(before) / MIB;
    println!("memory grew by {grown} MiB");
    let sink = Sink::at(gone.port);
    let told = wait_long_for("the event that tells of it", 5 * SOON, || {
        let logs = sink.telemetry().logs;
        logs.into_iter().find(|log| log.event_name == "tracebaton.dropped")
    });
    let report = exporter.shutdown(Duration::from_secs(60));
    println!("{report}; memory grew by {grown} MiB");
    // What is allowed, and what the C library keeps of the chunks that were packed: at first they
    // come faster than they are packed, so that both fill the memory once, one after the other.
    assert!(grown <= 64 + 48, "memory grew by {grown} MiB");
    assert!(told.attributes.iter().any(|pair| pair.key == "tracebaton.dropped.logs"));
    assert_eq!((report.refused.total(), report.lost.total()), (0, 0), "{report}");
    assert!(report.dropped.logs > 0 && report.dropped.spans > 0, "{report}");
    assert_eq!(report.dropped.ledger, 0, "the ledger has the last of the memory");
    let telemetry = sink.telemetry();
    let kept_logs = telemetry.logs.iter().filter(|log| log.event_name.is_empty()).count() as u64;
    assert_eq!(report.dropped.logs + kept_logs, logs);
    assert_eq!(report.dropped.spans + telemetry.spans.len() as u64, load::recorded(logs).spans);
    assert_eq!(telemetry.ledger("process").len() as u64, logs);
}
