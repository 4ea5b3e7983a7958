//! Traced sending: an answer for every record, and evidence of it.

use rdkafka::{
    producer::FutureProducer,
    types::{RDKafkaApiKey, RDKafkaErrorCode, RDKafkaRespErr},
};
use tracebaton::{
    Propagation,
    hop::{Hop, Recorder},
    kafka::{Record, extract, send_all},
    propagate::Baton,
    wire::TraceContext,
};

use super::{Broker, TOPIC, headers};
use crate::support::{
    PARENT, TRACE,
    telemetry::{Telemetry, attributes, recorder},
};

fn request(recorder: &Recorder) -> Hop {
    let context = Some(TraceContext::parse(PARENT).unwrap());
    Hop::receive(recorder, "POST", "/ingest/orders", &Baton { context, ..Baton::default() })
}

fn record(payload: &[u8]) -> Record {
    Record { payload: payload.to_vec(), ..Record::default() }
}

#[tokio::test]
async fn each_record_has_its_place_or_its_error_in_order() {
    let broker = Broker::start();
    let producer: FutureProducer =
        broker.config().set("linger.ms", "1").set("message.max.bytes", "2000").create().unwrap();
    let recorder = recorder();
    let hop = request(&recorder);
    let records = [record(b"one"), record(&[b'x'; 4_000]), record(b"two")];
    let sent = send_all(&producer, &Propagation::default(), &hop, TOPIC, records).await;
    hop.end();
    assert_eq!(sent[0], Ok((0, 0)));
    let error = sent[1].as_ref().unwrap_err();
    assert_eq!(error.code(), Some(RDKafkaErrorCode::MessageSizeTooLarge));
    assert!(!error.is_retryable());
    assert_eq!(sent[2], Ok((0, 1)));
    let telemetry = Telemetry::of(&recorder);
    let [passed, failed] = &telemetry.ledger("send")[..] else { panic!("{telemetry:?}") };
    assert_eq!(passed["tracebaton.records.emitted"], "2");
    assert_eq!(passed["messaging.kafka.offset"], "0");
    assert_eq!(passed["tracebaton.offset.last"], "1");
    assert_eq!(failed["tracebaton.records.failed"], "1");
    assert_eq!(failed["error.type"], "MessageSizeTooLarge");
    assert_eq!(telemetry.spans.iter().filter(|span| span.name == "send orders").count(), 3);
    let send = telemetry.spans.iter().find(|span| span.name == "send orders").unwrap();
    assert_eq!(attributes(&send.attributes)["messaging.operation.type"], "send");
}

#[tokio::test]
async fn what_stood_in_the_headers_is_replaced() {
    let broker = Broker::start();
    let recorder = recorder();
    let hop = request(&recorder);
    let old = |name: &str| (name.to_owned(), b"old".to_vec());
    let mut one = record(b"{}");
    one.headers = ["traceparent", "kept", "tracestate", "trace_id", "traceparent"].map(old).into();
    let sent = send_all(&broker.producer(), &Propagation::default(), &hop, TOPIC, [one]).await;
    assert!(sent[0].is_ok());
    let message = &broker.read(1)[0];
    let headers = headers(message);
    assert_eq!(headers.keys().collect::<Vec<_>>(), ["kept", "trace_id", "traceparent"]);
    assert_eq!(headers["trace_id"], [TRACE]);
    assert_eq!(headers["traceparent"].len(), 1);
    let extracted = extract(&Propagation::default(), message).baton.context.unwrap();
    assert_eq!(extracted.trace_id, hop.trace_id());
    assert_ne!(extracted.span_id, Some(hop.span_id()), "the send has a span of its own");
}

#[tokio::test]
async fn a_full_queue_slows_the_caller_down_and_loses_nothing() {
    let broker = Broker::start();
    let mut config = broker.config();
    config.set("queue.buffering.max.messages", "10").set("linger.ms", "1");
    let producer: FutureProducer = config.create().unwrap();
    let recorder = recorder();
    let hop = request(&recorder);
    let records = (0..500).map(|index| record(format!("{index}").as_bytes()));
    let sent = send_all(&producer, &Propagation::default(), &hop, TOPIC, records).await;
    hop.end();
    let places: Vec<_> = sent.into_iter().map(Result::unwrap).collect();
    assert_eq!(places, (0..500).map(|offset| (0, offset)).collect::<Vec<_>>());
    let telemetry = Telemetry::of(&recorder);
    let [event] = &telemetry.ledger("send")[..] else { panic!("one event for one partition") };
    assert_eq!(event["tracebaton.records.passed"], "500");
}

#[tokio::test]
async fn what_the_broker_refuses_fails_the_record() {
    let broker = Broker::start();
    broker.cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 3],
    );
    let recorder = recorder();
    let hop = request(&recorder);
    let records = [record(b"{}")];
    let sent = send_all(&broker.producer(), &Propagation::default(), &hop, TOPIC, records).await;
    hop.end();
    let error = sent[0].as_ref().unwrap_err();
    assert_eq!(error.code(), Some(RDKafkaErrorCode::TopicAuthorizationFailed));
    let telemetry = Telemetry::of(&recorder);
    assert_eq!(telemetry.span("send orders").status.as_ref().unwrap().code, 2);
    assert_eq!(telemetry.ledger("send")[0]["tracebaton.records.failed"], "1");
}

#[tokio::test]
async fn a_broker_that_is_away_is_told_as_retryable() {
    let broker = Broker::start();
    let mut config = broker.config();
    let producer: FutureProducer = config.set("message.timeout.ms", "300").create().unwrap();
    drop(broker);
    let recorder = recorder();
    let hop = request(&recorder);
    let records = [record(b"{}")];
    let sent = send_all(&producer, &Propagation::default(), &hop, TOPIC, records).await;
    assert!(sent[0].as_ref().unwrap_err().is_retryable());
}
