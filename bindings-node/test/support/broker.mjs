// A real broker for tests: the one at KAFKA_BROKERS, or the embedded one (`make broker`).
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** Calls `attempt` until it does not throw, for a minute. */
export async function eventually(attempt) {
  const until = Date.now() + 60_000;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > until) throw error;
      await pause(100);
    }
  }
}

/** Returns the broker's address, and what ends it; it may still have to get ready. */
export async function startBroker() {
  const brokers = process.env.KAFKA_BROKERS;
  if (brokers !== undefined) return { brokers, stop() {} };
  const built = fileURLToPath(new URL("../../../target/broker/debug/broker", import.meta.url));
  const binary = process.env.TRACEBATON_BROKER ?? built;
  assert.ok(existsSync(binary), `${binary} is not there: run \`make broker\`, or set KAFKA_BROKERS`);
  const address = `127.0.0.1:${await freePort()}`;
  // It ends with its standard input.
  const child = spawn(binary, [address], { stdio: ["pipe", "ignore", "inherit"] });
  return {
    brokers: address,
    stop() {
      child.stdin.end();
      child.kill();
    },
  };
}

/** Creates topics of one partition each, as soon as the broker is ready. */
export async function createTopics(kafka, names) {
  const admin = kafka.admin();
  await eventually(() => admin.connect());
  await admin.createTopics({ topics: names.map((topic) => ({ topic, numPartitions: 1 })), waitForLeaders: true });
  await admin.disconnect();
}

/** Reads a topic from its start until there are `count` messages. */
export async function received(kafka, topic, count) {
  const consumer = kafka.consumer({ groupId: `test-${topic}-${process.pid}` });
  const messages = [];
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await consumer.run({ eachMessage: async ({ message }) => void messages.push(message) });
  await eventually(() => assert.ok(messages.length >= count, `${messages.length} of ${count} in ${topic}`));
  await consumer.disconnect();
  return messages;
}
