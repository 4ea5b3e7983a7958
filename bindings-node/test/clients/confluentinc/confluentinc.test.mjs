// @confluentinc/kafka-javascript itself, both of its interfaces, against a real broker.
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import confluentinc from "@confluentinc/kafka-javascript";

import * as tracebaton from "../../../index.mjs";
import { eventually, startBroker } from "../../support/broker.mjs";
import { recorded } from "../../support/otlp.mjs";

const { KafkaJS, KafkaConsumer, Producer } = confluentinc;
const TRACE = "0af7651916cd43dd8448eb211c80319c";
const TRACEPARENT = `00-${TRACE}-b7ad6b7169203331-01`;
const topics = ["orders", "invoices", "orders.dlq"];
let broker;
let kafka;

before(async () => {
  broker = await startBroker();
  kafka = new KafkaJS.Kafka({ kafkaJS: { brokers: broker.brokers.split(","), logLevel: KafkaJS.logLevel.NOTHING } });
  const admin = kafka.admin();
  await eventually(() => admin.connect());
  await eventually(() => admin.createTopics({ topics: topics.map((topic) => ({ topic, numPartitions: 1 })) }));
  await admin.disconnect();
});
after(() => broker.stop());

/** What the ledger says of `process` hops: offset → fate, and of sends: topic and place. */
function told(ledger) {
  const events = ledger.map(({ attributes }) => attributes);
  const fate = (one) => ["passed", "filtered", "dead_lettered"].find((name) => one[`tracebaton.records.${name}`] === 1);
  const of = (kind) => events.filter((one) => one["tracebaton.hop.kind"] === kind);
  assert.ok(events.every((one) => one["tracebaton.outputs.unconfirmed"] === undefined));
  return {
    fates: Object.fromEntries(of("process").map((one) => [one["messaging.kafka.offset"], fate(one)])),
    sent: of("send").map((one) => [one["tracebaton.hop.name"], one["messaging.destination.partition.id"], one["messaging.kafka.offset"]]),
  };
}

test("its promises: what eachMessage reads and sends is one trace", async () => {
  const producer = kafka.producer();
  await producer.connect();
  const headers = [{ traceparent: TRACEPARENT }, { trace_id: "order-1" }, { trace_id: "order-2" }];
  await producer.send({ topic: "orders", messages: ["7", "free", "none"].map((value, n) => ({ value, headers: headers[n] })) });
  const consumer = kafka.consumer({ kafkaJS: { groupId: "billing", fromBeginning: true } });
  await consumer.connect();
  await consumer.subscribe({ topic: "orders" });
  const { ledger } = await recorded(tracebaton, async () => {
    let left = 3;
    const eachMessage = tracebaton.eachMessage(async ({ message }, hop) => {
      const value = String(message.value);
      if (value === "free") hop.filtered("nothing to pay");
      else {
        const output = value === "none" ? hop.deadLetter("orders.dlq", new Error("no total"), message.headers) : hop.output("invoices", message.headers);
        output.delivered(await producer.send({ topic: output.topic, messages: [{ value, headers: output.headers }] }));
      }
      left -= 1;
    }, { group: "billing" });
    await consumer.run({ eachMessage });
    await eventually(() => assert.equal(left, 0));
  });
  await consumer.disconnect();
  await producer.disconnect();
  assert.deepEqual(told(ledger), {
    fates: { 0: "passed", 1: "filtered", 2: "dead_lettered" },
    sent: [["invoices", "0", 0], ["orders.dlq", "0", 0]],
  });
});

test("its callbacks: a delivery report settles what was made of a message", async () => {
  const settings = { "bootstrap.servers": broker.brokers };
  const producer = new Producer({ ...settings, dr_cb: true });
  producer.connect();
  await once(producer, "ready");
  producer.setPollInterval(20);
  producer.on("delivery-report", (error, report) => report.opaque(error, report));
  const consumer = new KafkaConsumer({ ...settings, "group.id": "callbacks" }, { "auto.offset.reset": "earliest" });
  consumer.connect();
  await once(consumer, "ready");
  consumer.subscribe(["invoices"]);
  const { ledger } = await recorded(tracebaton, async () => {
    consumer.consume();
    const [message] = await once(consumer, "data");
    assert.ok(Array.isArray(message.headers) && message.headers.length > 1, "a list of objects");
    let hasReport = false;
    await tracebaton.process(message, async (hop) => {
      assert.equal(hop.traceId, TRACE);
      const output = hop.output("orders", message.headers);
      const names = output.headers.flatMap(Object.keys);
      assert.deepEqual(names.sort(), ["trace_id", "traceparent"]);
      const { onDelivery } = output;
      const report = (...args) => { onDelivery(...args); hasReport = true; };
      producer.produce(output.topic, null, message.value, null, null, report, output.headers);
    }, { group: "callbacks" });
    assert.ok(!hasReport, "the function is over first");
    await eventually(() => assert.ok(hasReport));
  });
  const [gone, done] = [once(consumer, "disconnected"), once(producer, "disconnected")];
  consumer.disconnect();
  producer.disconnect();
  await Promise.all([gone, done]);
  assert.deepEqual(told(ledger), { fates: { 0: "passed" }, sent: [["orders", "0", 3]] });
});
