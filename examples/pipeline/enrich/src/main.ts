/**
 * user_events → enriched_events: adds the country and the segment of the user.
 *
 * `KAFKA_BROKERS` names the brokers (127.0.0.1:9092), `OTEL_*` says where telemetry goes. What cannot be
 * handled goes to `user_events.dlq` with its trace and the reason.
 */
import { Kafka, logLevel, type LogEntry } from "kafkajs";
import { init, Logger, shutdown } from "tracebaton";

import { handle } from "./handle.js";
import { partitioner } from "./partitions.js";
import { DEAD_LETTERS, GROUP, INPUT, OUTPUT } from "./topics.js";

const log = new Logger("enrich");
const kafkaLog = new Logger("kafka");

/** What kafkajs has to say becomes log lines like ours. */
function logKafka({ level, log: { message, error } }: LogEntry) {
  const write = level === logLevel.ERROR ? kafkaLog.error : kafkaLog.warn;
  write.call(kafkaLog, message, error === undefined ? {} : { reason: String(error) });
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
