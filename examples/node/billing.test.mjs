// The example as a process, against a real broker.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Kafka, logLevel } from "kafkajs";

import { createTopics, received, startBroker } from "../../bindings-node/test/support/broker.mjs";
import { listen } from "../../bindings-node/test/support/otlp.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const TRACE = "0af7651916cd43dd8448eb211c80319c";
let broker;
let kafka;
let service;

before(async () => {
  broker = await startBroker();
  kafka = new Kafka({ brokers: broker.brokers.split(","), logLevel: logLevel.NOTHING, retry: { retries: 20 } });
  await createTopics(kafka, ["orders", "invoices", "orders.dlq"]);
});
after(() => {
  service?.kill();
  broker.stop();
});

test("every order's outcome is its own: billed, free, or dead-lettered, in its trace", async () => {
  const endpoint = await listen();
  const orders = Array.from({ length: 40 }, (_, n) => ({ id: `o-${n}`, total: n % 10 === 0 ? 0 : n % 10 === 1 ? "none" : n }));
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({
    topic: "orders",
    messages: orders.map((order, n) => ({
      key: order.id,
      value: JSON.stringify(order),
      headers: n === 2 ? { traceparent: `00-${TRACE}-b7ad6b7169203331-01` } : { trace_id: `order-${n}` },
    })),
  });
  await producer.disconnect();

  const env = { ...process.env, KAFKA_BROKERS: broker.brokers, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint.url };
  service = spawn(process.execPath, [here("billing.mjs")], { env, stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  service.stdout.setEncoding("utf8").on("data", (text) => { output += text; });
  const [invoices, dead] = await Promise.all([received(kafka, "invoices", 32), received(kafka, "orders.dlq", 4)]);
  service.kill("SIGTERM");
  assert.deepEqual(await once(service, "close"), [0, null]);
  endpoint.close();

  const ids = invoices.map(({ headers }) => String(headers.trace_id));
  const billed = orders.map((_, n) => n).filter((n) => n % 10 > 1);
  assert.deepEqual(ids.sort(), billed.map((n) => (n === 2 ? TRACE : `order-${n}`)).sort());
  for (const { headers } of dead) assert.equal(String(headers["tracebaton-error-message"]), "the order has no total");

  const events = endpoint.kept.ledger.map(({ attributes }) => attributes).filter((one) => one["tracebaton.hop.kind"] === "process");
  const offsets = (fate) => events.filter((one) => one[`tracebaton.records.${fate}`] === 1).map((one) => one["messaging.kafka.offset"]).sort((a, b) => a - b);
  assert.deepEqual(offsets("passed"), billed);
  assert.deepEqual(offsets("filtered"), [0, 10, 20, 30]);
  assert.deepEqual(offsets("dead_lettered"), [1, 11, 21, 31]);
  assert.ok(events.every((one) => one["tracebaton.outputs.unconfirmed"] === undefined), "every send has its place");
  const lines = output.trim().split("\n").map((line) => JSON.parse(line));
  assert.equal(lines.filter(({ message }) => message === "billed").length, 36);
  assert.equal(lines.find(({ order }) => order === "o-2").trace_id, TRACE);
  assert.equal(lines.find(({ order }) => order === "o-3").legacy_id, "order-3");
});
