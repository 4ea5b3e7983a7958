//! Log lines of `tracing` users.

mod spans;

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tracebaton::{
    carrier::{List, Medium},
    hop::{Coordinates, Hop, Recorder},
    log::{LineFormat, LogLayer},
    otel::{self, FutureExt},
    propagate::{Baton, Propagation},
};
use tracing::instrument::WithSubscriber;
use tracing_subscriber::{
    Registry,
    layer::{Layered, SubscriberExt},
};

use crate::support::{
    PARENT, TRACE,
    telemetry::{Telemetry, attributes, hex, recorder},
};

type Lines = Arc<Mutex<Vec<String>>>;

fn subscriber(recorder: &Recorder, format: LineFormat) -> (Layered<LogLayer, Registry>, Lines) {
    let lines = Lines::default();
    let sink = lines.clone();
    let layer = LogLayer::default()
        .with_recorder(recorder)
        .with_format(format)
        .with_sink(move |line| sink.lock().unwrap().push(line.to_owned()));
    (tracing_subscriber::registry().with(layer), lines)
}

fn hop(recorder: &Recorder, baton: &Baton) -> Hop {
    let input = Coordinates { topic: "orders".into(), partition: 0, offset: 7, group: None };
    Hop::process(recorder, &input, baton)
}

fn baton(name: &str, value: &str) -> Baton {
    Propagation::default().extract(&List::new(Medium::Kafka, [(name, Some(value))])).baton
}

#[test]
fn a_line_is_json_with_the_ids_on_top() {
    let recorder = recorder();
    recorder.set_service("shop");
    let (subscriber, lines) = subscriber(&recorder, LineFormat::Json);
    let hop = hop(&recorder, &baton("traceparent", PARENT));
    tracing::subscriber::with_default(subscriber, || {
        let guard = otel::cx(hop.baton()).attach();
        let _span = tracing::info_span!("order", order = 7, step = "outer").entered();
        tracing::warn!(
            step = "inner",
            ratio = 0.5,
            is_late = true,
            big = u64::MAX,
            trace_id = "forged",
            "late \"again\"\r\n\u{1b}[31m"
        );
        drop(guard);
        tracing::info!("alone");
    });
    let lines = lines.lock().unwrap();
    assert!(lines.iter().all(|line| line.ends_with('\n') && line.matches('\n').count() == 1));
    assert!(!lines[0].contains('\u{1b}'));
    let line: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["service"], "shop");
    assert_eq!(line["message"], "late \"again\"\r\n\u{1b}[31m");
    assert_eq!(line["trace_id"], TRACE);
    assert_eq!(line["span_id"], hop.span_id().to_string());
    assert_eq!(line["order"], 7);
    assert_eq!(line["step"], "inner", "the event's own field goes before the span's");
    assert_eq!(line["ratio"], 0.5);
    assert_eq!(line["is_late"], true);
    assert_eq!(line["big"], u64::MAX.to_string());
    assert_eq!(line["trace_id_"], "forged");
    let order: Vec<_> = line.as_object().unwrap().keys().take(6).collect();
    assert_eq!(order, ["timestamp", "level", "service", "message", "trace_id", "span_id"]);
    let alone: Value = serde_json::from_str(&lines[1]).unwrap();
    assert!(alone.get("trace_id").is_none(), "absent is absent");
}

#[test]
fn the_record_says_the_same_as_the_line() {
    let recorder = recorder();
    let (subscriber, _) = subscriber(&recorder, LineFormat::Json);
    let hop = hop(&recorder, &baton("trace_id", "order-1234"));
    tracing::subscriber::with_default(subscriber, || {
        let _guard = otel::cx(hop.baton()).attach();
        tracing::error!(code = 3, "gone");
    });
    let telemetry = Telemetry::of(&recorder);
    let [record] = &telemetry.logs[..] else { panic!("{telemetry:?}") };
    assert_eq!(hex(&record.trace_id), hop.trace_id().to_string());
    assert_eq!(hex(&record.span_id), hop.span_id().to_string());
    assert_eq!((record.severity_number, &*record.severity_text), (17, "ERROR"));
    let attributes = attributes(&record.attributes);
    assert_eq!(attributes["code"], "3");
    assert_eq!(attributes["tracebaton.legacy_id"], "order-1234");
}

#[test]
fn the_text_form_shows_what_the_client_knows() {
    let recorder = recorder();
    let (subscriber, lines) =
        subscriber(&recorder, LineFormat::Text { action: "Transform".into() });
    tracing::subscriber::with_default(subscriber, || {
        for (name, value) in [("trace_id", "order-1234"), ("traceparent", PARENT)] {
            let _guard = otel::cx(hop(&recorder, &baton(name, value)).baton()).attach();
            tracing::info!(count = 3, "made");
        }
        tracing::info!("alone");
    });
    let expected = [
        "[Transform] [trace_id=order-1234] made count=3\n".to_owned(),
        format!("[Transform] [trace_id={TRACE}] made count=3\n"),
        "[Transform] alone\n".to_owned(),
    ];
    assert_eq!(*lines.lock().unwrap(), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_tasks_log_their_own_ids() {
    const TASKS: usize = 200;
    let recorder = recorder();
    let (subscriber, lines) = subscriber(&recorder, LineFormat::Json);
    let subscriber = tracing::Dispatch::new(subscriber);
    let barrier = Arc::new(tokio::sync::Barrier::new(TASKS));
    let tasks: Vec<_> = (0..TASKS)
        .map(|index| {
            let (barrier, recorder) = (barrier.clone(), recorder.clone());
            let task = async move {
                let hop = hop(&recorder, &baton("trace_id", &format!("order-{index}")));
                let work = async {
                    for _ in 0..3 {
                        barrier.wait().await;
                        tracing::info!(index, "working");
                    }
                };
                work.with_context(otel::cx(hop.baton())).await;
            };
            tokio::spawn(task.with_subscriber(subscriber.clone()))
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let lines = lines.lock().unwrap();
    assert_eq!(lines.len(), 3 * TASKS);
    for line in lines.iter() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["legacy_id"], format!("order-{}", line["index"]));
    }
}
