/** What happens to one message: it is done with only once the broker has what was made of it. */
import kafkajs, { type EachMessagePayload, type IHeaders, type Producer } from "kafkajs";
import { Logger, process as traced, type Hop, type Output } from "tracebaton";

import { DEAD_LETTERS, GROUP, OUTPUT } from "./topics.js";
import { findUser } from "./users.js";

// A CommonJS module of which Node finds only some names.
const { KafkaJSError, KafkaJSProtocolError } = kafkajs;
const log = new Logger("enrich");

/** What a broker answers to a record that it will not take however often it is sent. */
const REFUSED_FOR_GOOD: ReadonlySet<string> = new Set(["MESSAGE_TOO_LARGE", "RECORD_LIST_TOO_LARGE", "INVALID_RECORD"]);

function isRefusedForGood(error: unknown): boolean {
  const cause = error instanceof KafkaJSError ? (error.cause ?? error) : error;
  return cause instanceof KafkaJSProtocolError && REFUSED_FOR_GOOD.has(cause.type);
}

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

/**
 * Sends the message to the dead letters. What is too large for them too goes without key and value: where it stands in the topic it
 * came from, and why it is there, is in the headers and in the trace.
 */
async function sendDeadLetter(producer: Producer, hop: Hop, reason: unknown, { topic, partition, message }: EachMessagePayload) {
  try {
    await send(producer, DEAD_LETTERS, hop.deadLetter(DEAD_LETTERS, reason), message.key, message.value);
  } catch (error) {
    if (!isRefusedForGood(error)) throw error;
    const headers = { "tracebaton-left-out": `${topic}/${partition}/${message.offset}` };
    await send(producer, DEAD_LETTERS, hop.deadLetter(DEAD_LETTERS, reason, headers), null, null);
  }
}

/** Handles one message. Throws where the broker may take later what it does not take now: kafkajs hands the message over again. */
export async function handle(producer: Producer, payload: EachMessagePayload) {
  const { topic, partition, message } = payload;
  await traced({ topic, partition, message, group: GROUP }, async (hop: Hop) => {
    try {
      const enriched = await enrich(message.value);
      await send(producer, OUTPUT, hop.output(OUTPUT), message.key, enriched);
    } catch (error) {
      if (error instanceof KafkaJSError && !isRefusedForGood(error)) throw error;
      log.error("cannot enrich", { reason: String(error) });
      await sendDeadLetter(producer, hop, error, payload);
      return;
    }
    log.info("enriched", { offset: message.offset });
  });
}
