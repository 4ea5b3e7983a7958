//! A whole hop: a message is read, processed, and one is sent; two spans, encoded and handed to a
//! live endpoint. Ours writes its ledger events and the legacy header besides.

use std::{borrow::Cow, cell::Cell, ops::Range, time::Duration};

use fastrace::prelude::{Span as FastSpan, SpanContext as FastContext};
use fastrace_opentelemetry::OpenTelemetryReporter;
use opentelemetry::{
    Context, InstrumentationScope, KeyValue,
    propagation::TextMapPropagator,
    trace::{SpanKind, TraceContextExt, Tracer, TracerProvider},
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider},
};
use rdkafka::message::{Header, Headers, OwnedHeaders};
use tracebaton::{
    Propagation,
    hop::{Consumer, Destination, Hop, Output, Recorder},
    kafka::{OwnedBaton, ReadHeaders},
    otlp::{Exporter, Options, Protocol},
};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;

use crate::{
    carriers::{PARENT, PeerExtractor, PeerInjector, kafka_headers},
    measure::{Clock, Pair, Row},
    sink::Sink,
};

const COUNT: usize = 10_000;
const ROUNDS: usize = 11;
/// So many messages are on their way at a time where the broker's answers come late.
const IN_FLIGHT: usize = 1_000;
/// What fastrace has no room for on its way to the background it drops without telling.
const FASTRACE_BURST: usize = 1_000;
const SOON: Duration = Duration::from_secs(30);

pub(crate) fn run(
    sink: &Sink,
    wanted: impl Fn(&str) -> bool,
    rows: &mut Vec<Row>,
) -> anyhow::Result<()> {
    let race = Race { ours: Ours::start(&sink.of("ours").url)?, sink };
    let url = &sink.of("peer").url;
    if wanted("rust.hop") {
        let provider = provider(url)?;
        let tracer = provider.tracer("bench");
        let peer = |count| {
            let headers = kafka_headers(&[("traceparent", PARENT)]);
            (0..count).for_each(|offset| by_sdk(&tracer, &headers, offset as i64));
            provider.force_flush().expect("the endpoint is there");
        };
        rows.push(race.run("rust.hop", "opentelemetry_sdk by hand", Ours::hops, peer)?);
    }
    if wanted("rust.hop.late") {
        let provider = provider(url)?;
        let tracer = provider.tracer("bench");
        let peer = |count| {
            let headers = kafka_headers(&[("traceparent", PARENT)]);
            for first in (0..count).step_by(IN_FLIGHT) {
                late_by_sdk(&tracer, &headers, first..count.min(first + IN_FLIGHT));
            }
            provider.force_flush().expect("the endpoint is there");
        };
        rows.push(race.run("rust.hop.late", "opentelemetry_sdk by hand", Ours::late_hops, peer)?);
    }
    if wanted("rust.hop.tracing") {
        let provider = provider(url)?;
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("bench"));
        let dispatch = tracing::Dispatch::new(tracing_subscriber::registry().with(layer));
        let peer = |count| {
            let headers = kafka_headers(&[("traceparent", PARENT)]);
            tracing::dispatcher::with_default(&dispatch, || {
                (0..count).for_each(|offset| by_tracing(&headers, offset as i64));
            });
            provider.force_flush().expect("the endpoint is there");
        };
        rows.push(race.run("rust.hop.tracing", "tracing-opentelemetry", Ours::hops, peer)?);
    }
    if wanted("rust.hop.fastrace") {
        let reporter = OpenTelemetryReporter::new(
            exporter(url)?,
            Cow::Owned(Resource::builder().build()),
            InstrumentationScope::builder("bench").build(),
        );
        fastrace::set_reporter(reporter, fastrace::collector::Config::default());
        let peer = |count| {
            let headers = kafka_headers(&[("traceparent", PARENT)]);
            for offset in 0..count {
                by_fastrace(&headers, offset as i64);
                if offset % FASTRACE_BURST == FASTRACE_BURST - 1 {
                    fastrace::flush();
                }
            }
            fastrace::flush();
        };
        rows.push(race.run("rust.hop.fastrace", "fastrace", Ours::hops, peer)?);
    }
    Ok(())
}

/// Ours and the place where both arrive.
struct Race<'a> {
    ours: Ours,
    sink: &'a Sink,
}

impl Race<'_> {
    /// Measures both, and makes sure that whatever they made has arrived: two spans a hop, and ours
    /// two ledger events besides.
    fn run(
        &self,
        metric: &'static str,
        peer_name: &'static str,
        ours: fn(&Ours, &OwnedHeaders, usize),
        mut peer: impl FnMut(usize),
    ) -> anyhow::Result<Row> {
        let inlets = [self.sink.of("ours"), self.sink.of("peer")];
        let before = [inlets[0].arrived()?, inlets[1].arrived()?];
        let made = [Cell::new(0), Cell::new(0)];
        let note = |hops: &Cell<u64>, count: usize| hops.set(hops.get() + count as u64);
        let ours = Box::new(|count| {
            note(&made[0], count);
            let headers = kafka_headers(&[("traceparent", PARENT)]);
            ours(&self.ours, &headers, count);
            assert!(self.ours.exporter.flush(SOON));
        });
        let peer = Box::new(|count| {
            note(&made[1], count);
            peer(count);
        });
        let (clock, count, rounds) = (Clock::Process, COUNT, ROUNDS);
        let row = Pair { metric, peer_name, clock, count, rounds, ours, peer }.measure();
        let [ours, peer] = made.each_ref().map(Cell::get);
        inlets[0].await_arrival(before[0], [2 * ours, 2 * ours])?;
        inlets[1].await_arrival(before[1], [2 * peer, 0])?;
        Ok(row)
    }
}

pub(crate) struct Ours {
    pub(crate) recorder: Recorder,
    propagation: Propagation,
    exporter: Exporter,
    orders: Consumer,
    invoices: Destination,
}

impl Ours {
    pub(crate) fn start(url: &str) -> anyhow::Result<Self> {
        let recorder = Recorder::new();
        let options = Options {
            service_name: Some("bench".to_owned()),
            ..Options::to(url, Protocol::HttpProtobuf)?
        };
        let exporter = Exporter::start(&recorder, &options)?;
        Ok(Self {
            recorder,
            propagation: Propagation::default(),
            exporter,
            orders: Consumer::new("orders", Some("billing")),
            invoices: Destination::new("invoices"),
        })
    }

    fn hops(&self, headers: &OwnedHeaders, count: usize) {
        for offset in 0..count as i64 {
            let (hop, output) = self.send(headers, offset);
            output.delivered(1, offset);
            hop.end();
        }
    }

    /// Does the same where each hop has ended long before the broker's answer comes.
    fn late_hops(&self, headers: &OwnedHeaders, count: usize) {
        let mut waiting = Vec::with_capacity(IN_FLIGHT);
        for first in (0..count).step_by(IN_FLIGHT) {
            for offset in first..count.min(first + IN_FLIGHT) {
                let (hop, output) = self.send(headers, offset as i64);
                hop.end();
                waiting.push((offset, output));
            }
            for (offset, output) in waiting.drain(..) {
                output.delivered(1, offset as i64);
            }
        }
    }

    #[inline]
    fn send(&self, headers: &OwnedHeaders, offset: i64) -> (Hop, Output) {
        let carrier = ReadHeaders(Some(headers.as_borrowed()));
        let baton = self.propagation.extract_baton(&carrier);
        let hop = self.orders.process(&self.recorder, 3, offset, &baton);
        let output = hop.output_to(&self.invoices);
        let mut outgoing = OwnedBaton(OwnedHeaders::new());
        self.propagation.inject(output.baton(), &mut outgoing);
        assert_eq!(outgoing.0.count(), 2);
        (hop, output)
    }
}

fn exporter(url: &str) -> anyhow::Result<SpanExporter> {
    let endpoint = format!("{url}/v1/traces");
    Ok(SpanExporter::builder().with_http().with_endpoint(endpoint).build()?)
}

/// Returns a provider whose queue holds a whole round: what it drops would cost it nothing.
pub(crate) fn provider(url: &str) -> anyhow::Result<SdkTracerProvider> {
    let config = BatchConfigBuilder::default().with_max_queue_size(4 * COUNT).build();
    let processor = BatchSpanProcessor::builder(exporter(url)?).with_batch_config(config).build();
    Ok(SdkTracerProvider::builder().with_span_processor(processor).build())
}

fn by_sdk(tracer: &SdkTracer, headers: &OwnedHeaders, offset: i64) {
    let (cx, sent) = send_by_sdk(tracer, headers, offset);
    delivered_by_sdk(&sent, offset);
    cx.span().end();
}

fn late_by_sdk(tracer: &SdkTracer, headers: &OwnedHeaders, offsets: Range<usize>) {
    let mut waiting = Vec::with_capacity(IN_FLIGHT);
    for offset in offsets {
        let (cx, sent) = send_by_sdk(tracer, headers, offset as i64);
        cx.span().end();
        waiting.push((offset, sent));
    }
    for (offset, sent) in waiting {
        delivered_by_sdk(&sent, offset as i64);
    }
}

fn delivered_by_sdk(sent: &Context, offset: i64) {
    sent.span().set_attribute(KeyValue::new("messaging.destination.partition.id", "1"));
    sent.span().set_attribute(KeyValue::new("messaging.kafka.offset", offset));
    sent.span().end();
}

#[inline]
fn send_by_sdk(tracer: &SdkTracer, headers: &OwnedHeaders, offset: i64) -> (Context, Context) {
    let propagator = TraceContextPropagator::new();
    let cx = propagator.extract(&PeerExtractor(headers.as_borrowed()));
    let span = tracer
        .span_builder("process orders")
        .with_kind(SpanKind::Consumer)
        .with_attributes([
            KeyValue::new("messaging.system", "kafka"),
            KeyValue::new("messaging.operation.type", "process"),
            KeyValue::new("messaging.operation.name", "process"),
            KeyValue::new("messaging.destination.name", "orders"),
            KeyValue::new("messaging.destination.partition.id", "3"),
            KeyValue::new("messaging.kafka.offset", offset),
            KeyValue::new("messaging.consumer.group.name", "billing"),
        ])
        .start_with_context(tracer, &cx);
    let cx = cx.with_span(span);
    let send = tracer
        .span_builder("send invoices")
        .with_kind(SpanKind::Producer)
        .with_attributes([
            KeyValue::new("messaging.system", "kafka"),
            KeyValue::new("messaging.operation.type", "send"),
            KeyValue::new("messaging.operation.name", "send"),
            KeyValue::new("messaging.destination.name", "invoices"),
        ])
        .start_with_context(tracer, &cx);
    let sent = cx.with_span(send);
    let mut outgoing = OwnedHeaders::new();
    propagator.inject_context(&sent, &mut PeerInjector(&mut outgoing));
    assert!(outgoing.count() > 0);
    (cx, sent)
}

fn by_tracing(headers: &OwnedHeaders, offset: i64) {
    let propagator = TraceContextPropagator::new();
    let cx = propagator.extract(&PeerExtractor(headers.as_borrowed()));
    let span = tracing::info_span!(
        "process orders",
        otel.kind = "consumer",
        messaging.system = "kafka",
        messaging.operation.type = "process",
        messaging.operation.name = "process",
        messaging.destination.name = "orders",
        messaging.destination.partition.id = "3",
        messaging.kafka.offset = offset,
        messaging.consumer.group.name = "billing",
    );
    let _ = span.set_parent(cx);
    let _entered = span.enter();
    let send = tracing::info_span!(
        "send invoices",
        otel.kind = "producer",
        messaging.system = "kafka",
        messaging.operation.type = "send",
        messaging.operation.name = "send",
        messaging.destination.name = "invoices",
        messaging.destination.partition.id = "1",
        messaging.kafka.offset = offset,
    );
    let mut outgoing = OwnedHeaders::new();
    propagator.inject_context(&send.context(), &mut PeerInjector(&mut outgoing));
    assert!(outgoing.count() > 0);
}

fn by_fastrace(headers: &OwnedHeaders, offset: i64) {
    let found = headers.iter().find(|header| header.key == "traceparent");
    let text = found.and_then(|header| std::str::from_utf8(header.value?).ok()).unwrap_or_default();
    let parent = FastContext::decode_w3c_traceparent(text).unwrap_or_else(FastContext::random);
    let span = FastSpan::root("process orders", parent).with_properties(|| {
        [
            ("span.kind", Cow::Borrowed("consumer")),
            ("messaging.system", "kafka".into()),
            ("messaging.operation.type", "process".into()),
            ("messaging.operation.name", "process".into()),
            ("messaging.destination.name", "orders".into()),
            ("messaging.destination.partition.id", "3".into()),
            ("messaging.kafka.offset", offset.to_string().into()),
            ("messaging.consumer.group.name", "billing".into()),
        ]
    });
    let send = FastSpan::enter_with_parent("send invoices", &span).with_properties(|| {
        [
            ("span.kind", Cow::Borrowed("producer")),
            ("messaging.system", "kafka".into()),
            ("messaging.operation.type", "send".into()),
            ("messaging.operation.name", "send".into()),
            ("messaging.destination.name", "invoices".into()),
            ("messaging.destination.partition.id", "1".into()),
            ("messaging.kafka.offset", offset.to_string().into()),
        ]
    });
    let context = FastContext::from_span(&send).unwrap_or_else(FastContext::random);
    let text = context.encode_w3c_traceparent();
    let outgoing =
        OwnedHeaders::new().insert(Header { key: "traceparent", value: Some(text.as_str()) });
    assert_eq!(outgoing.count(), 1);
}
