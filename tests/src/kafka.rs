//! Reading whole topics.

use std::time::Duration;

use anyhow::{Context, bail};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::{Headers, Message as _},
    types::RDKafkaErrorCode,
};
use serde_json::Value;

const WITHIN: Duration = Duration::from_secs(20);

/// A message as it lies in a topic.
#[derive(Debug)]
pub struct Message {
    /// The topic.
    pub topic: String,
    /// Every header, in order.
    pub headers: Vec<(String, String)>,
    /// The payload.
    pub payload: Value,
}

impl Message {
    /// Returns every value of a header.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(key, _)| key == name);
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// Returns the id of the event that was sent, from which this message comes.
    pub fn event_id(&self) -> &str {
        let id = self.payload.get("event_id").and_then(Value::as_str).unwrap_or_default();
        id.split('/').next().unwrap_or_default()
    }
}

/// Reads every message that lies in a topic now.
pub fn read_topic(brokers: &str, topic: &str) -> anyhow::Result<Vec<Message>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "reader-of-tests")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), WITHIN)?;
    let found = metadata.topics().first().with_context(|| format!("no topic {topic}"))?;
    let mut assigned = TopicPartitionList::new();
    for partition in found.partitions() {
        assigned.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
    }
    let mut open = found.partitions().len();
    consumer.assign(&assigned)?;
    let mut messages = Vec::new();
    while open > 0 {
        match consumer.poll(WITHIN) {
            None => bail!("{topic} cannot be read to its end"),
            Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
            Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AllBrokersDown))) => {
                bail!("the broker is gone")
            }
            Some(Err(error)) => return Err(error.into()),
            Some(Ok(message)) => messages.push(Message {
                topic: topic.to_owned(),
                headers: message.headers().map_or_else(Vec::new, |headers| {
                    let text = |value: Option<&[u8]>| {
                        String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
                    };
                    headers
                        .iter()
                        .map(|header| (header.key.to_owned(), text(header.value)))
                        .collect()
                }),
                payload: serde_json::from_slice(message.payload().unwrap_or_default())?,
            }),
        }
    }
    Ok(messages)
}
