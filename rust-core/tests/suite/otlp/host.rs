//! Spans of hops that the host's own SDK records; the ledger goes to the endpoint as ever.

use std::{
    collections::BTreeMap,
    sync::{Mutex, mpsc},
    time::{Duration, Instant},
};

use opentelemetry::trace::{SpanKind, Status, TracerProvider};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanData};
use tracebaton::{
    hop::{Coordinates, Counts, Hop},
    otel::{self, BatonIdGenerator},
    otlp::{Exporter, Options, Protocol, SpanHost},
    propagate::Baton,
    wire::{Flags, TraceContext},
};

use super::{SOON, options, start};
use crate::support::{PARENT, TRACE, kept::Kept, sink::Sink, wait_for};

fn input(offset: i64) -> Coordinates {
    Coordinates {
        topic: "orders".to_owned(),
        partition: 3,
        offset,
        group: Some("billing".to_owned()),
    }
}

fn traced() -> Baton {
    let context = Some(TraceContext::parse(PARENT).unwrap());
    Baton { context, ..Baton::default() }
}

fn hosted(sink: &Sink, provider: &SdkTracerProvider) -> Options {
    let span_host = Some(otel::spans_to(provider.tracer("tracebaton")));
    Options { span_host, ..options(sink, Protocol::HttpProtobuf) }
}

fn named<'s>(spans: &'s [SpanData], name: &str) -> &'s SpanData {
    let found: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    let [only] = found[..] else { panic!("{} spans are named {name}", found.len()) };
    only
}

#[test]
fn the_hosts_sdk_records_hops_with_their_ids_parents_and_times() {
    let (sink, kept) = (Sink::start(), Kept::default());
    let provider = kept.provider(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)));
    let (recorder, exporter) = start(&hosted(&sink, &provider));
    let hop = Hop::process(&recorder, &input(7), &traced());
    hop.set("order.lines", 3);
    let output = hop.output("invoices");
    let send_id = output.baton().context.unwrap().span_id.unwrap();
    output.delivered(0, 9);
    hop.end();
    let root = Hop::process(&recorder, &input(8), &Baton::default());
    root.failed("ValueError", "no such currency");
    root.end();
    let flags = Flags::RANDOM;
    let context = traced().context.map(|context| TraceContext { flags, ..context });
    Hop::process(&recorder, &input(9), &Baton { context, ..Baton::default() }).end();
    assert!(exporter.flush(SOON));
    let report = exporter.shutdown(SOON);
    assert_eq!(report.exported, Counts { spans: 3, logs: 0, ledger: 4 });
    assert!(report.is_complete(), "{report}");

    let spans = kept.take();
    assert_eq!(spans.len(), 3, "the trace that is not sampled has none");
    let send = named(&spans, "send invoices");
    let [process, failed] = ["order.lines", "error.type"].map(|key| {
        let has = |span: &&SpanData| span.attributes.iter().any(|pair| pair.key.as_str() == key);
        spans.iter().find(has).unwrap()
    });
    assert_eq!((&*process.name, &process.span_kind), ("process orders", &SpanKind::Consumer));
    assert_eq!(process.span_context.trace_id().to_string(), TRACE);
    assert_eq!(process.span_context.span_id().to_string(), hop.span_id().to_string());
    assert_eq!(process.parent_span_id.to_string(), "b7ad6b7169203331");
    assert!(process.parent_span_is_remote);
    assert_eq!(process.links.len(), 1, "its sender is linked to as well");
    assert_eq!(process.links[0].span_context.span_id().to_string(), "b7ad6b7169203331");
    let attributes: BTreeMap<_, _> =
        process.attributes.iter().map(|pair| (pair.key.as_str(), &pair.value)).collect();
    assert_eq!(attributes["order.lines"], &3.into());
    assert_eq!(attributes["messaging.destination.partition.id"], &"3".into());
    assert_eq!(attributes["messaging.kafka.offset"], &7.into());
    assert_eq!(send.span_kind, SpanKind::Producer);
    assert_eq!(send.span_context.span_id().to_string(), send_id.to_string());
    assert_eq!(send.parent_span_id, process.span_context.span_id());
    assert!(!send.parent_span_is_remote);
    assert!(process.start_time <= send.start_time && send.end_time <= process.end_time);
    let took = process.end_time.duration_since(process.start_time).unwrap();
    assert!(took < Duration::from_secs(60), "{took:?}");

    assert_eq!(failed.span_context.trace_id().to_string(), root.trace_id().to_string());
    assert_eq!(failed.span_context.span_id().to_string(), root.span_id().to_string());
    assert_eq!(failed.status, Status::error("no such currency"));
    assert_eq!(failed.events.events[0].name, "exception");

    let telemetry = sink.telemetry();
    assert!(telemetry.spans.is_empty(), "no span is told twice");
    assert_eq!(telemetry.ledger("process").len(), 3, "sampled or not");
    assert_eq!(telemetry.ledger("send").len(), 1);
}

#[test]
fn a_host_that_panics_costs_its_spans_and_nothing_else() {
    let sink = Sink::start();
    let span_host = Some(SpanHost::new(|_| panic!("a processor of the host's")));
    let options = Options { span_host, ..options(&sink, Protocol::HttpProtobuf) };
    let (recorder, exporter) = start(&options);
    Hop::process(&recorder, &input(7), &traced()).end();
    exporter.flush(SOON);
    Hop::process(&recorder, &input(8), &traced()).end();
    let report = exporter.shutdown(SOON);
    assert_eq!(report.dropped.spans, 2);
    assert_eq!(sink.telemetry().ledger("process").len(), 2);
}

#[test]
fn the_id_generator_makes_ids_of_its_own_for_all_other_spans() {
    use opentelemetry::trace::{Span, Tracer};

    let (sink, kept) = (Sink::start(), Kept::default());
    let provider = SdkTracerProvider::builder()
        .with_id_generator(BatonIdGenerator::default())
        .with_simple_exporter(kept.clone())
        .build();
    let recorder = tracebaton::hop::Recorder::new();
    let exporter = Exporter::start(&recorder, &hosted(&sink, &provider)).unwrap();
    let hop = Hop::process(&recorder, &input(7), &traced());
    hop.end();
    exporter.shutdown(SOON);
    provider.tracer("own").start("own").end();
    let spans = kept.take();
    assert_eq!(spans.len(), 2);
    assert_ne!(spans[0].span_context.trace_id(), spans[1].span_context.trace_id());
    assert_ne!(spans[0].span_context.span_id(), spans[1].span_context.span_id());
}

/// Returns a host that takes nothing until the sender is dropped, and all from then on.
fn busy_host() -> (mpsc::Sender<()>, Option<SpanHost>) {
    let (free, busy) = mpsc::channel();
    let busy = Mutex::new(busy);
    let host = SpanHost::new(move |spans| {
        let _ = busy.lock().unwrap().recv();
        spans.len()
    });
    (free, Some(host))
}

#[test]
fn a_host_that_is_busy_holds_up_no_ledger_event_and_gets_its_spans_later() {
    let sink = Sink::start();
    let (free, span_host) = busy_host();
    let (recorder, exporter) =
        start(&Options { span_host, ..options(&sink, Protocol::HttpProtobuf) });
    Hop::process(&recorder, &input(7), &traced()).end();
    assert!(!exporter.flush(Duration::from_millis(100)), "the span is nobody's yet");
    Hop::process(&recorder, &input(8), &traced()).end();
    wait_for("the events", || (sink.telemetry().ledger("process").len() == 2).then_some(()));
    drop(free);
    assert!(exporter.flush(SOON));
    let report = exporter.shutdown(SOON);
    assert_eq!(report.exported, Counts { spans: 2, logs: 0, ledger: 2 });
    assert!(report.is_complete(), "{report}");
}

#[test]
fn a_host_that_never_answers_does_not_hold_up_the_end() {
    let sink = Sink::start();
    let (free, span_host) = busy_host();
    let (recorder, exporter) =
        start(&Options { span_host, ..options(&sink, Protocol::HttpProtobuf) });
    Hop::process(&recorder, &input(7), &traced()).end();
    let start = Instant::now();
    let report = exporter.shutdown(Duration::from_millis(300));
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!((report.exported.ledger, report.lost.spans), (1, 1), "{report}");
    drop(free);
}
