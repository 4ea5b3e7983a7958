// The service as a process, against a real broker.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Kafka, logLevel } from "kafkajs";

import { createTopics, received, startBroker } from "../../../../bindings-node/test/support/broker.mjs";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
let broker;
let kafka;
let service;

before(async () => {
  broker = await startBroker();
  kafka = new Kafka({ brokers: broker.brokers.split(","), logLevel: logLevel.NOTHING, retry: { retries: 20 } });
  await createTopics(kafka, ["user_events", "enriched_events", "user_events.dlq"]);
});
after(() => {
  service?.kill();
  broker.stop();
});

test("what the broker will not take for its size goes to the dead letters, and nothing waits behind it", async () => {
  const event = (id, padding) => JSON.stringify({ event_id: id, user_id: "u1", padding: "x".repeat(padding) });
  const headers = { traceparent: `00-${TRACE}-b7ad6b7169203331-01` };
  const producer = kafka.producer();
  await producer.connect();
  // A batch of at most 1,048,588 bytes is taken: the record just fits, and no longer with what is added to it.
  const values = [event("e0", 0), event("large", 1_048_588 - 260), event("e2", 0)];
  for (const value of values) await producer.send({ topic: "user_events", messages: [{ key: "k", value, headers }] });
  await producer.disconnect();

  const env = { ...process.env, KAFKA_BROKERS: broker.brokers, OTEL_SDK_DISABLED: "true" };
  service = spawn(process.execPath, [fileURLToPath(new URL("../dist/main.js", import.meta.url))], { env, stdio: ["ignore", "ignore", "inherit"] });
  const [enriched, dead] = await Promise.all([received(kafka, "enriched_events", 2), received(kafka, "user_events.dlq", 1)]);
  service.kill("SIGTERM");
  assert.deepEqual(await once(service, "close"), [0, null]);

  assert.deepEqual(enriched.map(({ value }) => JSON.parse(value).event_id), ["e0", "e2"]);
  assert.equal(dead.length, 1);
  const [{ value, headers: told }] = dead;
  assert.equal(value, null);
  assert.equal(String(told["tracebaton-left-out"]), "user_events/0/1");
  assert.equal(String(told["tracebaton-error-type"]), "KafkaJSProtocolError");
  assert.equal(String(told.traceparent).slice(3, 35), TRACE);
});
