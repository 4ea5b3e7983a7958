//! Kafka over a real wire: librdkafka's own broker, in this process.

mod batch;
mod failure;
mod receive;
mod send;

use std::{collections::BTreeMap, time::Duration};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::OwnedMessage,
    mocking::MockCluster,
    producer::{DefaultProducerContext, FutureProducer},
};
use tracebaton::kafka::{HasHeaders, ReadHeaders};

use crate::support::wait_for;

const TOPIC: &str = "orders";

struct Broker {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl Broker {
    /// Starts a broker with one topic of one partition.
    fn start() -> Self {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(TOPIC, 1, 1).unwrap();
        Self { cluster }
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.cluster.bootstrap_servers());
        config
    }

    fn producer(&self) -> FutureProducer {
        self.config().set("linger.ms", "1").create().unwrap()
    }

    /// Reads the first `count` messages of the topic.
    fn read(&self, count: usize) -> Vec<OwnedMessage> {
        self.read_from(TOPIC, count)
    }

    /// Reads the first `count` messages of another topic.
    fn read_from(&self, topic: &str, count: usize) -> Vec<OwnedMessage> {
        let consumer: BaseConsumer = self.config().set("group.id", "test").create().unwrap();
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
        consumer.assign(&offsets).unwrap();
        let next = || consumer.poll(Duration::from_millis(50)).and_then(Result::ok);
        (0..count).map(|_| wait_for("a message", || next().map(|m| m.detach()))).collect()
    }
}

/// Returns a message's headers, each name with all of its values.
fn headers(message: &impl HasHeaders) -> BTreeMap<String, Vec<String>> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut all = BTreeMap::<_, Vec<_>>::new();
    for (name, value) in ReadHeaders(message.read_headers()).iter() {
        all.entry(text(name)).or_default().push(value.map_or("null".to_owned(), text));
    }
    all
}
