//! The spans of `#[instrument]`.

use tracebaton::{hop::Recorder, log::SpanLayer, otel};
use tracing::Instrument;
use tracing_subscriber::{
    Registry,
    layer::{Layered, SubscriberExt},
};

use super::{baton, hop};
use crate::support::{
    PARENT, TRACE,
    telemetry::{Telemetry, attributes, hex, recorder},
};

fn subscriber(recorder: &Recorder) -> Layered<SpanLayer, Registry> {
    tracing_subscriber::registry().with(SpanLayer::default().with_recorder(recorder))
}

#[tracing::instrument(fields(otel.kind = "client", total = tracing::field::Empty))]
fn price(item: u32) -> u32 {
    tracing::Span::current().record("total", 7);
    look_up(item);
    item
}

#[tracing::instrument(name = "look up")]
fn look_up(item: u32) {
    let _ = otel::current().unwrap();
}

#[tracing::instrument(err)]
fn charge() -> Result<(), &'static str> {
    Err("no money")
}

#[test]
fn instrumented_functions_nest_below_the_hop() {
    let recorder = recorder();
    let hop = hop(&recorder, &baton("traceparent", PARENT));
    tracing::subscriber::with_default(subscriber(&recorder), || {
        let _guard = otel::cx(hop.baton()).attach();
        price(3);
    });
    hop.end();
    let telemetry = Telemetry::of(&recorder);
    let process = telemetry.span("process orders");
    let price = telemetry.span("price");
    let look_up = telemetry.span("look up");
    assert_eq!(price.parent_span_id, process.span_id);
    assert_eq!(look_up.parent_span_id, price.span_id);
    assert!(telemetry.spans.iter().all(|span| hex(&span.trace_id) == TRACE));
    assert_eq!(price.kind, 3);
    let attributes = attributes(&price.attributes);
    assert_eq!((&*attributes["item"], &*attributes["total"]), ("3", "7"));
    assert!(!attributes.contains_key("otel.kind"));
}

#[test]
fn what_goes_out_of_a_span_belongs_to_it() {
    let recorder = recorder();
    let hop = hop(&recorder, &baton("trace_id", "order-1234"));
    tracing::subscriber::with_default(subscriber(&recorder), || {
        let _guard = otel::cx(hop.baton()).attach();
        let outer = otel::current().unwrap().context;
        let _span = tracing::info_span!("step").entered();
        let inner = otel::current().unwrap();
        assert_ne!(inner.context, outer);
        assert_eq!(inner.legacy_text(), Some("order-1234"), "all of the baton is handed on");
        let root = tracing::info_span!(parent: None, "apart").entered();
        assert_ne!(otel::current().unwrap().context.unwrap().trace_id, hop.trace_id());
        drop(root);
        assert_eq!(otel::current().unwrap().context, inner.context);
    });
    assert!(otel::current().is_none(), "nothing is left behind");
}

#[test]
fn an_error_is_the_spans_status() {
    let recorder = recorder();
    tracing::subscriber::with_default(subscriber(&recorder), || {
        charge().unwrap_err();
        price(1);
    });
    let telemetry = Telemetry::of(&recorder);
    let status = telemetry.span("charge").status.clone().unwrap();
    assert_eq!((status.code, &*status.message), (2, "no money"));
    assert!(telemetry.span("price").status.is_none());
    assert!(telemetry.span("price").parent_span_id.is_empty(), "without a hop it is a root");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_of_concurrent_tasks_keep_apart() {
    const TASKS: usize = 200;
    use tracing::instrument::WithSubscriber;
    let recorder = recorder();
    let dispatch = tracing::Dispatch::new(subscriber(&recorder));
    let barrier = std::sync::Arc::new(tokio::sync::Barrier::new(TASKS));
    let tasks: Vec<_> = (0..TASKS)
        .map(|index| {
            let barrier = barrier.clone();
            let task = async move {
                let own = otel::current().unwrap().context;
                for _ in 0..3 {
                    barrier.wait().await;
                    assert_eq!(otel::current().unwrap().context, own);
                }
            };
            // The span is made where the task runs, so that its subscriber knows it.
            let task = async move { task.instrument(tracing::info_span!("task", index)).await };
            tokio::spawn(task.with_subscriber(dispatch.clone()))
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(Telemetry::of(&recorder).spans.len(), TASKS);
}
