/**
 * user_events → enriched_events: adds the country and the segment of the user.
 *
 * `KAFKA_BROKERS` names the brokers (127.0.0.1:9092), `OTEL_*` says where telemetry goes. What cannot be
 * handled goes to `user_events.dlq` with its trace and the reason.
 */
import { Kafka, logLevel, type EachMessagePayload, type IHeaders, type LogEntry, type Producer } from "kafkajs";
import { init, Logger, process as traced, shutdown, type Hop, type Output } from "tracebaton";

import { partitioner } from "./partitions.js";
import { findUser } from "./users.js";

const INPUT = "user_events";
const OUTPUT = "enriched_events";
const DEAD_LETTERS = "user_events.dlq";
const GROUP = "enrich";

const log = new Logger("enrich");
const kafkaLog = new Logger("kafka");

/** Sends one message and says what became of it. */
async function send(producer: Producer, topic: string, output: Output, key: Buffer | null, value: Buffer | string | null) {
  try {
    const headers: IHeaders = { ...output.headers };
    output.delivered(await producer.send({ topic, messages: [{ key, value, headers }] }));
  } catch (error) {
    output.undelivered(error);
    throw error;
  }
}

async function enrich(value: Buffer | null): Promise<string> {
  const event: unknown = JSON.parse(value?.toString("utf8") ?? "null");
  if (typeof event !== "object" || event === null || !("user_id" in event)) {
    throw new TypeError("the event names no user");
  }
  const { user_id: userId } = event;
  if (typeof userId !== "string") throw new TypeError("user_id is not a text");
  return JSON.stringify({ ...event, ...(await findUser(userId)) });
}

/** What kafkajs has to say becomes log lines like ours. */
function logKafka({ level, log: { message, error } }: LogEntry) {
  const write = level === logLevel.ERROR ? kafkaLog.error : kafkaLog.warn;
  write.call(kafkaLog, message, error === undefined ? {} : { reason: String(error) });
}

/** Handles one message: it is done with only once the broker has what was made of it. */
async function handle(producer: Producer, { topic, partition, message }: EachMessagePayload) {
  await traced({ topic, partition, message, group: GROUP }, async (hop: Hop) => {
    let enriched: string;
    try {
      enriched = await enrich(message.value);
    } catch (error) {
      log.error("cannot enrich", { reason: String(error) });
      await send(producer, DEAD_LETTERS, hop.deadLetter(DEAD_LETTERS, error), message.key, message.value);
      return;
    }
    await send(producer, OUTPUT, hop.output(OUTPUT), message.key, enriched);
    log.info("enriched", { offset: message.offset });
  });
}

async function main() {
  init({ serviceName: "enrich" });
  const brokers = (process.env.KAFKA_BROKERS ?? "127.0.0.1:9092").split(",");
  const kafka = new Kafka({ clientId: "enrich", brokers, logLevel: logLevel.WARN, logCreator: () => logKafka });
  const admin = kafka.admin();
  await admin.connect();
  const topics = [INPUT, OUTPUT, DEAD_LETTERS].map((topic) => ({ topic, numPartitions: 4 }));
  const known = new Set(await admin.listTopics());
  const missing = topics.filter(({ topic }) => !known.has(topic));
  if (missing.length > 0) await admin.createTopics({ topics: missing, waitForLeaders: true }).catch(() => {
    // Another service has created them in between.
  });
  await admin.disconnect();

  const producer = kafka.producer({ createPartitioner: partitioner });
  // A member that crashed is given up soon: its partitions wait for no longer.
  const consumer = kafka.consumer({ groupId: GROUP, sessionTimeout: 10_000 });
  await producer.connect();
  await consumer.connect();
  await consumer.subscribe({ topics: [INPUT], fromBeginning: true });
  consumer.on(consumer.events.GROUP_JOIN, () => log.info("ready", { topic: INPUT }));

  let isStopping = false;
  const stop = async (exitCode: number) => {
    if (isStopping) return;
    isStopping = true;
    try {
      // Waits for the message in hand, and commits.
      await consumer.disconnect();
      await producer.disconnect();
    } catch (error) {
      log.error("cannot take leave of Kafka", { reason: String(error) });
    }
    log.info("stopped");
    await shutdown(5000);
    process.exit(exitCode);
  };
  process.once("SIGTERM", () => void stop(0));
  process.once("SIGINT", () => void stop(0));
  // A consumer that kafkajs does not start again reads nothing any more: whoever watches this process is to see it.
  consumer.on(consumer.events.CRASH, ({ payload: { error, restart } }) => {
    if (restart) return;
    log.error("gives up", { reason: String(error) });
    void stop(1);
  });
  await consumer.run({
    partitionsConsumedConcurrently: 4,
    eachMessage: (payload) => handle(producer, payload),
  });
}

main().catch((error: unknown) => {
  log.error("cannot start", { reason: String(error) });
  process.exit(1);
});
