//! Messages that are polled and handled together.

use rdkafka::{
    Message,
    message::{Header, OwnedHeaders},
    producer::FutureRecord,
};
use tracebaton::{
    Propagation,
    hop::Batch,
    kafka::{Record, add, extract, send_all, take_out},
};

use super::{Broker, TOPIC};
use crate::support::{
    PARENT, TRACE,
    telemetry::{Telemetry, hex, recorder},
};

const GROUP: &str = "totals";

#[tokio::test]
async fn a_batch_is_summed_up_and_each_message_is_accounted_for() {
    let broker = Broker::start();
    broker.cluster.create_topic("totals", 1, 1).unwrap();
    let producer = broker.producer();
    for payload in ["1", "2", "four", "3"] {
        let headers =
            OwnedHeaders::new().insert(Header { key: "traceparent", value: Some(PARENT) });
        let record = FutureRecord::<[u8], str>::to(TOPIC).payload(payload).headers(headers);
        producer.send(record, None).await.unwrap();
    }
    let (recorder, propagation) = (recorder(), Propagation::default());

    let mut batch = Batch::poll(&recorder);
    let messages = broker.read(4);
    for message in &messages {
        add(&mut batch, &propagation, message, GROUP);
    }
    batch.polled();
    let mut total = 0;
    for message in &messages {
        let text = String::from_utf8_lossy(message.payload().unwrap());
        match text.parse::<u32>() {
            Ok(number) => total += number,
            Err(error) => {
                let hop = take_out(&mut batch, &propagation, message, GROUP);
                assert_eq!(hop.trace_id().to_string(), TRACE);
                hop.failed("ParseIntError", &error.to_string());
                hop.end();
            }
        }
    }
    let record = Record { payload: total.to_string().into_bytes(), ..Record::default() };
    let sent = send_all(&producer, &propagation, batch.hop(), "totals", [record]).await;
    assert_eq!(sent, [Ok((0, 0))]);
    let trace_id = batch.hop().trace_id();
    batch.passed();

    let out = &broker.read_from("totals", 1)[0];
    assert_eq!(out.payload(), Some(&b"6"[..]));
    let context = extract(&propagation, out).baton.context.unwrap();
    assert_eq!(context.trace_id, trace_id, "it is made of several traces: it is of none of them");

    let telemetry = Telemetry::of(&recorder);
    let [failed, passed] = &telemetry.ledger("process")[..] else { panic!("{telemetry:?}") };
    assert_eq!(failed["tracebaton.records.failed"], "1");
    assert_eq!(failed["messaging.kafka.offset"], "2");
    assert_eq!(passed["tracebaton.records.passed"], "3");
    assert_eq!(passed["tracebaton.records.emitted"], "1");
    assert_eq!(passed["tracebaton.batch.traces"], "48 bytes");
    assert_eq!(passed["tracebaton.offset.last"], "3");
    let poll = telemetry.span("poll orders");
    assert_eq!(poll.links.len(), 4, "each message is linked to");
    assert!(poll.links.iter().all(|link| hex(&link.trace_id) == TRACE));
}
