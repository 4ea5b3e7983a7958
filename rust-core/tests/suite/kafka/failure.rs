//! A transform that fails: its trace goes on to the dead letters, its error to the caller.

use rdkafka::{
    Message,
    message::{Header, OwnedHeaders},
    producer::FutureRecord,
};
use tracebaton::{
    Propagation,
    kafka::{Record, process, send_all},
};

use super::{Broker, TOPIC, headers};
use crate::support::{
    PARENT, TRACE,
    telemetry::{Telemetry, attributes, hex, recorder},
};

const DEAD_LETTERS: &str = "orders.dlq";

/// What a user writes; it knows nothing of traces.
fn total(payload: &[u8]) -> Result<u64, std::num::ParseIntError> {
    String::from_utf8_lossy(payload).parse()
}

#[tokio::test]
async fn a_transform_that_fails_keeps_its_trace_and_its_error() {
    let broker = Broker::start();
    broker.cluster.create_topic(DEAD_LETTERS, 1, 1).unwrap();
    let producer = broker.producer();
    let given = OwnedHeaders::new().insert(Header { key: "traceparent", value: Some(PARENT) });
    for payload in ["twelve", "dozen"] {
        let record = FutureRecord::<[u8], str>::to(TOPIC).payload(payload).headers(given.clone());
        producer.send(record, None).await.unwrap();
    }
    let recorder = recorder();
    let propagation = Propagation::default();
    let [failing, burying] = &broker.read(2)[..] else { panic!("two were sent") };

    // Nothing takes the first; the second goes to the dead letters.
    let hop = process(&recorder, &propagation, failing, "billing");
    let told = hop.outcome(total(failing.payload().unwrap()));
    assert_eq!(told, total(b"twelve"), "the error is the transform's own");
    hop.end();
    let hop = process(&recorder, &propagation, burying, "billing");
    let error = hop.outcome(total(burying.payload().unwrap())).unwrap_err();
    hop.dead_lettered("ParseIntError", &error.to_string());
    let stale = ("tracebaton-error-message".to_owned(), b"an older one".to_vec());
    let payload = burying.payload().unwrap().to_vec();
    let letter = Record { payload, headers: vec![stale], ..Record::default() };
    let sent = send_all(&producer, &propagation, &hop, DEAD_LETTERS, [letter]).await;
    assert_eq!(sent, [Ok((0, 0))]);
    hop.end();

    let letter = &broker.read_from(DEAD_LETTERS, 1)[0];
    assert_eq!(letter.payload(), Some(&b"dozen"[..]));
    let carried = headers(letter);
    assert_eq!(carried["trace_id"], [TRACE]);
    assert!(carried["traceparent"][0].contains(TRACE), "{carried:?}");
    assert_eq!(carried["tracebaton-error-hop"], ["process orders"]);
    assert_eq!(carried["tracebaton-error-type"], ["ParseIntError"]);
    assert_eq!(carried["tracebaton-error-message"], ["invalid digit found in string"]);

    let telemetry = Telemetry::of(&recorder);
    let [failed, buried] = &telemetry.ledger("process")[..] else { panic!("{telemetry:?}") };
    assert_eq!(failed["tracebaton.records.failed"], "1");
    assert_eq!(failed["error.type"], "core::num::error::ParseIntError");
    assert_eq!(failed["tracebaton.reason"], "invalid digit found in string");
    assert_eq!(buried["tracebaton.records.dead_lettered"], "1");
    assert_eq!(telemetry.ledger("send")[0]["tracebaton.dead_letter"], "true");
    let spans = telemetry.spans.iter().filter(|span| span.name == "process orders");
    for span in spans {
        assert_eq!(hex(&span.trace_id), TRACE);
        assert_eq!(span.status.as_ref().unwrap().code, 2);
        let [event] = &span.events[..] else { panic!("{span:?}") };
        assert_eq!(event.name, "exception");
        let told = attributes(&event.attributes);
        assert_eq!(told["exception.message"], "invalid digit found in string");
    }
}
