/**
 * orders → invoices, in the trace that each order came with: up to 100 orders at once, one send a batch.
 *
 *     npm install
 *     KAFKA_BROKERS=127.0.0.1:9092 node billing.mjs
 *
 * The lines with a mark are what tracing takes.
 */
import { Kafka, logLevel } from "kafkajs";
import { Logger, eachBatch, init, shutdown } from "tracebaton"; // traced

const [INVOICES, DEAD_LETTERS, GROUP] = ["invoices", "orders.dlq", "billing"];
const AT_ONCE = 100;
const log = new Logger("billing");

/** What is owed for an order; nothing for one that is free. */
async function invoice(value) {
  const { id, total } = JSON.parse(value);
  if (typeof total !== "number") throw new TypeError("the order has no total");
  log.info("billed", { order: id, total });
  return total === 0 ? null : JSON.stringify({ order: id, due: total });
}

/** Handles one order and returns what is to be sent for it. */
async function handle({ key, value }, hop) {
  try {
    const made = await invoice(value);
    if (made !== null) return { output: hop.output(INVOICES), key, value: made }; // traced
    hop.filtered("the order is free"); // traced
    return null;
  } catch (error) {
    return { output: hop.deadLetter(DEAD_LETTERS, error), key, value }; // traced
  }
}

async function runBatch(producer, messages, batch) {
  const made = [];
  const waiting = messages.values();
  const work = async () => {
    for (const message of waiting) made.push(await batch.process(message, (hop) => handle(message, hop))); // traced
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  const sent = made.filter((one) => one !== null);
  const messagesFor = (topic) => sent.filter(({ output }) => output.topic === topic).map(toMessage);
  const topicMessages = [INVOICES, DEAD_LETTERS].map((topic) => ({ topic, messages: messagesFor(topic) }));
  const metadata = await producer.sendBatch({ topicMessages: topicMessages.filter(({ messages }) => messages.length > 0) });
  batch.delivered(sent.map(({ output }) => output), metadata); // traced
}

function toMessage({ key, value, output }) {
  return { key, value, headers: output.headers }; // traced
}

init({ serviceName: "billing" }); // traced
const kafka = new Kafka({
  brokers: (process.env.KAFKA_BROKERS ?? "127.0.0.1:9092").split(","),
  logLevel: logLevel.ERROR,
});
const [consumer, producer] = [kafka.consumer({ groupId: GROUP }), kafka.producer()];
await Promise.all([consumer.connect(), producer.connect()]);
await consumer.subscribe({ topics: ["orders"], fromBeginning: true });
await consumer.run({
  eachBatch: eachBatch(({ batch: { messages } }, batch) => runBatch(producer, messages, batch), { group: GROUP }), // traced
});

process.once("SIGTERM", async () => {
  await consumer.disconnect();
  await producer.disconnect();
  const { dropped, lost } = await shutdown(); // traced
  log.info("stopped", { dropped: dropped.ledger, lost: lost.ledger });
  process.exit(0);
});
