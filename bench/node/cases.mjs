// What is measured: each case does the same work without tracing, with ours and with the peer's.
import { ROOT_CONTEXT, context, trace } from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import pino from "pino";
import { Logger, eachBatch, eachMessage, extract, flush } from "tracebaton";

import { instrumented, message, plain } from "./kafka.mjs";

const MESSAGES = Array.from({ length: 1_000 }, (_, n) => message(n));
const settleOurs = () => flush(30_000);

/** Calls a handler once for each of `count` messages, one after the other. */
const drive = (handle) => async (count) => {
  for (let n = 0; n < count; n += 1) {
    await handle({ topic: "in", partition: 0, message: MESSAGES[n % MESSAGES.length], heartbeat: async () => {} });
  }
};

const driveBatches = (handle) => async (count) => {
  for (let n = 0; n < count; n += MESSAGES.length) {
    await handle({ batch: { topic: "in", partition: 0, messages: MESSAGES }, heartbeat: async () => {}, resolveOffset: () => {} });
  }
};

async function messageCase(settlePeer, { base, ours, peer }) {
  const traced = eachMessage(async (payload, hop) => {
    ours?.();
    const output = hop.output("out");
    output.delivered(await plain.producer.send({ topic: "out", messages: [{ value: payload.message.value, headers: output.headers }] }));
  }, { group: "bench" });
  const { eachMessage: wrapped } = await instrumented.installed({
    eachMessage: async (payload) => {
      peer?.();
      await instrumented.producer.send({ topic: "out", messages: [{ value: payload.message.value }] });
    },
  });
  const bare = async (payload) => {
    base?.();
    await plain.producer.send({ topic: "out", messages: [{ value: payload.message.value }] });
  };
  return {
    base: { run: drive(bare) },
    ours: { run: drive(traced), settle: settleOurs },
    peer: { run: drive(wrapped), settle: settlePeer },
  };
}

/** A log line with the ids, thrown away by the operating system. */
function loggers() {
  const destination = pino.destination({ dest: "/dev/null", sync: true });
  const ids = () => {
    const span = trace.getSpanContext(context.active());
    return span === undefined ? {} : { trace_id: span.traceId, span_id: span.spanId };
  };
  const own = new Logger("bench");
  const host = pino({ mixin: ids }, destination);
  return { ours: () => own.info("handled", { count: 3 }), peer: () => host.info({ count: 3 }, "handled") };
}

async function batchCase(settlePeer) {
  const send = (producer, messages) => producer.send({ topic: "out", messages });
  const traced = eachBatch(async ({ batch: { messages } }, batch) => {
    const outputs = messages.map((message) => batch.hop(message).output("out"));
    const sent = outputs.map((output, at) => ({ value: messages[at].value, headers: output.headers }));
    batch.delivered(outputs, await send(plain.producer, sent));
  }, { group: "bench" });
  const { eachBatch: wrapped } = await instrumented.installed({
    eachBatch: ({ batch: { messages } }) => send(instrumented.producer, messages.map(({ value }) => ({ value }))),
  });
  const bare = ({ batch: { messages } }) => send(plain.producer, messages.map(({ value }) => ({ value })));
  return {
    base: { run: driveBatches(bare) },
    ours: { run: driveBatches(traced), settle: settleOurs },
    peer: { run: driveBatches(wrapped), settle: settlePeer },
  };
}

function extractCase() {
  const propagator = new W3CTraceContextPropagator();
  const getter = { keys: Object.keys, get: (headers, name) => headers[name]?.toString() };
  const each = (fn) => async (count) => {
    for (let n = 0; n < count; n += 1) fn(MESSAGES[n % MESSAGES.length].headers);
  };
  return {
    ours: { run: each((headers) => extract(headers)) },
    peer: { run: each((headers) => propagator.extract(ROOT_CONTEXT, headers, getter)) },
  };
}

/** The cases by the name of their metric. */
export const cases = (settlePeer) => ({
  "node.extract.kafka": { peerName: "W3CTraceContextPropagator", make: extractCase, options: { count: 200_000 } },
  "node.message": { peerName: "instrumentation-kafkajs + SDK", make: () => messageCase(settlePeer, {}) },
  "node.message.log": { peerName: "instrumentation-kafkajs + SDK + pino", make: () => messageCase(settlePeer, loggers()) },
  "node.batch": { peerName: "instrumentation-kafkajs + SDK, eachBatch", make: () => batchCase(settlePeer) },
});
