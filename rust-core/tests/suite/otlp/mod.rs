//! The exporter, against endpoints that work, and endpoints that fail in every way.

mod answers;
mod faults;
#[cfg(feature = "otel")]
mod host;
mod life;
mod tls;
mod variables;
mod wire;

use std::time::Duration;

use tracebaton::{
    hop::{Coordinates, Counts, Hop, Level, Log, Recorder},
    otlp::{Endpoint, Exporter, Options, Protocol},
    propagate::Baton,
};

use crate::support::sink::Sink;

const SOON: Duration = Duration::from_secs(20);

/// Returns options for an endpoint; nothing is sent before it is asked for, and nothing is said.
fn options(sink: &Sink, protocol: Protocol) -> Options {
    options_at(&format!("http://{}", sink.address), protocol)
}

fn options_at(base: &str, protocol: Protocol) -> Options {
    let mut options = Options {
        service_name: Some("shop".to_owned()),
        interval: Duration::from_millis(20),
        is_quiet: true,
        ..Options::to(base, protocol).unwrap()
    };
    options.endpoints().for_each(|endpoint| endpoint.timeout = Duration::from_secs(2));
    options
}

/// Returns options whose endpoints are changed alike.
fn with(mut options: Options, change: impl FnMut(&mut Endpoint)) -> Options {
    options.endpoints().for_each(change);
    options
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
