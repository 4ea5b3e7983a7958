//! Outages that end: nothing is lost, and nobody starts anything again.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use tracebaton::hop::Counts;

use crate::support::{
    endpoints::{Endpoint, State},
    load,
    sink::Sink,
    telemetry::Telemetry,
};

/// What arrived: how many items, and how many different ones.
#[derive(Default)]
struct Arrived {
    counts: Counts,
    spans: HashSet<Vec<u8>>,
    offsets: HashSet<i64>,
}

impl Arrived {
    fn take(&mut self, telemetry: Telemetry) {
        self.counts.spans += telemetry.spans.len() as u64;
        self.counts.ledger += telemetry.logs.len() as u64;
        self.spans.extend(telemetry.spans.into_iter().map(|span| span.span_id));
        let pairs = telemetry.logs.into_iter().flat_map(|log| log.attributes);
        let offsets = pairs.filter(|pair| pair.key == "messaging.kafka.offset");
        self.offsets.extend(offsets.filter_map(|pair| match pair.value?.value? {
            Value::IntValue(offset) => Some(offset),
            _ => None,
        }));
    }
}

/// Sends 5,000 messages a second to an endpoint that is away for so long, and comes back.
fn outage(state: State, seconds: u32) {
    let endpoint = Endpoint::new(state);
    let (recorder, exporter) = load::export_to(endpoint.port);
    let before = load::resident();
    let mut most = 0;
    let delays = load::run(&recorder, 5_000, seconds, || most = most.max(load::resident()));
    most = most.max(load::resident());
    let port = endpoint.port;
    drop(endpoint);
    let grown = most.saturating_sub(before) >> 20;
    let back = Instant::now();
    let arrived = Arc::<Mutex<Arrived>>::default();
    let reader = arrived.clone();
    let _sink = Sink::reading_at(port, move |telemetry| reader.lock().unwrap().take(telemetry));
    let messages = 5_000 * u64::from(seconds);
    let wanted = load::recorded(messages);
    while arrived.lock().unwrap().counts != wanted && back.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let took = back.elapsed();
    let report = exporter.shutdown(Duration::from_secs(20));
    println!(
        "{state:?} for {seconds} s: {delays}; memory grew by {grown} MiB; all there {took:?} after \
         the end: {report}"
    );
    assert_eq!(report.exported, wanted, "{report}");
    assert!(report.is_complete(), "{report}");
    let arrived = arrived.lock().unwrap();
    assert_eq!(arrived.counts, wanted, "once each");
    assert_eq!(arrived.spans.len() as u64, wanted.spans);
    assert_eq!(arrived.offsets.len() as u64, messages);
    assert!(delays.quantile(0.999) < Duration::from_millis(1), "{delays}");
    // What is allowed, and something for the allocator and the request on its way.
    assert!(grown <= 64 + 16, "memory grew by {grown} MiB");
}

#[test]
fn forty_seconds_without_an_endpoint_lose_nothing() {
    outage(State::Refused, 40);
}

#[test]
fn thirty_seconds_in_a_black_hole_lose_nothing() {
    outage(State::BlackHoled, std::env::var("SECS").map_or(30, |s| s.parse().unwrap()));
}

#[test]
fn ten_seconds_of_503_lose_nothing() {
    outage(State::Busy, 10);
}
