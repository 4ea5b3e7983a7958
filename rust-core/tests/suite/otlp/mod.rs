//! The exporter, against endpoints that work, and endpoints that fail in every way.

mod faults;
#[cfg(feature = "otel")]
mod host;
mod life;
mod wire;

use std::time::Duration;

use tracebaton::{
    hop::{Coordinates, Counts, Hop, Level, Log, Recorder},
    otlp::{Exporter, Options, Protocol},
    propagate::Baton,
};

use crate::support::sink::Sink;

const SOON: Duration = Duration::from_secs(20);

/// Returns options for an endpoint; nothing is sent before it is asked for, and nothing is said.
fn options(sink: &Sink, protocol: Protocol) -> Options {
    options_at(&format!("http://{}", sink.address), protocol)
}

fn options_at(base: &str, protocol: Protocol) -> Options {
    let service = "opentelemetry.proto.collector";
    let (traces, logs) = match protocol {
        Protocol::HttpProtobuf => ("v1/traces".to_owned(), "v1/logs".to_owned()),
        Protocol::Grpc => (
            format!("{service}.trace.v1.TraceService/Export"),
            format!("{service}.logs.v1.LogsService/Export"),
        ),
    };
    Options {
        service_name: Some("shop".to_owned()),
        protocol,
        traces_url: format!("{base}/{traces}"),
        logs_url: format!("{base}/{logs}"),
        interval: Duration::from_millis(20),
        timeout: Duration::from_secs(2),
        is_quiet: true,
        ..Options::default()
    }
}

fn start(options: &Options) -> (Recorder, Exporter) {
    let recorder = Recorder::new();
    let exporter = Exporter::start(&recorder, options).unwrap();
    (recorder, exporter)
}

/// Records hops, each with a span, a ledger event and a log line.
fn record(recorder: &Recorder, offsets: std::ops::Range<i64>) {
    for offset in offsets {
        let input = Coordinates {
            topic: "orders".to_owned(),
            partition: 0,
            offset,
            group: Some("billing".to_owned()),
        };
        let hop = Hop::process(recorder, &input, &Baton::default());
        let log = Log { level: Level::Info, message: "billed", fields: &[] };
        recorder.log(&log, Some(hop.baton()));
        hop.end();
    }
}

fn counts(hops: u64) -> Counts {
    Counts { spans: hops, logs: hops, ledger: hops }
}
