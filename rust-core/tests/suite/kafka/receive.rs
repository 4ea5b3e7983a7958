//! Messages that come in, whatever is in their headers.

use std::{ffi::c_void, panic::catch_unwind, ptr, time::Duration};

use rdkafka::{
    Message,
    bindings::rd_kafka_header_add,
    message::{Header, Headers, OwnedHeaders},
    producer::FutureRecord,
};
use tracebaton::{
    Propagation,
    error::ErrorKind,
    kafka::{extract, process},
};

use super::{Broker, TOPIC};
use crate::support::{
    PARENT, TRACE,
    telemetry::{Telemetry, attributes, hex, recorder},
};

/// Adds a header as whoever writes to a topic may: any bytes, or null.
#[expect(unsafe_code, reason = "rdkafka offers no way to write such a header")]
fn add(headers: &OwnedHeaders, name: &[u8], value: Option<&[u8]>) {
    let list = ptr::from_ref(headers.as_borrowed()).cast_mut().cast();
    let (value, size) = value.map_or((ptr::null(), 0), |value| (value.as_ptr(), value.len()));
    let (name, length) = (name.as_ptr().cast(), name.len().cast_signed());
    // SAFETY: the list is owned by `headers`; librdkafka copies the bytes it is shown.
    unsafe { rd_kafka_header_add(list, name, length, value.cast::<c_void>(), size.cast_signed()) };
}

async fn send(broker: &Broker, headers: OwnedHeaders) {
    let record = FutureRecord::<[u8], [u8]>::to(TOPIC).payload(b"{}").headers(headers);
    broker.producer().send(record, Duration::from_secs(10)).await.unwrap();
}

fn traced() -> OwnedHeaders {
    OwnedHeaders::new().insert(Header { key: "traceparent", value: Some(PARENT) })
}

#[tokio::test]
async fn a_name_that_is_not_utf_8_stops_nobody() {
    let broker = Broker::start();
    let headers = traced();
    add(&headers, b"\xff\xfename", Some(b"x"));
    add(&headers, b"x-baggage-\xff", Some(b"x"));
    send(&broker, headers).await;
    let [message] = &broker.read(1)[..] else { panic!("one was sent") };
    let iterated = catch_unwind(|| message.headers().unwrap().iter().count());
    assert!(iterated.is_err(), "rdkafka has learnt to read such headers: read them through it");
    let extracted = extract(&Propagation::default(), message);
    assert_eq!(extracted.baton.context.unwrap().to_traceparent().unwrap(), PARENT);
}

#[tokio::test]
async fn null_and_control_bytes_are_refused_by_name() {
    let broker = Broker::start();
    let headers = OwnedHeaders::new();
    add(&headers, b"traceparent", None);
    add(&headers, b"trace_id", Some(b"order\r\nX-Evil: 1\x1b[31m\0"));
    add(&headers, b"baggage", Some(b"\xff=\xff"));
    send(&broker, headers).await;
    let empty = OwnedHeaders::new();
    add(&empty, b"traceparent", Some(b""));
    send(&broker, empty).await;
    send(&broker, OwnedHeaders::new()).await;
    let [bad, empty, none] = &broker.read(3)[..] else { panic!("three were sent") };
    let extracted = extract(&Propagation::default(), bad);
    assert!(extracted.baton.context.is_none() && extracted.baton.legacy.is_none());
    let refused: Vec<_> = extracted.refused.iter().map(|r| (&*r.name, r.kind)).collect();
    assert_eq!(
        refused,
        [
            ("traceparent", ErrorKind::NotText),
            ("baggage", ErrorKind::BadByte),
            ("trace_id", ErrorKind::BadByte),
        ]
    );
    let extracted = extract(&Propagation::default(), empty);
    assert_eq!(extracted.refused[0].kind, ErrorKind::BadLength);
    assert!(extract(&Propagation::default(), none).refused.is_empty());
}

#[tokio::test]
async fn of_several_headers_the_last_counts() {
    let broker = Broker::start();
    let headers = OwnedHeaders::new();
    add(&headers, b"traceparent", Some(b"00-11111111111111111111111111111111-2222222222222222-00"));
    add(&headers, b"traceparent", Some(PARENT.as_bytes()));
    add(&headers, b"Traceparent", Some(b"another name: Kafka's are not folded"));
    send(&broker, headers).await;
    let extracted = extract(&Propagation::default(), &broker.read(1)[0]);
    assert_eq!(extracted.baton.context.unwrap().trace_id.to_string(), TRACE);
}

#[tokio::test]
async fn a_processed_message_is_a_hop_below_its_sender() {
    let broker = Broker::start();
    send(&broker, traced()).await;
    let recorder = recorder();
    let message = &broker.read(1)[0];
    process(&recorder, &Propagation::default(), message, "billing").end();
    let telemetry = Telemetry::of(&recorder);
    let span = telemetry.span("process orders");
    assert_eq!(hex(&span.trace_id), TRACE);
    assert_eq!(hex(&span.parent_span_id), "b7ad6b7169203331");
    assert_eq!(span.links.len(), 1, "the sender is linked to as well");
    let attributes = attributes(&span.attributes);
    assert_eq!(attributes["messaging.system"], "kafka");
    assert_eq!(attributes["messaging.operation.type"], "process");
    assert_eq!(attributes["messaging.consumer.group.name"], "billing");
    assert_eq!(attributes["messaging.destination.partition.id"], "0");
    assert_eq!(attributes["messaging.kafka.offset"], message.offset().to_string());
    let [event] = &telemetry.ledger("process")[..] else { panic!("{telemetry:?}") };
    assert_eq!(event["tracebaton.records.passed"], "1");
    assert_eq!(event["messaging.kafka.offset"], "0");
}
