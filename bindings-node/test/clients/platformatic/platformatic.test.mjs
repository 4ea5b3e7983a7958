// @platformatic/kafka itself, against a real broker; it needs Node 22.22 or newer.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Admin, Consumer, Producer } from "@platformatic/kafka";

import * as tracebaton from "../../../index.mjs";
import { eventually, startBroker } from "../../support/broker.mjs";
import { recorded } from "../../support/otlp.mjs";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const header = (name, value) => new Map([[Buffer.from(name), Buffer.from(value)]]);
/** What the client hands over has Buffers for names. */
const texts = (headers) => Object.fromEntries([...headers].map(([name, value]) => [String(name), String(value)]));
let broker;
let at;

before(async () => {
  broker = await startBroker();
  at = { clientId: "test", bootstrapBrokers: broker.brokers.split(",") };
  const admin = new Admin(at);
  await eventually(() => admin.createTopics({ topics: ["orders", "invoices", "orders.dlq"], partitions: 1, replicas: 1 }));
  await admin.close();
});
after(() => broker.stop());

/** Reads `count` messages of a topic. */
async function read(topic, count, each) {
  const consumer = new Consumer({ ...at, groupId: `reader-of-${topic}` });
  const stream = await consumer.consume({ topics: [topic], mode: "earliest", autocommit: true });
  let left = count;
  for await (const record of each === undefined ? tracebaton.consume(stream, { group: "billing" }) : stream) {
    await each?.(record);
    left -= 1;
    if (left === 0) break;
  }
  await consumer.close(true);
}

test("a message is read, and one made of it sent, in the same trace", async () => {
  const producer = new Producer(at);
  const values = ["7", "free", "none"];
  await producer.send({
    messages: values.map((value, n) => ({
      topic: "orders",
      key: Buffer.from(`o-${n}`),
      value: Buffer.from(value),
      headers: n === 0 ? header("traceparent", `00-${TRACE}-b7ad6b7169203331-01`) : header("trace_id", `order-${n}`),
    })),
  });
  const consumer = new Consumer({ ...at, groupId: "billing" });
  const { ledger } = await recorded(tracebaton, async () => {
    const stream = await consumer.consume({ topics: ["orders"], mode: "earliest", autocommit: true });
    let left = values.length;
    for await (const message of stream) {
      await tracebaton.process(message, async (hop) => {
        const value = String(message.value);
        if (value === "free") return hop.filtered("nothing to pay");
        const output = value === "none" ? hop.deadLetter("orders.dlq", new Error("no total"), message.headers) : hop.output("invoices", message.headers);
        output.delivered(await producer.send({ messages: [{ topic: output.topic, value: message.value, headers: output.headers }] }));
      }, { group: "billing" });
      left -= 1;
      if (left === 0) break;
    }
    await consumer.close(true);
  });
  await producer.close();

  const events = ledger.map(({ attributes }) => attributes);
  const fate = (offset) => {
    const own = events.find((one) => one["tracebaton.hop.kind"] === "process" && one["messaging.kafka.offset"] === offset);
    return ["passed", "filtered", "dead_lettered"].find((name) => own[`tracebaton.records.${name}`] === 1);
  };
  assert.deepEqual([0, 1, 2].map(fate), ["passed", "filtered", "dead_lettered"]);
  const sent = events.filter((one) => one["tracebaton.hop.kind"] === "send");
  assert.deepEqual(sent.map((one) => [one["tracebaton.hop.name"], one["messaging.destination.partition.id"], one["messaging.kafka.offset"]]), [
    ["invoices", "0", 0],
    ["orders.dlq", "0", 0],
  ]);
  assert.ok(events.every((one) => one["tracebaton.outputs.unconfirmed"] === undefined));

  await read("invoices", 1, ({ headers }) => {
    const { traceparent, trace_id: id } = texts(headers);
    assert.match(traceparent, new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`));
    assert.equal(id, TRACE);
    assert.ok(!traceparent.includes("b7ad6b7169203331"), "its parent is the send");
  });
  await read("orders.dlq", 1, ({ headers }) => {
    const { trace_id: id, "tracebaton-error-message": message } = texts(headers);
    assert.deepEqual([id, message], ["order-2", "no total"]);
  });
});

test("its stream is consumed message by message, each a hop of its own", async () => {
  const { ledger } = await recorded(tracebaton, () => read("orders", 3));
  const events = ledger.map(({ attributes }) => attributes).filter((one) => one["messaging.destination.name"] === "orders");
  assert.deepEqual(events.map((one) => one["messaging.kafka.offset"]), [0, 1, 2]);
  assert.ok(events.every((one) => one["messaging.consumer.group.name"] === "billing"));
  assert.deepEqual(ledger.slice(1).map(({ attributes }) => attributes["tracebaton.legacy_id"]), ["order-1", "order-2"]);
});
