//! Starting and stopping.

use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use tracebaton::{
    hop::{Coordinates, Counts, Hop, Recorder},
    otlp::{Exporter, Options, Protocol},
    propagate::Baton,
};

use super::{SOON, counts, options, record, start};
use crate::support::sink::Sink;

/// Returns how many threads this process has that export.
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok);
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim() == "tracebaton-otlp").count()
}

#[test]
fn a_recorder_can_be_exported_again_and_again() {
    let sink = Sink::start();
    let options = options(&sink, Protocol::HttpProtobuf);
    let recorder = Recorder::new();
    for cycle in 0..100 {
        let exporter = Exporter::start(&recorder, &options).unwrap();
        record(&recorder, 0..1);
        let report = exporter.shutdown(SOON);
        assert_eq!(report.exported, counts(1), "cycle {cycle}: {report}");
    }
    assert_eq!(sink.telemetry().spans.len(), 100);
    // Other tests have exporters of their own at the same time, but not a hundred.
    assert!(threads() < 50, "{} threads are left", threads());
}

#[tokio::test]
async fn flush_and_shutdown_may_be_called_from_async_code() {
    let sink = Sink::start();
    let (recorder, exporter) = start(&options(&sink, Protocol::HttpProtobuf));
    record(&recorder, 0..1);
    assert!(exporter.flush(SOON));
    assert!(exporter.shutdown(SOON).is_complete());
    assert!(!exporter.flush(SOON), "it is over");
    assert!(exporter.shutdown(SOON).is_complete(), "a second time is the same");
}

#[test]
fn a_full_chunk_does_not_wait_for_the_interval() {
    let sink = Sink::start();
    let options =
        Options { interval: Duration::from_secs(3_600), ..options(&sink, Protocol::HttpProtobuf) };
    let (recorder, exporter) = start(&options);
    record(&recorder, 0..5_000);
    crate::support::wait_for("spans", || (!sink.telemetry().spans.is_empty()).then_some(()));
    assert_eq!(exporter.shutdown(SOON).exported, counts(5_000));
}

#[test]
fn a_disabled_exporter_keeps_nothing() {
    let recorder = Recorder::new();
    let options = Options { is_disabled: true, ..Options::default() };
    let exporter = Exporter::start(&recorder, &options).unwrap();
    record(&recorder, 0..5);
    assert_eq!(recorder.held().total(), 0);
    assert!(exporter.shutdown(SOON).is_complete());
}

#[test]
fn dropping_it_sends_what_is_left() {
    let sink = Sink::start();
    let (recorder, exporter) = start(&options(&sink, Protocol::Grpc));
    record(&recorder, 0..7);
    drop(exporter);
    assert_eq!(sink.telemetry().spans.len(), 7);
}

#[test]
fn a_hop_whose_outputs_outlive_the_export_is_told() {
    let sink = Sink::start();
    let (recorder, exporter) = start(&options(&sink, Protocol::HttpProtobuf));
    let input = Coordinates { topic: "orders".into(), partition: 0, offset: 1, group: None };
    let hop = Hop::process(&recorder, &input, &Baton::default());
    let kept = [hop.output("invoices"), hop.output("invoices")];
    hop.end();
    let report = exporter.shutdown(SOON);
    assert_eq!(report.exported, Counts { spans: 1, logs: 0, ledger: 1 }, "{report}");
    drop(kept);
    let telemetry = sink.telemetry();
    let [event] = &telemetry.logs[..] else { panic!("{:?}", telemetry.logs) };
    let unconfirmed = "tracebaton.outputs.unconfirmed";
    let pair = event.attributes.iter().find(|pair| pair.key == unconfirmed).unwrap();
    assert_eq!(pair.value.as_ref().unwrap().value, Some(Any::IntValue(2)));
}

#[test]
fn what_is_under_way_when_the_export_stops_is_pending_and_what_it_sent_is_told() {
    let sink = Sink::start();
    let (recorder, exporter) = start(&options(&sink, Protocol::HttpProtobuf));
    let at = |offset| Coordinates { topic: "raw".into(), partition: 0, offset, group: None };
    let open = Hop::process(&recorder, &at(1), &Baton::default());
    open.output("out").delivered(0, 7);
    let done = Hop::process(&recorder, &at(2), &Baton::default());
    done.output("out").delivered(0, 8);
    done.end();
    let report = exporter.shutdown(SOON);
    assert!(report.is_complete(), "{report}");
    open.end();
    let telemetry = sink.telemetry();
    assert_eq!(telemetry.spans.len(), 4);
    let mut sent: Vec<String> = telemetry
        .ledger("send")
        .iter()
        .map(|event| event["messaging.kafka.offset"].clone())
        .collect();
    sent.sort_unstable();
    assert_eq!(sent, ["7", "8"]);
    let processed = telemetry.ledger("process");
    let mut passed: Vec<(&str, bool)> = processed
        .iter()
        .map(|event| {
            (&*event["messaging.kafka.offset"], event.contains_key("tracebaton.records.passed"))
        })
        .collect();
    passed.sort_unstable();
    assert_eq!(passed, [("1", false), ("2", true)]);
}
