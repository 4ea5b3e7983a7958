/**
 * readings → readings.alerts: batches of up to 1,000, a hundred messages at once, one send a batch.
 *
 * The function gets the values alone; what it cannot handle goes to readings.dlq. Offsets are committed once everything
 * is delivered.
 */
import { Kafka, logLevel, type EachBatchPayload, type KafkaMessage } from "kafkajs";

import { alert } from "./functions.js";

const SOURCE = process.env.SOURCE ?? "readings";
const [TARGET, DEAD_LETTERS, GROUP] = [`${SOURCE}.alerts`, `${SOURCE}.dlq`, `${SOURCE}.alerting`];
const [MOST, AT_ONCE] = [1_000, 100];

/** Returns what is to be sent for a message. */
async function handle({ key, value, offset }: KafkaMessage) {
  try {
    const made = asList(await alert(JSON.parse(String(value))));
    return made.map((one) => ({ topic: TARGET, key, value: JSON.stringify(one) }));
  } catch (error) {
    console.error(`cannot handle ${offset}: ${String(error)}`);
    return [{ topic: DEAD_LETTERS, key, value }];
  }
}

async function run({ batch: { messages } }: EachBatchPayload) {
  for (let at = 0; at < messages.length; at += MOST) {
    const made = await mapAtOnce(messages.slice(at, at + MOST), AT_ONCE, handle);
    const sent = made.flat();
    const messagesTo = (topic: string) => sent.filter((one) => one.topic === topic);
    const topics = [TARGET, DEAD_LETTERS].filter((topic) => messagesTo(topic).length > 0);
    const topicMessages = topics.map((topic) => ({ topic, messages: messagesTo(topic) }));
    await producer.sendBatch({ topicMessages });
  }
}

/** Returns what a function made as a list: nothing, one value, or many. */
function asList<T extends object>(made: T | T[] | null): T[] {
  if (made === null) return [];
  return Array.isArray(made) ? made : [made];
}

/** Calls `fn` with every item, so many of them at once; the results stand in the items' order. */
async function mapAtOnce<T, R>(items: readonly T[], most: number, fn: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const waiting = items.entries();
  const work = async () => {
    for (const [at, item] of waiting) results[at] = await fn(item);
  };
  await Promise.all(Array.from({ length: most }, work));
  return results;
}

const brokers = (process.env.KAFKA_BROKERS ?? "127.0.0.1:9092").split(",");
const kafka = new Kafka({ brokers, logLevel: logLevel.ERROR });
const [consumer, producer] = [kafka.consumer({ groupId: GROUP }), kafka.producer()];
await Promise.all([consumer.connect(), producer.connect()]);
await consumer.subscribe({ topics: [SOURCE], fromBeginning: true });
await consumer.run({ eachBatch: run });

process.once("SIGTERM", async () => {
  await consumer.disconnect();
  await producer.disconnect();
  process.exit(0);
});
