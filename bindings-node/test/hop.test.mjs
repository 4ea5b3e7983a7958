// Hops in JavaScript: what becomes of a message, and what the ledger says of it.
import assert from "node:assert/strict";
import { test } from "node:test";

import * as tracebaton from "../index.mjs";
import { traceId, traceparent } from "./support/arbitrary.mjs";
import { recorded } from "./support/otlp.mjs";

const { process } = tracebaton;
const payload = (offset, headers) => ({
  topic: "raw",
  partition: 3,
  group: "test",
  message: { offset: String(offset), headers },
});

/** What the ledger says, without the coordinates that are the same everywhere. */
function fates(ledger) {
  return ledger.map(({ attributes }) =>
    Object.fromEntries(
      Object.entries(attributes)
        .filter(([key]) => /^tracebaton\.(records|hop\.kind|reason|outputs|dead_letter)|error\.type/.test(key))
        .map(([key, value]) => [key.replace(/^tracebaton\.(records\.)?/, ""), value]),
    ),
  );
}

test("a message that passes has a span below its producer's and one event", async () => {
  const { spans, ledger, report } = await recorded(tracebaton, () =>
    process(payload(42, { traceparent: Buffer.from(traceparent), trace_id: "order-1" }), (hop) => {
      for (const [key, value] of [["text", "NL"], ["whole", 7], ["part", 0.5], ["flag", true], ["other", 2n ** 70n]]) hop.set(key, value);
      hop.set("nothing", null);
      const output = hop.output("out");
      assert.match(output.headers.traceparent, new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`));
      output.delivered([{ topicName: "out", partition: 1, errorCode: 0, baseOffset: "7" }]);
    }),
  );
  const consumed = spans.find((span) => span.name === "process raw");
  assert.equal(consumed.traceId, traceId);
  assert.equal(consumed.parentId, "b7ad6b7169203331");
  assert.equal(consumed.kind, 5);
  const { text, whole, part, flag, other, nothing } = consumed.attributes;
  assert.deepEqual([text, whole, part, flag, other, nothing], ["NL", 7, 0.5, true, "1180591620717411303424", "null"]);
  assert.equal(consumed.attributes["messaging.destination.partition.id"], "3");
  assert.equal(consumed.attributes["messaging.kafka.offset"], 42);
  assert.deepEqual(consumed.links, [{ traceId, spanId: "b7ad6b7169203331" }]);
  const sent = spans.find((span) => span.name === "send out");
  assert.equal(sent.parentId, consumed.spanId);
  assert.deepEqual(fates(ledger), [
    { "hop.kind": "process", in: 1, passed: 1, emitted: 1 },
    { "hop.kind": "send", in: 1, passed: 1, emitted: 1 },
  ]);
  const [{ attributes }] = ledger;
  assert.equal(attributes["messaging.consumer.group.name"], "test");
  assert.equal(attributes["messaging.kafka.offset"], 42);
  assert.deepEqual(report.exported, { spans: 2, logs: 0, ledger: 2 });
});

test("a fan-out counts what came out, each with a span of its own", async () => {
  const { spans, ledger } = await recorded(tracebaton, () =>
    process(payload(1), (hop) => {
      const outputs = ["a", "b", "b"].map((topic) => hop.output(topic));
      assert.equal(new Set(outputs.map((output) => output.headers.traceparent)).size, 3);
      outputs.forEach((output, at) => output.delivered({ partition: 0, offset: at }));
    }),
  );
  assert.equal(spans.filter((span) => span.name.startsWith("send ")).length, 3);
  const [first, ...sends] = fates(ledger);
  assert.deepEqual(first, { "hop.kind": "process", in: 1, passed: 1, emitted: 3 });
  assert.deepEqual(sends.map((send) => send.emitted).sort(), [1, 2]);
});

test("a message that is filtered says why", async () => {
  const { ledger } = await recorded(tracebaton, () => process(payload(1), (hop) => hop.filtered("a test user")));
  assert.deepEqual(fates(ledger), [{ "hop.kind": "process", in: 1, filtered: 1, reason: "a test user" }]);
});

test("a function that throws has failed, and what it throws is thrown unchanged", async () => {
  const { spans, ledger } = await recorded(tracebaton, async () => {
    for (const thrown of [new RangeError("mine"), null, undefined, "text", { toString: null }]) {
      const isThrown = (error) => error === thrown;
      await assert.rejects(process(payload(1), () => { throw thrown; }), isThrown);
      await assert.rejects(process(payload(1), async () => { throw thrown; }), isThrown);
    }
  });
  assert.equal(fates(ledger).filter((event) => event.failed === 1 && event.in === 1).length, 10);
  assert.deepEqual(spans[0].status, { message: "mine", code: 2 });
  assert.deepEqual(spans[0].events, [
    { name: "exception", attributes: { "exception.type": "RangeError", "exception.message": "mine" } },
  ]);
});

test("a dead letter carries the context and what went wrong, without control characters", async () => {
  const { ledger } = await recorded(tracebaton, () =>
    process(payload(1, { traceparent }), (hop) => {
      const dead = hop.deadLetter("raw.dlq", new RangeError("bad\r\nvalue"));
      assert.equal(dead.headers["tracebaton-error-hop"], "process raw");
      assert.equal(dead.headers["tracebaton-error-type"], "RangeError");
      assert.equal(dead.headers["tracebaton-error-message"], "bad  value");
      assert.ok(dead.headers.traceparent.includes(traceId));
      dead.delivered({ partition: 0, offset: 1n });
    }),
  );
  const [process_, send] = fates(ledger);
  assert.equal(process_.dead_lettered, 1);
  assert.equal(process_["error.type"], "RangeError");
  assert.equal(send["dead_letter"], true);
});

test("a delivery that fails makes the record a failed one", async () => {
  const { ledger } = await recorded(tracebaton, () =>
    process(payload(1), (hop) => hop.output("out").undelivered(new TypeError("too large"))),
  );
  const [first] = fates(ledger);
  assert.equal(first.failed, 1);
  assert.equal(first.passed, undefined);
});

test("a hop that is over never becomes somebody else's, however many come after it", async () => {
  const { ledger } = await recorded(tracebaton, async () => {
    let [old, output] = [];
    await process(payload(0), (hop) => void ([old, output] = [hop, hop.output("out")]));
    old.end();
    for (let n = 1; n < 20_000; n += 1) {
      await process(payload(n), () => {
        if (n % 4095 > 2 && n % 4096 > 2) return;
        old.failed(new Error("old"));
        output.undelivered(new Error("old"));
      });
    }
  });
  const told = fates(ledger.filter(({ attributes }) => attributes["messaging.kafka.offset"] > 0));
  assert.equal(told.length, 19_999);
  assert.ok(told.every(({ passed, failed }) => passed === 1 && failed === undefined));
});

test("an output of which nobody hears is unconfirmed", async () => {
  const { ledger } = await recorded(tracebaton, () =>
    process(payload(1), (hop) => {
      hop.output("out");
      hop.output("out").delivered([]);
    }),
  );
  assert.deepEqual(fates(ledger), [
    { "hop.kind": "process", in: 1, passed: 1, emitted: 2, "outputs.unconfirmed": 2 },
  ]);
});

test("an opaque id is handed on unchanged and names the trace of a root span", async () => {
  const { spans } = await recorded(tracebaton, () =>
    process(payload(1, { trace_id: "order-1234" }), (hop) => {
      assert.equal(hop.legacyId, "order-1234");
      assert.equal(hop.output("out").headers.trace_id, "order-1234");
    }),
  );
  const root = spans.find((span) => span.name === "process raw");
  assert.equal(root.parentId, "");
  assert.deepEqual(root.links, []);
  assert.equal(root.traceId, tracebaton.extract({ trace_id: "order-1234" }).baton.traceId);
});

test("a trace that is not sampled leaves its ledger", async () => {
  const { spans, ledger } = await recorded(tracebaton, () =>
    process(payload(1, { traceparent: traceparent.replace(/01$/, "00") }), () => {}),
  );
  assert.equal(spans.length, 0);
  assert.equal(ledger.length, 1);
});

test("an output makes the message that a client sends", async () => {
  const { ledger } = await recorded(tracebaton, () =>
    tracebaton.process({ topic: "raw", partition: 0, message: { offset: "7" } }, (hop) => {
      const output = hop.output("out");
      const message = output.message({ key: "k", value: "v", headers: { stale: "1" } });
      assert.deepEqual(message, { key: "k", value: "v", topic: "out", headers: output.headers, output });
      message.output.delivered({ partition: 0, offset: 1 });
    }),
  );
  assert.equal(ledger.filter(({ attributes }) => attributes["tracebaton.records.passed"] === 1).length, 2);
});
